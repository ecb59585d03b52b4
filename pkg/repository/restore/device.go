package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/repository/target"
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
	file, err := target.OpenDevice(path, entry.FileSize)
	if err != nil {
		return onTarget("open", path, err)
	}
	err = t.restoreContent(ctx, &output{path: path, file: file, stale: t.request.Resume}, chunks)
	if err == nil {
		err = onTarget("clear the rest of", path, file.ClearFrom(ctx, entry.FileSize, t.mayWrite))
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
		if entries, err = t.chunks.readDirectory(ctx, &target.Folder{}, t.root.ObjectID); err != nil {
			return nil, err
		}
	}
	if len(entries) != 1 || entries[0].Type != snapshot.EntryTypeFile {
		return nil, errors.New("it is not the snapshot of a device")
	}
	return entries[0], nil
}
