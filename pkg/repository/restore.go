package repository

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/sirupsen/logrus"
)

// chunksPerCPU and maxChunks bound how many chunks are under way at the same time: while some wait for the store, others are
// decrypted. Each takes up to some 20 MiB of memory.
const (
	chunksPerCPU = 4
	maxChunks    = 16
)

// RestoreRequest says which snapshot goes where.
type RestoreRequest struct {
	// SnapshotID is the ID of the snapshot.
	SnapshotID string

	// Path is the mount point of the volume, or its device.
	Path string

	// Block says that Path is a device. A device must not be smaller than the snapshot. A regular file passes for one, is made
	// if missing, and gets the size of the snapshot.
	Block bool

	// Resume says that an earlier attempt may have written parts of the device. They are read, and left alone where they are
	// right. Files of an earlier attempt are found without it.
	Resume bool

	// ParallelFiles is the number of files written at the same time. Zero means as many as the process may use CPUs, up
	// to 16. Parts of a large file are written at the same time, too.
	ParallelFiles int

	// Sparse leaves holes in files where there are zeros.
	Sparse bool

	// Progress is called at most every ProgressInterval and once at the end of a successful restore, never twice at the
	// same time. It may be nil.
	Progress func(Progress)

	// ProgressInterval defaults to 10 seconds.
	ProgressInterval time.Duration
}

// RestoreResult describes what was restored.
type RestoreResult struct {
	// TotalBytes is the size of the data.
	TotalBytes int64

	// FoundBytes is how much of it was there already, and right.
	FoundBytes int64
}

// Restore writes a snapshot into a volume, and returns once it is on disk. Entries of a file system get the modes and
// times, and if the process runs as root the owners, that they had. Entries that are not in the snapshot are left alone;
// files and symbolic links that are in the way are replaced, directories that are in the way are an error.
//
// After an error, or if the process was killed, the same request goes on: what is there already and has the hash that it
// should have is neither read from the repository nor written again.
//
// Errors include *TargetError, ErrCanceled, once ctx ends, ErrNoSnapshot and ErrIncompleteSnapshot.
func (r *Repository) Restore(ctx context.Context, request RestoreRequest) (RestoreResult, error) {
	task, err := r.newRestore(ctx, request)
	if err == nil {
		err = task.run(r.context(ctx))
	}
	if err != nil {
		return RestoreResult{}, task.reason(ctx, "restore", err)
	}
	result := RestoreResult{TotalBytes: task.total, FoundBytes: task.found.Load()}
	if request.Progress != nil {
		request.Progress(Progress{TotalBytes: result.TotalBytes, BytesDone: result.TotalBytes})
	}
	return result, nil
}

// restoreTask is one restore, or the verification of one.
type restoreTask struct {
	request RestoreRequest
	log     logrus.FieldLogger

	root   *snapshot.DirEntry
	chunks *chunkReader
	// slots bounds how many chunks are under way.
	slots chan struct{}

	total       int64
	done, found atomic.Int64
}

func (r *Repository) newRestore(ctx context.Context, request RestoreRequest) (*restoreTask, error) {
	request.ParallelFiles = parallelFiles(request.ParallelFiles)
	task := &restoreTask{
		request: request,
		log:     r.log.WithField("snapshotID", request.SnapshotID),
		chunks:  newChunkReader(r.kopia, r.connection.storage.packs),
		slots:   make(chan struct{}, max(request.ParallelFiles, min(chunksPerCPU*runtime.GOMAXPROCS(0), maxChunks))),
	}
	manifest, err := r.completeSnapshot(r.context(ctx), request.SnapshotID)
	if err != nil {
		return task, err
	}
	task.root = manifest.RootEntry
	task.chunks.escapedNames = manifest.Tags[tagEscapedNames] != ""
	task.total = dataSize(manifest)
	return task, nil
}

// completeSnapshot reads a snapshot that can be restored.
func (r *Repository) completeSnapshot(ctx context.Context, id string) (*snapshot.Manifest, error) {
	found, err := loadManifest(ctx, r.kopia, id)
	switch {
	case errors.Is(err, manifest.ErrNotFound), errors.Is(err, snapshot.ErrSnapshotNotFound):
		return nil, fmt.Errorf("%w in the repository of namespace %q", ErrNoSnapshot, r.access.VolumeNamespace)
	case err != nil:
		return nil, err
	case found.IncompleteReason != "":
		return nil, fmt.Errorf("%w: %s", ErrIncompleteSnapshot, found.IncompleteReason)
	}
	return found, nil
}

func (t *restoreTask) run(ctx context.Context) error {
	report := reporting{call: t.request.Progress, interval: t.request.ProgressInterval, now: t.progress}
	defer report.start()()
	t.log.WithFields(logrus.Fields{
		"bytes": t.total, "parallelFiles": t.request.ParallelFiles, "parallelChunks": cap(t.slots),
	}).Info("restore starts")
	if t.request.Block {
		return t.restoreDevice(ctx)
	}
	return t.restoreTree(ctx)
}

// reason says what went wrong at what.
func (t *restoreTask) reason(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		err = ErrCanceled
	}
	return fmt.Errorf("%s snapshot %s: %w", what, t.request.SnapshotID, explain(err))
}

// progress never shows more done than there is.
func (t *restoreTask) progress() Progress {
	return Progress{TotalBytes: t.total, BytesDone: min(t.done.Load(), t.total)}
}
