package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// restoreBufferSize is large enough for a network disk.
const restoreBufferSize = 1 << 20

// RestoreBlock writes a snapshot of a device onto a device or into a file. A device must not be smaller than the
// snapshot; a file is made if missing, and gets the snapshot's size.
func (r *Repository) RestoreBlock(ctx context.Context, snapshotID, targetPath string) error {
	ctx = r.context(ctx)
	if err := r.restoreBlock(ctx, snapshotID, targetPath); err != nil {
		if ctx.Err() != nil {
			err = ErrCanceled
		}
		return fmt.Errorf("restore snapshot %s onto %s: %w", snapshotID, targetPath, explain(err))
	}
	return nil
}

func (r *Repository) restoreBlock(ctx context.Context, snapshotID, targetPath string) error {
	source, err := r.openBlock(ctx, snapshotID)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openTarget(targetPath, source.Length())
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(onlyWriter{target}, untilDone(ctx, source), make([]byte, restoreBufferSize))
	if err == nil {
		err = target.Sync()
	}
	return errors.Join(err, target.Close())
}

// blockReader reads what was on a device.
type blockReader struct {
	fs.Reader

	size int64
}

func (r *blockReader) Length() int64 { return r.size }

// openBlock opens the one file of a snapshot of a device.
func (r *Repository) openBlock(ctx context.Context, snapshotID string) (*blockReader, error) {
	manifest, err := loadManifest(ctx, r.kopia, snapshotID)
	if err != nil {
		return nil, err
	}
	root, err := snapshotfs.SnapshotRoot(r.kopia, manifest)
	if err != nil {
		return nil, err
	}
	directory, ok := root.(fs.Directory)
	if !ok {
		return nil, errors.New("it is not the snapshot of a device")
	}
	entries, err := fs.GetAllEntries(ctx, directory)
	if err != nil {
		return nil, err
	}
	if len(entries) != 1 {
		return nil, errors.New("it is not the snapshot of a device")
	}
	file, ok := entries[0].(fs.File)
	if !ok {
		return nil, errors.New("it is not the snapshot of a device")
	}
	reader, err := file.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &blockReader{Reader: reader, size: file.Size()}, nil
}

func openTarget(path string, size int64) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Type() == os.ModeDevice {
		if available, err := deviceSize(path); err != nil {
			return nil, err
		} else if available < size {
			return nil, fmt.Errorf("the device has %d bytes, but the snapshot %d", available, size)
		}
		return os.OpenFile(path, os.O_WRONLY, 0)
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("the target is neither a block device nor a file")
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, filesystemFileMode)
}

// onlyWriter hides that a file can read for itself, which would get round the buffer's size.
type onlyWriter struct{ io.Writer }

// readerFunc is a reader that is a function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// untilDone reads until the context ends.
func untilDone(ctx context.Context, reader io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return reader.Read(p)
	})
}
