// Package upload takes snapshots of volumes.
package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	kopiaupload "github.com/kopia/kopia/snapshot/upload"
	"github.com/sirupsen/logrus"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/volume"
)

// Request says which volume to upload, and how.
type Request struct {
	// SourceNamespace and SourcePVC name the volume. They make the identity by which earlier snapshots are found.
	SourceNamespace, SourcePVC string

	// Path is the mount point of the volume, or its device.
	Path string

	// Block says that Path is a device, which is uploaded byte for byte.
	Block bool

	// DataUploadUID is the UID of the DataUpload. Attempts at the same DataUpload have it in common. It is required.
	DataUploadUID string

	// AsyncOperationID is the value of the DataUpload's label velero.io/async-operation-id, empty if it has none.
	AsyncOperationID string

	// ParentSnapshot is the ID of the snapshot of the volume to compare it with, instead of the latest one.
	ParentSnapshot string

	// Full compares the volume with no snapshot: all of it is read again, but for what earlier attempts have read.
	Full bool

	// FullReadEvery has all of the volume read again if no upload has done so for that long. Never if it is zero. It has no
	// effect with ParentSnapshot.
	FullReadEvery time.Duration

	// VerifyPercent is the share of the packs written that is read back from the store once all is saved: at least one pack,
	// but none if it is zero.
	VerifyPercent int

	// ParallelFiles is the number of files read at the same time. Zero means as many as the process may use CPUs, up
	// to 16.
	ParallelFiles int

	// CheckpointInterval is the time between two checkpoints, from which a later attempt goes on. It defaults to 5 minutes.
	CheckpointInterval time.Duration

	// Confirm is called once all data is uploaded, with the ID that the snapshot is going to have: an error keeps it from
	// being made, but not what was uploaded from being of use to a later attempt. It may be nil.
	Confirm func(ctx context.Context, snapshotID string) error

	// Progress is called at most every ProgressInterval and once at the end of a successful upload, never twice at the
	// same time. It may be nil.
	Progress func(repository.Progress)

	// ProgressInterval defaults to 10 seconds.
	ProgressInterval time.Duration
}

// Result describes a snapshot that is safely in the repository.
type Result struct {
	// SnapshotID is the ID of Kopia's snapshot manifest.
	SnapshotID string

	// Empty says that the volume held neither a file nor a symbolic link.
	Empty bool

	// TotalBytes is the size of the data when restored.
	TotalBytes int64

	// IncrementalBytes is how much of it was read by this attempt and earlier ones, since no earlier snapshot had it
	// unchanged. If there were earlier ones it is not exact: some files may have been read twice.
	IncrementalBytes int64

	// Notices are what is to be said about the volume.
	Notices []notice.Notice
}

// Run takes a snapshot of the volume, or returns the one that another attempt at the same DataUpload has completed. It
// has either returned a result, and then the snapshot was read back from the repository, or an error, and then no
// snapshot is left that looks complete, unless ctx ended while it was being saved or read back. Errors include
// *failure.EntryError, failure.ErrCanceled, once ctx ends, and failure.ErrLocationReadOnly.
//
// What was uploaded before an error, or before the process was killed, serves later attempts: files that were done at
// the last checkpoint are not read again, and of others what was stored is not stored again. So a single large file, or a
// device, is read from its start, but only the rest is uploaded. Checkpoints go with the next snapshot of the volume.
func Run(ctx context.Context, r *repository.Repository, request Request) (Result, error) {
	task := &task{
		repository: r,
		request:    request,
		source:     repository.SourceOf(request.SourceNamespace, request.SourcePVC),
		parallel:   repository.ParallelFiles(request.ParallelFiles),
		log:        r.Log().WithFields(logrus.Fields{"sourceNamespace": request.SourceNamespace, "sourcePVC": request.SourcePVC}),
	}
	result, err := task.run(r.Context(ctx))
	if err != nil {
		return Result{}, fmt.Errorf("upload volume %s/%s: %w", request.SourceNamespace, request.SourcePVC, err)
	}
	if request.Progress != nil {
		request.Progress(repository.Progress{TotalBytes: result.TotalBytes, BytesDone: result.TotalBytes})
	}
	return result, nil
}

// task is one upload.
type task struct {
	repository *repository.Repository
	request    Request
	source     snapshot.SourceInfo
	parallel   int
	counter    counter
	log        logrus.FieldLogger

	// volume is nil if it is a device.
	volume *volume.Volume
	// fullRead says that nothing is taken from snapshots, so that all was read once the upload is complete.
	fullRead bool
	// readBefore is how many bytes earlier attempts have read that this one need not read again.
	readBefore int64
	// unreadable are complete snapshots of earlier attempts that are of no use.
	unreadable []manifest.ID
}

func (t *task) run(ctx context.Context) (Result, error) {
	if t.request.DataUploadUID == "" {
		return Result{}, errors.New("an upload needs the UID of its DataUpload")
	}
	if err := t.repository.Access().Writable(); err != nil {
		return Result{}, err
	}
	t.repository.Store().ResetFailure()
	t.repository.Store().SampleWrites(t.request.VerifyPercent)
	saved, err := t.savedBefore(ctx, t.repository.Kopia())
	if err == nil && saved == nil {
		saved, err = t.take(ctx)
	}
	if err != nil {
		t.findUnreadable(ctx)
		return Result{}, t.reason(ctx, err)
	}
	return t.result(saved), nil
}

