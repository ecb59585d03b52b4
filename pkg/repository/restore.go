package repository

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/kopia/kopia/snapshot/restore"
	"github.com/kopia/kopia/snapshot/snapshotfs"
	"golang.org/x/sys/unix"
)

// Restore writes a snapshot of a file system into a directory, with modes and times, as root also with owners. Holes
// are left in files where there are long runs of zeros. Existing files are overwritten, others stay.
func (r *Repository) Restore(ctx context.Context, snapshotID, targetDir string) error {
	ctx = r.context(ctx)
	if err := r.restore(ctx, snapshotID, targetDir); err != nil {
		if ctx.Err() != nil {
			err = ErrCanceled
		}
		return fmt.Errorf("restore snapshot %s into %s: %w", snapshotID, targetDir, explain(err))
	}
	return nil
}

func (r *Repository) restore(ctx context.Context, snapshotID, targetDir string) error {
	manifest, err := loadManifest(ctx, r.kopia, snapshotID)
	if err != nil {
		return err
	}
	root, err := snapshotfs.SnapshotRoot(r.kopia, manifest)
	if err != nil {
		return err
	}
	output := &restore.FilesystemOutput{
		TargetPath:           targetDir,
		OverwriteDirectories: true,
		OverwriteFiles:       true,
		OverwriteSymlinks:    true,
		SkipOwners:           os.Geteuid() != 0,
		WriteSparseFiles:     true,
	}
	if err := output.Init(ctx); err != nil {
		return err
	}
	canceled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { close(canceled) })
	defer stop()
	options := restore.Options{
		Parallel:               parallelFiles(0),
		RestoreDirEntryAtDepth: math.MaxInt32, // at all depths files, not placeholders
		Cancel:                 canceled,
	}
	if _, err := restore.Entry(ctx, r.kopia, &exactTimes{FilesystemOutput: output, rep: r.kopia}, root, options); err != nil {
		return err
	}
	// Kopia returns no error if it was canceled.
	if err := ctx.Err(); err != nil {
		return err
	}
	return syncFilesystem(targetDir)
}

// syncFilesystem brings all that was written to disk at once, which costs far less than doing so for each file.
func syncFilesystem(dir string) error {
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := unix.Syncfs(int(root.Fd())); err != nil {
		return fmt.Errorf("flush file system: %w", err)
	}
	return nil
}
