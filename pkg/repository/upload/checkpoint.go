package upload

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	kopiaupload "github.com/kopia/kopia/snapshot/upload"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

const (
	// defaultCheckpointInterval is how much of the time spent on an upload its loss may cost. Without a checkpoint nothing is
	// found again but what Kopia has written into its index, which it does every 10 minutes, and even that is read anew.
	defaultCheckpointInterval = 5 * time.Minute

	// interruptTimeout limits the last checkpoint of an upload that is interrupted. With what else a mover does then, it
	// ends within the 30 seconds of its pod.
	interruptTimeout = 15 * time.Second
)

var errUploadEnded = errors.New("the upload has ended")

// interrupted tells an interruption from a cancellation.
func interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), failure.ErrInterrupted)
}

// lasting returns a context that ends with ctx, but outlives an interruption for as long as a last checkpoint may take.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	working, abort := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if interrupted(ctx) {
			time.AfterFunc(interruptTimeout, abort)
			return
		}
		abort()
	})
	return working, func() {
		stop()
		abort()
	}
}

// checkpointWriter is what Kopia's uploader writes with. It keeps one checkpoint of the upload, the latest, where Kopia
// keeps all of the last four hours, and none that is late: Kopia does not wait for one that is being made when the upload
// ends, so that it would appear beside the complete snapshot.
type checkpointWriter struct {
	repo.RepositoryWriter

	// incremental is how much was read so far.
	incremental func() int64

	mu       sync.Mutex
	ended    bool
	last     manifest.ID
	firstErr error
}

// PutManifest saves a checkpoint in place of the one before.
func (w *checkpointWriter) PutManifest(ctx context.Context, labels map[string]string, payload any) (manifest.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return "", errUploadEnded
	}
	if checkpoint, ok := payload.(*snapshot.Manifest); ok {
		labels = withIncremental(labels, w.incremental())
		checkpoint.Tags = withIncremental(checkpoint.Tags, w.incremental())
	}
	id, err := w.RepositoryWriter.PutManifest(ctx, labels, payload)
	if err == nil && w.last != "" {
		err = w.DeleteManifest(ctx, w.last)
	}
	w.last = id
	return id, w.remember(err)
}

// FindManifests is how a checkpoint looks for those that it supersedes.
func (w *checkpointWriter) FindManifests(ctx context.Context, labels map[string]string) ([]*manifest.EntryMetadata, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, err := w.RepositoryWriter.FindManifests(ctx, labels)
	return found, w.remember(err)
}

// Flush makes a checkpoint last.
func (w *checkpointWriter) Flush(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return errUploadEnded
	}
	return w.remember(w.RepositoryWriter.Flush(ctx))
}

// remember keeps the first error: one of a checkpoint makes Kopia cancel the upload without saying why.
func (w *checkpointWriter) remember(err error) error {
	if w.firstErr == nil {
		w.firstErr = err
	}
	return err
}

// end waits for a checkpoint that is being written, and lets no other begin. It returns the latest, and why one failed.
func (w *checkpointWriter) end() (manifest.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	return w.last, w.firstErr
}

// keep leaves what was uploaded for a later attempt. It makes the best of an upload that has failed already, so that it
// returns nothing.
func (t *task) keep(ctx context.Context, writer repo.RepositoryWriter, uploaded *snapshot.Manifest, last manifest.ID) {
	checkpoint := *uploaded
	checkpoint.IncompleteReason = kopiaupload.IncompleteReasonCheckpoint
	checkpoint.Tags = withIncremental(t.withFullRead(checkpointTags(t.request.DataUploadUID)), t.incrementalSoFar())
	id, err := snapshot.SaveSnapshot(ctx, writer, &checkpoint)
	if err == nil && last != "" {
		err = writer.DeleteManifest(ctx, last)
	}
	if err == nil {
		err = writer.Flush(ctx)
	}
	if err != nil {
		t.log.WithError(failure.Explain(err)).Warn("cannot keep what was uploaded for a later attempt")
		return
	}
	t.log.WithField("checkpoint", id).Info("what was uploaded is kept for a later attempt")
}

// incrementalSoFar is how much of the volume all attempts have read of what no snapshot had.
func (t *task) incrementalSoFar() int64 {
	return t.readBefore + t.counter.read.Load()
}

// withIncremental adds the tag for how much was read.
func withIncremental(tags map[string]string, bytes int64) map[string]string {
	result := maps.Clone(tags)
	result[tagIncremental] = strconv.FormatInt(bytes, 10)
	return result
}

// incrementalOf reads the tag. Snapshots of other programs do not have it.
func incrementalOf(manifest *snapshot.Manifest) int64 {
	bytes, err := strconv.ParseInt(manifest.Tags[tagIncremental], 10, 64)
	if err != nil {
		return 0
	}
	return bytes
}
