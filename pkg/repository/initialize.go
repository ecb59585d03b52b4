package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/format"
	"github.com/kopia/kopia/repo/maintenance"

	"github.com/node-agent/node-agent/pkg/repository/store"
)

const formatBlobID = format.KopiaRepositoryBlobID

// repositoryBlob matches the IDs of all blobs that a repository may have: Kopia's format, logs, index, packs and sessions, and
// Velero's marker.
var repositoryBlob = regexp.MustCompile(`^(kopia\.|udmrepo\.|_log_|x[a-z][0-9]+(_|$)|[lmnpqs][0-9a-f]{16})`)

// Initialize makes the repository, if it does not exist, so that a Velero server takes it for one of its own. Each step
// looks first at what is there: it may be called again at any time, also after it was cut off between two steps.
// Errors include failure.ErrLocationReadOnly and failure.ErrWrongPassword.
func Initialize(ctx context.Context, access Access) error {
	connection, err := connect(ctx, access, true, func(ctx context.Context, c *connection) error {
		if err := access.Writable(); err != nil {
			return err
		}
		if err := ensureFormat(ctx, c.store, access.Password); err != nil {
			return err
		}
		opened, err := c.openKopia(ctx, access)
		if err != nil {
			return err
		}
		err = ensureMaintenance(ctx, opened, access.FullMaintenanceInterval)
		if err == nil {
			// Last, since Velero takes a repository with a marker for complete.
			err = ensureMarker(ctx, c.store, opened.UniqueID())
		}
		return errors.Join(err, opened.Close(ctx))
	})
	if err != nil {
		return fmt.Errorf("initialize the repository of %s: %w", access, err)
	}
	connection.end()
	return nil
}

// ensureFormat writes the format blobs with Kopia's defaults, as Velero does.
func ensureFormat(ctx context.Context, storage blob.Storage, password string) error {
	_, err := store.ReadBlob(ctx, storage, formatBlobID)
	if err == nil {
		return nil
	}
	if !errors.Is(err, blob.ErrBlobNotFound) {
		return fmt.Errorf("look for the repository: %w", err)
	}
	if err := clearLeftovers(ctx, storage); err != nil {
		return err
	}
	err = repo.Initialize(ctx, storage, nil, password)
	if err != nil && !errors.Is(err, repo.ErrAlreadyInitialized) {
		return fmt.Errorf("create repository: %w", err)
	}
	return nil
}

// clearLeftovers removes what an initialisation that was cut off may leave before the format blob. Kopia refuses to
// start over on top of it. Other blobs of Kopia's or Velero's are the data of a repository that has lost its format, and are
// not touched. What neither of them has made, such as the marker of a folder or a README, is of no concern.
func clearLeftovers(ctx context.Context, storage blob.Storage) error {
	var found []blob.ID
	err := storage.ListBlobs(ctx, "", func(metadata blob.Metadata) error {
		if repositoryBlob.MatchString(string(metadata.BlobID)) {
			found = append(found, metadata.BlobID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for the repository: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	if !slices.Equal(found, []blob.ID{format.KopiaBlobCfgBlobID}) {
		return fmt.Errorf("the repository is damaged: it holds %d blobs, but not %s", len(found), formatBlobID)
	}
	if err := storage.DeleteBlob(ctx, format.KopiaBlobCfgBlobID); err != nil {
		return fmt.Errorf("remove what an interrupted initialization left: %w", err)
	}
	return nil
}

// ensureMaintenance makes the Velero server, which connects as the same user, the owner of the maintenance. As with Velero, the
// interval counts then only: one that somebody has changed since stays.
func ensureMaintenance(ctx context.Context, opened repo.DirectRepository, fullInterval time.Duration) error {
	owner := opened.ClientOptions().UsernameAtHost()
	present, err := maintenance.HasParams(ctx, opened)
	if err != nil {
		return fmt.Errorf("read maintenance parameters: %w", err)
	}
	if present {
		params, err := maintenance.GetParams(ctx, opened)
		if err != nil {
			return fmt.Errorf("read maintenance parameters: %w", err)
		}
		if params.Owner == owner {
			return nil
		}
	}
	params := maintenance.DefaultParams()
	params.Owner = owner
	params.FullCycle.Interval = cmp.Or(fullInterval, params.FullCycle.Interval)
	err = repo.WriteSession(ctx, opened, repo.WriteSessionOptions{Purpose: "set maintenance parameters"},
		func(ctx context.Context, writer repo.RepositoryWriter) error {
			return maintenance.SetParams(ctx, writer, &params)
		})
	if err != nil {
		return fmt.Errorf("set maintenance parameters: %w", err)
	}
	return nil
}
