package repository

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/fs/localfs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/upload"
	"github.com/sirupsen/logrus"
)

// maxParallelFiles bounds the default: each file that is read holds buffers of some 20 MiB.
const maxParallelFiles = 16

// UploadRequest says which volume to upload, and how.
type UploadRequest struct {
	// SourceNamespace and SourcePVC name the volume. They make the identity by which earlier snapshots are found.
	SourceNamespace, SourcePVC string

	// Path is the mount point of the volume, or its device.
	Path string

	// Block says that Path is a device, which is uploaded byte for byte.
	Block bool

	// AsyncOperationID is the value of the DataUpload's label velero.io/async-operation-id, empty if it has none.
	AsyncOperationID string

	// ParallelFiles is the number of files read at the same time. Zero means as many as the process may use CPUs, up
	// to 16.
	ParallelFiles int

	// Progress is called at most every ProgressInterval and once at the end of a successful upload, never twice at the
	// same time. It may be nil.
	Progress func(Progress)

	// ProgressInterval defaults to 10 seconds.
	ProgressInterval time.Duration
}

// Progress is how far an upload has come.
type Progress struct {
	// TotalBytes is the size of the volume's data, 0 while it is not known.
	TotalBytes int64

	// BytesDone counts what was read, or found unchanged.
	BytesDone int64
}

// UploadResult describes a snapshot that is safely in the repository.
type UploadResult struct {
	// SnapshotID is the ID of Kopia's snapshot manifest.
	SnapshotID string

	// Empty says that the volume held neither a file nor a symbolic link.
	Empty bool

	// TotalBytes is the size of the data when restored.
	TotalBytes int64

	// IncrementalBytes is how much of it was read, since no earlier upload had it unchanged.
	IncrementalBytes int64
}

// Upload takes a snapshot of the volume. It has either returned a result, and then the snapshot was read back from the
// repository, or an error, and then no snapshot is left that looks complete. Errors include *EntryError, ErrCanceled,
// once ctx ends, and ErrLocationReadOnly.
func (r *Repository) Upload(ctx context.Context, request UploadRequest) (UploadResult, error) {
	task := &uploadTask{
		repository: r,
		request:    request,
		source:     sourceOf(request.SourceNamespace, request.SourcePVC),
		tags:       snapshotTags(request.AsyncOperationID),
		parallel:   parallelFiles(request.ParallelFiles),
		log:        r.log.WithFields(logrus.Fields{"sourceNamespace": request.SourceNamespace, "sourcePVC": request.SourcePVC}),
	}
	result, err := task.run(r.context(ctx))
	if err != nil {
		return UploadResult{}, fmt.Errorf("upload volume %s/%s: %w", request.SourceNamespace, request.SourcePVC, err)
	}
	if request.Progress != nil {
		request.Progress(Progress{TotalBytes: result.TotalBytes, BytesDone: result.TotalBytes})
	}
	return result, nil
}

// parallelFiles follows GOMAXPROCS, which knows the CPU limit of the container, and not the CPUs of the node.
func parallelFiles(wanted int) int {
	if wanted > 0 {
		return wanted
	}
	return min(runtime.GOMAXPROCS(0), maxParallelFiles)
}

// uploadTask is one upload.
type uploadTask struct {
	repository *Repository
	request    UploadRequest
	source     snapshot.SourceInfo
	tags       map[string]string
	parallel   int
	counter    counter
	log        logrus.FieldLogger
}

func (t *uploadTask) run(ctx context.Context) (UploadResult, error) {
	if err := t.repository.access.writable(); err != nil {
		return UploadResult{}, err
	}
	root, err := t.root()
	if err != nil {
		return UploadResult{}, err
	}
	t.repository.connection.storage.forgetFailure()
	defer t.counter.report(t.request)()

	var saved *snapshot.Manifest
	options := repo.WriteSessionOptions{Purpose: "upload " + t.source.Path}
	err = repo.WriteSession(ctx, t.repository.kopia, options, func(ctx context.Context, writer repo.RepositoryWriter) error {
		uploaded, err := t.upload(ctx, writer, root)
		if err != nil {
			return err
		}
		saved, err = t.save(ctx, writer, uploaded)
		return err
	})
	if err == nil {
		err = t.verify(context.WithoutCancel(ctx), saved)
	}
	if err != nil {
		return UploadResult{}, t.reason(ctx, err)
	}
	return t.result(saved), nil
}

// root is the volume as Kopia sees it.
func (t *uploadTask) root() (fs.Directory, error) {
	path, err := filepath.EvalSymlinks(t.request.Path)
	if err != nil {
		return nil, fmt.Errorf("find volume: %w", err)
	}
	if t.request.Block {
		root, size, err := blockRoot(path)
		t.counter.total.Store(size)
		return root, err
	}
	root, err := localfs.Directory(path)
	if err != nil {
		return nil, fmt.Errorf("read volume: %w", err)
	}
	return root, nil
}

