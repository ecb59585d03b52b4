// Package restore writes snapshots into volumes.
package restore

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

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/target"
)

// chunksPerCPU and maxChunks bound how many chunks are under way at the same time: while some wait for the store, others are
// decrypted. Each takes up to some 20 MiB of memory.
const (
	chunksPerCPU = 4
	maxChunks    = 16
)

// Request says which snapshot goes where.
type Request struct {
	// SnapshotID is the ID of the snapshot.
	SnapshotID string

	// Path is the mount point of the volume, or its device.
	Path string

	// Block says that Path is a device. A device must not be smaller than the snapshot. A regular file passes for one, is made
	// if missing, and gets the size of the snapshot.
	Block bool

	// Resume says that an earlier attempt may have written parts. Those of a device are read, and left alone where they are
	// right. Those of files are found without it, but then packs may be read that hold nothing else.
	Resume bool

	// ParallelFiles is the number of files written at the same time. Zero means as many as the process may use CPUs, up
	// to 16. Parts of a large file are written at the same time, too.
	ParallelFiles int

	// Strict says that an owner, mode, time or symbolic link that the volume refuses or does not keep is an error, not
	// a notice.
	Strict bool

	// MayWrite is asked before each change of the volume, and often at the same time. Its error ends the restore. Nil forbids nothing.
	MayWrite func() error

	// Progress is called at most every ProgressInterval and once at the end of a successful restore, never twice at the
	// same time. It may be nil.
	Progress func(repository.Progress)

	// ProgressInterval defaults to 10 seconds.
	ProgressInterval time.Duration
}

// Result describes what was restored.
type Result struct {
	// TotalBytes is the size of the data.
	TotalBytes int64

	// FoundBytes is how much of it was there already, and right.
	FoundBytes int64

	// Notices say what of the snapshot the volume does not have, or may have no room for.
	Notices []notice.Notice
}

// Run writes a snapshot into a volume, and returns once it is on disk. Entries of a file system get the modes and times, and
// if the process runs as root the owners, that they had, as far as the volume can hold them; Result.Notices say what it
// does not hold. Where a file has zeros a hole is left. Entries that are not in the snapshot are left alone;
// files and symbolic links that are in the way are replaced, directories that are in the way are an error.
//
// After an error, or if the process was killed, the same request goes on: what is there already and has the hash that it
// should have is neither read from the repository nor written again.
//
// Errors include *failure.TargetError, failure.ErrCanceled, once ctx ends, failure.ErrNoSnapshot and failure.ErrIncompleteSnapshot.
func Run(ctx context.Context, r *repository.Repository, request Request) (Result, error) {
	task, err := newTask(ctx, r, request)
	if err == nil {
		err = task.run(r.Context(ctx))
	}
	if err != nil {
		return Result{}, task.reason(ctx, "restore", err)
	}
	result := Result{TotalBytes: task.total, FoundBytes: task.found.Load(), Notices: task.notices.Notices()}
	if request.Progress != nil {
		request.Progress(repository.Progress{TotalBytes: result.TotalBytes, BytesDone: result.TotalBytes})
	}
	return result, nil
}

// task is one restore, or the verification of one.
type task struct {
	request Request
	log     logrus.FieldLogger

	root   *snapshot.DirEntry
	chunks *chunkReader
	// volume reaches what is restored into, if it is a file system.
	volume *target.Volume
	// tooSmall says that the volume seems to have no room for all; empty if it has.
	tooSmall string
	// slots bounds how many chunks are under way.
	slots chan struct{}

	total       int64
	done, found atomic.Int64
	notices     notice.Counter
}

func newTask(ctx context.Context, r *repository.Repository, request Request) (*task, error) {
	request.ParallelFiles = repository.ParallelFiles(request.ParallelFiles)
	task := &task{
		request: request,
		log:     r.Log().WithField("snapshotID", request.SnapshotID),
		chunks:  newChunkReader(r.Kopia(), r.Store().Packs()),
		slots:   make(chan struct{}, max(request.ParallelFiles, min(chunksPerCPU*runtime.GOMAXPROCS(0), maxChunks))),
	}
	manifest, err := completeSnapshot(r.Context(ctx), r, request.SnapshotID)
	if err != nil {
		return task, err
	}
	task.root = manifest.RootEntry
	task.chunks.escapedNames = manifest.Tags[repository.TagEscapedNames] != ""
	task.total = repository.DataSize(manifest)
	return task, nil
}

// completeSnapshot reads a snapshot that can be restored.
func completeSnapshot(ctx context.Context, r *repository.Repository, id string) (*snapshot.Manifest, error) {
	found, err := repository.LoadManifest(ctx, r.Kopia(), id)
	switch {
	case errors.Is(err, manifest.ErrNotFound), errors.Is(err, snapshot.ErrSnapshotNotFound):
		return nil, fmt.Errorf("%w in the repository of namespace %q", failure.ErrNoSnapshot, r.Access().VolumeNamespace)
	case err != nil:
		return nil, err
	case found.IncompleteReason != "":
		return nil, fmt.Errorf("%w: %s", failure.ErrIncompleteSnapshot, found.IncompleteReason)
	}
	return found, nil
}

func (t *task) run(ctx context.Context) error {
	report := repository.ProgressReports{Call: t.request.Progress, Interval: t.request.ProgressInterval, Now: t.progress}
	defer report.Start()()
	t.log.WithFields(logrus.Fields{
		"bytes": t.total, "parallelFiles": t.request.ParallelFiles, "parallelChunks": cap(t.slots),
	}).Info("restore starts")
	if t.request.Block {
		return t.restoreDevice(ctx)
	}
	return t.restoreTree(ctx)
}

// mayWrite is asked before each change of the volume.
func (t *task) mayWrite() error {
	if t.request.MayWrite == nil {
		return nil
	}
	return t.request.MayWrite()
}

// reason says what went wrong at what.
func (t *task) reason(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		err = failure.ErrCanceled
	}
	return fmt.Errorf("%s snapshot %s: %w", what, t.request.SnapshotID, failure.Explain(err))
}

// onTarget makes a failure.TargetError of an error at a path, which is a string or has one.
func onTarget(op string, path any, err error) error {
	if err == nil {
		return nil
	}
	return &failure.TargetError{Op: op, Path: fmt.Sprint(path), Err: err}
}

// progress never shows more done than there is.
func (t *task) progress() repository.Progress {
	return repository.Progress{TotalBytes: t.total, BytesDone: min(t.done.Load(), t.total)}
}