// take takes the snapshot.
func (t *task) take(ctx context.Context) (*snapshot.Manifest, error) {
	root, err := t.root()
	if err != nil {
		return nil, err
	}
	defer t.close()
	report := repository.ProgressReports{Call: t.request.Progress, Interval: t.request.ProgressInterval, Now: t.counter.progress}
	defer report.Start()()
	working, stop := lasting(ctx)
	defer stop()

	var saved *snapshot.Manifest
	mine := false
	options := repo.WriteSessionOptions{Purpose: "upload " + t.source.Path}
	err = repo.WriteSession(working, t.repository.Kopia(), options, func(working context.Context, writer repo.RepositoryWriter) error {
		uploaded, last, err := t.upload(ctx, working, writer, root)
		var prepared *snapshot.Manifest
		if err == nil {
			prepared, err = t.prepare(ctx, writer, uploaded)
		}
		if err != nil {
			if uploaded != nil && t.worthKeeping(ctx) {
				t.keep(working, writer, uploaded, last)
			}
			return err
		}
		// From here on an interruption waits. The writer would find the prepared one.
		if saved, err = t.savedBefore(working, t.repository.Kopia()); saved != nil || err != nil {
			return errors.Join(err, writer.DeleteManifest(context.WithoutCancel(working), prepared.ID))
		}
		mine, saved = true, prepared
		return t.save(working, writer, prepared.ID)
	})
	if err == nil && mine {
		err = t.verify(ctx, working, saved)
	}
	return saved, err
}

// upload moves the data. It returns an error if not all of it was moved, and what was if Kopia came that far. Next to it is
// the last checkpoint.
func (t *task) upload(
	ctx, working context.Context, writer repo.RepositoryWriter, root fs.Directory,
) (*snapshot.Manifest, manifest.ID, error) {
	policies, err := ensurePolicy(working, writer, t.source, sourcePolicy(t.parallel))
	if err != nil {
		return nil, "", err
	}
	previous, err := t.previousManifests(working, writer)
	if err != nil {
		return nil, "", err
	}
	for _, earlier := range previous {
		if earlier.Tags[tagDataUpload] == t.request.DataUploadUID {
			t.readBefore = max(t.readBefore, incrementalOf(earlier))
		}
	}
	t.log.WithFields(logrus.Fields{"previousSnapshots": manifestIDs(previous), "parallelFiles": t.parallel}).Info("upload starts")

	checkpoints := &checkpointWriter{RepositoryWriter: writer, incremental: t.incrementalSoFar}
	kopia := t.uploader(checkpoints)
	stop := context.AfterFunc(ctx, kopia.Cancel)
	defer stop()
	defer t.estimate(working)()
	uploaded, err := kopia.Upload(working, root, policies, t.source, previous...)
	last, checkpointErr := checkpoints.end()
	if err != nil {
		if _, unreadable := errors.AsType[syscall.Errno](err); unreadable {
			t.counter.Error(".", err, false)
		}
		return nil, "", fmt.Errorf("upload data: %w", err)
	}
	if err := t.check(ctx, uploaded); err != nil {
		return uploaded, last, errors.Join(err, checkpointErr)
	}
	return uploaded, last, nil
}

// uploader is Kopia's, set up as Velero does but for what is said here.
func (t *task) uploader(writer repo.RepositoryWriter) *kopiaupload.Uploader {
	kopia := kopiaupload.NewUploader(writer)
	kopia.Progress = &t.counter
	kopia.FailFast = true
	kopia.ParallelUploads = t.parallel
	kopia.CheckpointLabels = t.withFullRead(checkpointTags(t.request.DataUploadUID))
	kopia.CheckpointInterval = cmp.Or(t.request.CheckpointInterval, defaultCheckpointInterval)
	// A volume is uploaded as it is: a .kopiaignore file or a cache tag in it must not thin it out.
	kopia.DisableIgnoreRules = true
	return kopia
}

// worthKeeping tells whether another attempt may go on with what was uploaded.
func (t *task) worthKeeping(ctx context.Context) bool {
	if ctx.Err() != nil && !interrupted(ctx) {
		return false
	}
	return t.counter.entryError() == nil && t.repository.Store().FirstFailure() == nil
}

// check finds out whether all of the volume was uploaded: Kopia returns no error if it was not.
func (t *task) check(ctx context.Context, uploaded *snapshot.Manifest) error {
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

// reason picks of all that went wrong what came first.
func (t *task) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return failure.ErrCanceled
	}
	if err := t.repository.Store().FirstFailure(); err != nil {
		return fmt.Errorf("write to the repository: %w", failure.Explain(err))
	}
	if unreadable := t.counter.entryError(); unreadable != nil {
		return unreadable
	}
	return failure.Explain(err)
}

func manifestIDs(manifests []*snapshot.Manifest) []manifest.ID {
	result := make([]manifest.ID, len(manifests))
	for i := range manifests {
		result[i] = manifests[i].ID
	}
	return result
}
