package upload

import (
	"context"
	"fmt"
	"slices"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// An upload may take several attempts: processes, each of which may get lost at any time and may go on unseen for a
// while after it was given up. What they save is tagged with the UID of their DataUpload. The first snapshot of a
// DataUpload that is complete is its result, whichever attempt saved it: later ones return it, and none deletes it, for
// it may be the one that was recorded.

// manifestsOf lists what attempts at a DataUpload have saved, oldest first.
func manifestsOf(
	ctx context.Context, rep repo.Repository, source snapshot.SourceInfo, dataUploadUID string,
) ([]*snapshot.Manifest, error) {
	ids, err := snapshot.ListSnapshotManifests(ctx, rep, &source, checkpointTags(dataUploadUID))
	if err != nil {
		return nil, err
	}
	found, err := snapshot.LoadSnapshots(ctx, rep, ids)
	if err != nil {
		return nil, err
	}
	return snapshot.SortByTime(found, false), nil
}

// savedBefore returns the complete snapshot that another attempt has saved, nil if there is none. One that does not read
// back is passed over, unless reading it may succeed another time.
func (t *task) savedBefore(ctx context.Context, rep repo.Repository) (*snapshot.Manifest, error) {
	if err := rep.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("look for the snapshot of an earlier attempt: %w", err)
	}
	found, err := manifestsOf(ctx, rep, t.source, t.request.DataUploadUID)
	if err != nil {
		return nil, fmt.Errorf("look for the snapshot of an earlier attempt: %w", err)
	}
	for _, saved := range found {
		if saved.IncompleteReason != "" {
			continue
		}
		log := t.log.WithField("snapshotID", saved.ID)
		err := readBack(ctx, rep, saved)
		if err == nil {
			log.Info("an earlier attempt has completed the snapshot")
			return saved, nil
		}
		if failure.Retryable(err) || ctx.Err() != nil {
			return nil, fmt.Errorf("read back snapshot %s of an earlier attempt: %w", saved.ID, err)
		}
		log.WithError(failure.Explain(err)).Warn("the snapshot of an earlier attempt cannot be read back")
		t.unreadable = append(t.unreadable, saved.ID)
	}
	return nil, nil
}

// deleteSuperseded deletes what the snapshot that was just saved takes the place of: the checkpoints of its own
// DataUpload, those of earlier ones, and what cannot be read. The pin keeps every complete snapshot.
func (t *task) deleteSuperseded(ctx context.Context, writer repo.RepositoryWriter, saved manifest.ID) error {
	found, err := manifestsOf(ctx, writer, t.source, t.request.DataUploadUID)
	if err != nil {
		return err
	}
	for _, m := range found {
		if m.ID == saved || m.IncompleteReason == "" && !slices.Contains(t.unreadable, m.ID) {
			continue
		}
		if err := writer.DeleteManifest(ctx, m.ID); err != nil {
			return err
		}
	}
	// Kopia's own rule takes care of checkpoints that are older than the snapshot, whosever they are.
	_, err = policy.ApplyRetentionPolicy(ctx, writer, t.source, true)
	return err
}

// Discard deletes all that attempts at a DataUpload have saved: nobody wants it any more. What other DataUploads have
// saved of the same volume stays. Call it only if no other attempt can have been successful.
func Discard(ctx context.Context, r *repository.Repository, sourceNamespace, sourcePVC, dataUploadUID string) error {
	ctx = r.Context(ctx)
	if err := discard(ctx, r, repository.SourceOf(sourceNamespace, sourcePVC), dataUploadUID); err != nil {
		return fmt.Errorf("discard what was uploaded of volume %s/%s: %w", sourceNamespace, sourcePVC, failure.Explain(err))
	}
	return nil
}

func discard(ctx context.Context, r *repository.Repository, source snapshot.SourceInfo, dataUploadUID string) error {
	if err := r.Access().Writable(); err != nil {
		return err
	}
	if err := r.Kopia().Refresh(ctx); err != nil {
		return err
	}
	found, err := manifestsOf(ctx, r.Kopia(), source, dataUploadUID)
	if err != nil || len(found) == 0 {
		return err
	}
	return repo.WriteSession(ctx, r.Kopia(), repo.WriteSessionOptions{Purpose: "discard upload"},
		func(ctx context.Context, writer repo.RepositoryWriter) error {
			for _, m := range found {
				if err := writer.DeleteManifest(ctx, m.ID); err != nil {
					return err
				}
			}
			return nil
		})
}
