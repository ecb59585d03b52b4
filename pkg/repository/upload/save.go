package upload

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/sirupsen/logrus"

	"github.com/node-agent/node-agent/pkg/repository"
)

// prepare makes the snapshot of the upload, which is none before it is saved, and asks whether it may be.
func (t *task) prepare(ctx context.Context, writer repo.RepositoryWriter, uploaded *snapshot.Manifest) (*snapshot.Manifest, error) {
	// The statistics count files, and the symbolic links found unchanged, which the counter has counted as well.
	read := t.readBefore + uploaded.Stats.TotalFileSize - t.counter.cached.Load()
	tags := snapshotTags(t.request.DataUploadUID, t.request.AsyncOperationID)
	if t.escapedNames() {
		tags[repository.TagEscapedNames] = "true"
	}
	tags = withNotices(t.withFullRead(tags), t.notices())
	prepared := completed(*uploaded, withIncremental(tags, min(read, repository.DataSize(uploaded))))
	// Kopia keeps it in memory until the writer is flushed.
	id, err := snapshot.SaveSnapshot(ctx, writer, prepared)
	if err != nil {
		return nil, fmt.Errorf("prepare snapshot: %w", err)
	}
	if t.request.Confirm == nil {
		return prepared, nil
	}
	if err := t.request.Confirm(ctx, string(id)); err != nil {
		return nil, errors.Join(err, writer.DeleteManifest(context.WithoutCancel(ctx), id))
	}
	return prepared, nil
}

// save makes the prepared snapshot last.
func (t *task) save(ctx context.Context, writer repo.RepositoryWriter, prepared manifest.ID) error {
	if err := t.deleteSuperseded(ctx, writer, prepared); err != nil {
		return fmt.Errorf("remove superseded checkpoints: %w", err)
	}
	if err := writer.Flush(ctx); err != nil {
		return fmt.Errorf("flush snapshot: %w", err)
	}
	return nil
}

func (t *task) result(saved *snapshot.Manifest) Result {
	summary := saved.RootEntry.DirSummary
	result := Result{
		SnapshotID:       string(saved.ID),
		Empty:            summary.TotalFileCount == 0 && summary.TotalSymlinkCount == 0,
		TotalBytes:       summary.TotalFileSize,
		IncrementalBytes: incrementalOf(saved),
		Notices:          noticesOf(saved),
	}
	t.log.WithFields(logrus.Fields{
		"snapshotID": result.SnapshotID, "totalBytes": result.TotalBytes, "incrementalBytes": result.IncrementalBytes,
		"readBytes": t.counter.hashed.Load(), "files": summary.TotalFileCount, "directories": summary.TotalDirCount,
	}).Info("upload is complete")
	return result
}

// completed makes of an uploader's manifest the snapshot that Velero expects.
func completed(manifest snapshot.Manifest, tags map[string]string) *snapshot.Manifest {
	manifest.Description = snapshotDescription
	manifest.Tags = maps.Clone(tags)
	manifest.Pins = []string{snapshotPin}
	return &manifest
}
