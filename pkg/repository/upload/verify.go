package upload

import (
	"context"
	"fmt"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// verify reads the snapshot back, and deletes it if that fails: nobody would ever know its ID. Its sample of packs ends with ctx.
// If working ends before the rest is done, the snapshot stays: a later attempt returns it, or Discard deletes it.
func (t *task) verify(ctx, working context.Context, saved *snapshot.Manifest) error {
	err := t.repository.Kopia().Refresh(working)
	if err == nil {
		err = readBack(working, t.repository.Kopia(), saved)
	}
	if err == nil {
		err = t.readBackPacks(ctx)
	}
	if err == nil || working.Err() != nil {
		return err
	}
	deleteErr := repo.WriteSession(working, t.repository.Kopia(), repo.WriteSessionOptions{Purpose: "delete unverified snapshot"},
		func(ctx context.Context, writer repo.RepositoryWriter) error {
			return writer.DeleteManifest(ctx, saved.ID)
		})
	if deleteErr != nil {
		t.log.WithError(failure.Explain(deleteErr)).WithField("snapshotID", saved.ID).
			Error("a snapshot that could not be verified is left over")
	}
	return fmt.Errorf("verify snapshot %s: %w", saved.ID, err)
}

// readBackPacks compares some of the packs that this attempt has written with what the store returns. A snapshot that nobody
// wants, or that another process waits for, is not held up by it.
func (t *task) readBackPacks(ctx context.Context) error {
	packs, err := t.repository.Store().ReadBack(ctx, t.parallel, t.inUse)
	switch {
	case ctx.Err() != nil:
		t.log.Info("the upload ends before all of the sample was read back")
		err = nil
	case err == nil && packs > 0:
		t.log.WithField("packs", packs).Info("a sample of the upload was read back from the store")
	}
	return err
}

// inUse tells whether the repository refers to a pack. Maintenance may have put its contents into another one.
func (t *task) inUse(ctx context.Context, pack blob.ID) (used bool, err error) {
	if err := t.repository.Kopia().Refresh(ctx); err != nil {
		return false, err
	}
	err = t.repository.Kopia().ContentReader().IteratePacks(ctx, content.IteratePackOptions{Prefixes: []blob.ID{pack}},
		func(content.PackInfo) error {
			used = true
			return nil
		})
	return used, err
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
