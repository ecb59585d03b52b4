package repository

import (
	"context"
	"fmt"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"
	"github.com/sirupsen/logrus"
)

// confirm asks whether the snapshot may be made.
func (t *uploadTask) confirm(ctx context.Context) error {
	if t.request.Confirm == nil {
		return nil
	}
	return t.request.Confirm(ctx)
}

// save makes the upload a snapshot.
func (t *uploadTask) save(ctx context.Context, writer repo.RepositoryWriter, uploaded *snapshot.Manifest) (*snapshot.Manifest, error) {
	// The statistics count files, and the symbolic links found unchanged, which the counter has counted as well.
	read := t.readBefore + uploaded.Stats.TotalFileSize - t.counter.cached.Load()
	tags := snapshotTags(t.request.DataUploadUID, t.request.AsyncOperationID)
	saved := completed(uploaded, withIncremental(tags, min(read, dataSize(uploaded))))
	id, err := snapshot.SaveSnapshot(ctx, writer, saved)
	if err != nil {
		return nil, fmt.Errorf("save snapshot: %w", err)
	}
	if err := t.deleteSuperseded(ctx, writer, id); err != nil {
		return nil, fmt.Errorf("remove superseded checkpoints: %w", err)
	}
	if err := writer.Flush(ctx); err != nil {
		return nil, fmt.Errorf("flush snapshot: %w", err)
	}
	return saved, nil
}

// verify reads the snapshot back, and deletes it if that fails: nobody would ever know its ID.
func (t *uploadTask) verify(ctx context.Context, saved *snapshot.Manifest) error {
	err := t.repository.kopia.Refresh(ctx)
	if err == nil {
		err = readBack(ctx, t.repository.kopia, saved)
	}
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

func (t *uploadTask) result(saved *snapshot.Manifest) UploadResult {
	summary := saved.RootEntry.DirSummary
	result := UploadResult{
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
	found, err := loadManifest(ctx, rep, string(saved.ID))
	if err != nil {
		return err
	}
	if found.RootObjectID() != saved.RootObjectID() {
		return fmt.Errorf("its content is %s instead of %s", found.RootObjectID(), saved.RootObjectID())
	}
	_, err = rep.VerifyObject(ctx, found.RootObjectID())
	return err
}
