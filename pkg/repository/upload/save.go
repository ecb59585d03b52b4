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
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// prepare makes the snapshot of the upload, which is none before it is saved, and asks whether it may be.
func (t *task) prepare(ctx context.Context, writer repo.RepositoryWriter, uploaded *snapshot.Manifest) (*snapshot.Manifest, error) {
	// The statistics count files, and the symbolic links found unchanged, which the counter has counted as well.
	read := t.readBefore + uploaded.Stats.TotalFileSize - t.counter.cached.Load()
	tags := snapshotTags(t.request.DataUploadUID, t.request.AsyncOperationID)
	if t.escapedNames.Load() {
		tags[repository.TagEscapedNames] = "true"
	}
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

// verify reads the snapshot back, and deletes it if that fails: nobody would ever know its ID.
func (t *task) verify(ctx context.Context, saved *snapshot.Manifest) error {
	err := t.repository.Kopia().Refresh(ctx)
	if err == nil {
		err = readBack(ctx, t.repository.Kopia(), saved)
	}
	if err == nil {
		return nil
	}
	deleteErr := repo.WriteSession(ctx, t.repository.Kopia(), repo.WriteSessionOptions{Purpose: "delete unverified snapshot"},
		func(ctx context.Context, writer repo.RepositoryWriter) error {
			return writer.DeleteManifest(ctx, saved.ID)
		})
	if deleteErr != nil {
		t.log.WithError(failure.Explain(deleteErr)).WithField("snapshotID", saved.ID).
			Error("a snapshot that could not be verified is left over")
	}
	return fmt.Errorf("verify snapshot %s: %w", saved.ID, err)
}

func (t *task) result(saved *snapshot.Manifest) Result {
	summary := saved.RootEntry.DirSummary
	result := Result{
		SnapshotID:       string(saved.ID),
		Empty:            summary.TotalFileCount == 0 && summary.TotalSymlinkCount == 0,
		TotalBytes:       summary.TotalFileSize,
		IncrementalBytes: incrementalOf(saved),
	}
	t.log.WithFields(logrus.Fields{
		"snapshotID": result.SnapshotID, "totalBytes": result.TotalBytes, "incrementalBytes": result.IncrementalBytes,
		"readBytes": t.counter.hashed.Load(), "files": summary.TotalFileCount, "directories": summary.TotalDirCount,
	}).Info("upload is complete")
	return result
}

// readBack reads a snapshot, and finds in the index all that its root consists of.
func readBack(ctx context.Context, rep repo.Repository, saved *snapshot.Manifest) error {
	found, err := repository.LoadManifest(ctx, rep, string(saved.ID))
	if err != nil {
		return err
	}
	if found.RootObjectID() != saved.RootObjectID() {
		return fmt.Errorf("its content is %s instead of %s", found.RootObjectID(), saved.RootObjectID())
	}
	_, err = rep.VerifyObject(ctx, found.RootObjectID())
	return err
}

// completed makes of an uploader's manifest the snapshot that Velero expects.
func completed(manifest snapshot.Manifest, tags map[string]string) *snapshot.Manifest {
	manifest.Description = snapshotDescription
	manifest.Tags = maps.Clone(tags)
	manifest.Pins = []string{snapshotPin}
	return &manifest
}
