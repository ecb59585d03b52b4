package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

const (
	stateDirMode   = 0o700
	configFileMode = 0o600
)

// storageType is the type of the store in Kopia's configuration file. Kopia insists on opening the store itself, from
// that file. This type takes an open one from the context, so that no secret is ever written to disk.
const storageType = "node-agent"

type storageKey struct{}

func init() {
	blob.AddSupportedStorage(storageType, struct{}{}, func(ctx context.Context, _ *struct{}, _ bool) (blob.Storage, error) {
		storage, ok := ctx.Value(storageKey{}).(blob.Storage)
		if !ok {
			return nil, errors.New("the context holds no open store")
		}
		return storage, nil
	})
}

// connection is to an open store.
type connection struct {
	store *store.Store

	// end ends the context that the store, and all that is built on it, live in.
	end context.CancelFunc
}

// connect opens the store of a location, and goes on to use it. Who calls it names the location in errors. What was opened
// outlives ctx: the context that use is called with lives until the connection ends. All of it may take as long as the store
// gets on.
func connect(
	ctx context.Context, access Access, create bool, use func(context.Context, *connection) error,
) (*connection, error) {
	if err := access.validate(); err != nil {
		return nil, err
	}
	life, end := context.WithCancel(withLog(context.WithoutCancel(ctx), access.log()))
	timer := time.AfterFunc(store.StallTimeout, end)
	release := context.AfterFunc(ctx, end)
	defer release()

	result := &connection{end: end}
	opened, err := store.Open(life, access.Access, create)
	timer.Stop()
	if err == nil {
		result.store = opened
		err = use(life, result)
	}
	if err == nil {
		return result, nil
	}
	// What the store says when it was interrupted is less telling than who interrupted it.
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", failure.ErrCanceled, err)
	case life.Err() != nil:
		err = fmt.Errorf("no answer in %s: %w: %w", store.StallTimeout, context.DeadlineExceeded, err)
	}
	result.end()
	return nil, failure.Explain(err)
}

// openKopia opens the repository in the store.
func (c *connection) openKopia(ctx context.Context, access Access) (repo.DirectRepository, error) {
	file, err := c.writeConfig(ctx, access)
	if err != nil {
		return nil, err
	}
	log := access.log()
	opened, err := repo.Open(context.WithValue(ctx, storageKey{}, c.store), file, access.Password, &repo.Options{
		// Logs in the repository cost requests and serve nobody: what they hold is in our own log.
		DisableRepositoryLog: true,
		DoNotWaitForUpgrade:  true,
		// Kopia's default ends the process.
		OnFatalError: func(err error) { log.WithError(err).Error("the repository can no longer be used") },
	})
	switch {
	case errors.Is(err, repo.ErrInvalidPassword):
		return nil, fmt.Errorf("%w: that in key %q of secret %s/%s does not open it", failure.ErrWrongPassword,
			velerov1.RepositoryPasswordKey, access.Location.Namespace, velerov1.RepositoryPasswordSecret)
	case errors.Is(err, blob.ErrBlobNotFound):
		return nil, c.notInitialized(ctx)
	case err != nil:
		return nil, fmt.Errorf("open repository: %w", err)
	}
	direct, ok := opened.(repo.DirectRepository)
	if !ok {
		return nil, errors.Join(errors.New("open repository: it is not in a store of its own"), opened.Close(ctx))
	}
	return direct, nil
}

// notInitialized tells a store without a repository from a bucket that does not exist: Kopia reports both alike.
func (c *connection) notInitialized(ctx context.Context) error {
	shown := false
	err := c.store.ListBlobs(ctx, formatBlobID, func(found blob.Metadata) error {
		shown = shown || found.BlobID == formatBlobID
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("look for the repository: %w", err)
	case shown:
		return fmt.Errorf("open repository: blob %s: %w", formatBlobID, failure.ErrNotShown)
	}
	return failure.ErrNotInitialized
}

// writeConfig writes the configuration file from which Kopia opens a repository.
func (c *connection) writeConfig(ctx context.Context, access Access) (string, error) {
	stateDir, err := filepath.Abs(access.StateDir)
	if err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	if err := os.MkdirAll(stateDir, stateDirMode); err != nil {
		return "", fmt.Errorf("create state directory: %w", err)
	}
	// The directory may have been made by someone else, with another mode.
	if err := os.Chmod(stateDir, stateDirMode); err != nil {
		return "", fmt.Errorf("protect state directory: %w", err)
	}
	caching, err := c.caching(ctx, access, stateDir)
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(repo.LocalConfig{
		Storage: &blob.ConnectionInfo{Type: storageType, Config: struct{}{}},
		Caching: caching,
		ClientOptions: repo.ClientOptions{
			Hostname: clientHost, Username: clientUser, Description: "node-agent",
			// Else even a look at the snapshots may write: with 16 contents of manifests Kopia makes one of them.
			ReadOnly:                access.Restore || access.Writable() != nil,
			FormatBlobCacheDuration: -1, // read the format from the store when opening, not a copy of an earlier time
		},
	})
	if err != nil {
		return "", fmt.Errorf("encode the configuration of kopia: %w", err)
	}
	file := filepath.Join(stateDir, "kopia.config")
	if err := os.WriteFile(file, config, configFileMode); err != nil {
		return "", fmt.Errorf("write the configuration of kopia: %w", err)
	}
	return file, nil
}
