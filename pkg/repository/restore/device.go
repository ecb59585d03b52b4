package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/repository/block"
)

// restoreDevice restores a device.
func (t *task) restoreDevice(ctx context.Context) error {
	entry, err := t.deviceEntry(ctx)
	if err != nil {
		return err
	}
	chunks, err := t.chunks.list(ctx, entry.ObjectID, entry.FileSize)
	if err != nil {
		return fmt.Errorf("read the device from the repository: %w", err)
	}
	if err := t.mayWrite(); err != nil {
		return err
	}
	path := t.request.Path
	file, err := openDevice(path, entry.FileSize)
	if err != nil {
		return onTarget("open", path, err)
	}
	err = t.restoreContent(ctx, &output{path: path, file: file, out: device{file}, stale: t.request.Resume}, chunks)
	if err == nil {
		err = onTarget("clear the rest of", path, t.clearFrom(ctx, file, entry.FileSize))
	}
	if err == nil {
		err = onTarget("flush", path, file.Sync())
	}
	return errors.Join(err, onTarget("close", path, file.Close()))
}

// deviceEntry is the one file that a snapshot of a device has.
func (t *task) deviceEntry(ctx context.Context) (*snapshot.DirEntry, error) {
	var entries []*snapshot.DirEntry
	if t.root.Type == snapshot.EntryTypeDirectory {
		var err error
		if entries, err = t.chunks.readDirectory(ctx, &folder{}, t.root.ObjectID); err != nil {
			return nil, err
		}
	}
	if len(entries) != 1 || entries[0].Type != snapshot.EntryTypeFile {
		return nil, errors.New("it is not the snapshot of a device")
	}
	return entries[0], nil
}

// openDevice opens a device of at least that size, or makes the file that passes for one of that size.
func openDevice(path string, size int64) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Type() == os.ModeDevice {
		if available, err := block.Size(path); err != nil {
			return nil, err
		} else if available < size {
			return nil, fmt.Errorf("the device has %d bytes, but the snapshot %d", available, size)
		}
		return os.OpenFile(path, os.O_RDWR, 0)
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is neither a block device nor a file")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, newFileMode)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(size); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
