package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/filesystem"

	"github.com/node-agent/node-agent/pkg/location/settings"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

const (
	filesystemFileMode = 0o600
	filesystemDirMode  = 0o700
)

// openFilesystem opens a directory that is mounted at the same path wherever the location is used.
func openFilesystem(ctx context.Context, access Access, create bool) (blob.Storage, error) {
	root := access.setting(settings.FilesystemPath)
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("config.%s must be an absolute path, found %q", settings.FilesystemPath, root)
	}
	// The root is never created: a missing one is a volume that is not mounted here, and data written beside it would
	// be lost with the pod.
	if info, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("directory %s of the location is not available here: %w", root, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("config.%s must be a directory, but %s is none", settings.FilesystemPath, root)
	}

	options := &filesystem.Options{
		Path:          filepath.Join(root, access.prefix()),
		FileMode:      filesystemFileMode,
		DirectoryMode: filesystemDirMode,
	}
	if create {
		if err := os.MkdirAll(options.Path, filesystemDirMode); err != nil {
			return nil, fmt.Errorf("create the directory of the repository: %w", err)
		}
	} else if _, err := os.Stat(options.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: directory %s does not exist", failure.ErrNotInitialized, options.Path)
	}
	return filesystem.New(ctx, options, create)
}