// upload moves the data. What it returns is complete.
func (t *uploadTask) upload(ctx context.Context, writer repo.RepositoryWriter, root fs.Directory) (*snapshot.Manifest, error) {
	policies, err := ensurePolicy(ctx, writer, t.source, sourcePolicy(t.parallel))
	if err != nil {
		return nil, err
	}
	previous, err := previousManifests(ctx, writer, t.source)
	if err != nil {
		return nil, err
	}
	t.log.WithFields(logrus.Fields{"previousSnapshots": manifestIDs(previous), "parallelFiles": t.parallel}).Info("upload starts")

	kopia := upload.NewUploader(writer)
	kopia.Progress = &t.counter
	kopia.FailFast = true
	kopia.ParallelUploads = t.parallel
	kopia.CheckpointLabels = moverTags()
	// A volume is uploaded as it is: a .kopiaignore file or a cache tag in it must not thin it out.
	kopia.DisableIgnoreRules = true
	stop := context.AfterFunc(ctx, kopia.Cancel)
	defer stop()

	result, err := kopia.Upload(ctx, root, policies, t.source, previous...)
	if err != nil {
		if _, unreadable := errors.AsType[syscall.Errno](err); unreadable {
			t.counter.Error(".", err, false)
		}
		return nil, fmt.Errorf("upload data: %w", err)
	}
	return result, t.check(ctx, result)
}

// check finds out whether all of the volume was uploaded: Kopia returns no error if it was not.
func (t *uploadTask) check(ctx context.Context, uploaded *snapshot.Manifest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.counter.entryError(); err != nil {
		return err
	}
	if uploaded.IncompleteReason != "" {
		return fmt.Errorf("the upload is incomplete: %s", uploaded.IncompleteReason)
	}
	if uploaded.RootEntry == nil || uploaded.RootEntry.DirSummary == nil {
		return errors.New("the upload has no content")
	}
	summary := uploaded.RootEntry.DirSummary
	if summary.FatalErrorCount > 0 || summary.IgnoredErrorCount > 0 {
		return fmt.Errorf("%d entries of the volume were not uploaded", summary.FatalErrorCount+summary.IgnoredErrorCount)
	}
	if size := t.counter.total.Load(); t.request.Block && size != summary.TotalFileSize {
		return fmt.Errorf("the device has %d bytes, but %d could be read", size, summary.TotalFileSize)
	}
	return nil
}

// save makes the upload a snapshot. From here on it is not canceled any more: half a commit helps nobody.
func (t *uploadTask) save(ctx context.Context, writer repo.RepositoryWriter, uploaded *snapshot.Manifest) (*snapshot.Manifest, error) {
	ctx = context.WithoutCancel(ctx)
	saved := completed(uploaded, t.tags)
	if _, err := snapshot.SaveSnapshot(ctx, writer, saved); err != nil {
		return nil, fmt.Errorf("save snapshot: %w", err)
	}
	// The pin keeps every complete snapshot. What goes are the checkpoints, which this snapshot supersedes.
	if _, err := policy.ApplyRetentionPolicy(ctx, writer, t.source, true); err != nil {
		return nil, fmt.Errorf("remove superseded checkpoints: %w", err)
	}
	if err := writer.Flush(ctx); err != nil {
		return nil, fmt.Errorf("flush snapshot: %w", err)
	}
	return saved, nil
}

// verify reads the snapshot back, and deletes it if that fails: nobody would ever know its ID.
func (t *uploadTask) verify(ctx context.Context, saved *snapshot.Manifest) error {
	err := t.repository.readBack(ctx, saved)
	if err == nil {
		return nil
	}
	deleteErr := repo.WriteSession(ctx, t.repository.kopia, repo.WriteSessionOptions{Purpose: "delete unverified snapshot"},
		func(ctx context.Context, writer repo.RepositoryWriter) error {
			return writer.DeleteManifest(ctx, saved.ID)
		})
	if deleteErr != nil {
		t.log.WithError(explain(deleteErr)).WithField("snapshotID", saved.ID).Error("a snapshot that could not be verified is left over")
	}
	return fmt.Errorf("verify snapshot %s: %w", saved.ID, err)
}

// reason picks of all that went wrong what came first.
func (t *uploadTask) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrCanceled
	}
	if failure := t.repository.connection.storage.firstFailure(); failure != nil {
		return fmt.Errorf("write to the repository: %w", explain(failure))
	}
	if unreadable := t.counter.entryError(); unreadable != nil {
		return unreadable
	}
	return explain(err)
}

func (t *uploadTask) result(saved *snapshot.Manifest) UploadResult {
	summary := saved.RootEntry.DirSummary
	result := UploadResult{
		SnapshotID: string(saved.ID),
		Empty:      summary.TotalFileCount == 0 && summary.TotalSymlinkCount == 0,
		TotalBytes: summary.TotalFileSize,
		// The statistics count files, and the symbolic links found unchanged, which the counter has counted as well.
		IncrementalBytes: saved.Stats.TotalFileSize - t.counter.cached.Load(),
	}
	t.log.WithFields(logrus.Fields{
		"snapshotID": result.SnapshotID, "totalBytes": result.TotalBytes, "incrementalBytes": result.IncrementalBytes,
		"files": summary.TotalFileCount, "directories": summary.TotalDirCount,
	}).Info("upload is complete")
	return result
}

// readBack reads a snapshot that was just saved, and finds in the index all that its root consists of.
func (r *Repository) readBack(ctx context.Context, saved *snapshot.Manifest) error {
	if err := r.kopia.Refresh(ctx); err != nil {
		return err
	}
	found, err := loadManifest(ctx, r.kopia, string(saved.ID))
	if err != nil {
		return err
	}
	if found.RootObjectID() != saved.RootObjectID() {
		return fmt.Errorf("its content is %s instead of %s", found.RootObjectID(), saved.RootObjectID())
	}
	_, err = r.kopia.VerifyObject(ctx, found.RootObjectID())
	return err
}

func manifestIDs(manifests []*snapshot.Manifest) []manifest.ID {
	result := make([]manifest.ID, len(manifests))
	for i := range manifests {
		result[i] = manifests[i].ID
	}
	return result
}
