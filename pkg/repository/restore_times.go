package repository

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/restore"
	"golang.org/x/sys/unix"
)

// exactTimes restores modification times that Kopia stores but does not restore as they were: when it reads a directory it
// shows for each directory in it the time of the newest file below, and it sets those of links to the microsecond only.
type exactTimes struct {
	*restore.FilesystemOutput

	rep   repo.Repository
	times sync.Map // of fs.UTCTimestamp by path relative to the target, from when the parent begins until it is finished
}

// BeginDirectory remembers the times of the directories in this one.
func (d *exactTimes) BeginDirectory(ctx context.Context, relativePath string, directory fs.Directory) error {
	if err := d.FilesystemOutput.BeginDirectory(ctx, relativePath, directory); err != nil {
		return err
	}
	stored, ok := directory.(object.HasObjectID)
	if !ok {
		return nil
	}
	reader, err := d.rep.OpenObject(ctx, stored.ObjectID())
	if err != nil {
		return fmt.Errorf("read directory %s: %w", relativePath, err)
	}
	defer reader.Close()
	var content snapshot.DirManifest
	if err := json.NewDecoder(reader).Decode(&content); err != nil {
		return fmt.Errorf("read directory %s: %w", relativePath, err)
	}
	for _, entry := range content.Entries {
		if entry.Type == snapshot.EntryTypeDirectory {
			d.times.Store(path.Join(relativePath, entry.Name), entry.ModTime)
		}
	}
	return nil
}

// FinishDirectory comes when all of a directory is written.
func (d *exactTimes) FinishDirectory(ctx context.Context, relativePath string, directory fs.Directory) error {
	if err := d.FilesystemOutput.FinishDirectory(ctx, relativePath, directory); err != nil {
		return err
	}
	// The root has no parent, and the right time.
	time, ok := d.times.LoadAndDelete(path.Clean(relativePath))
	if !ok {
		return nil
	}
	modified := time.(fs.UTCTimestamp).ToTime()
	return os.Chtimes(filepath.Join(d.TargetPath, filepath.FromSlash(relativePath)), modified, modified)
}

// CreateSymlink creates a link with its time to the nanosecond.
func (d *exactTimes) CreateSymlink(ctx context.Context, relativePath string, link fs.Symlink) error {
	if err := d.FilesystemOutput.CreateSymlink(ctx, relativePath, link); err != nil {
		return err
	}
	path := filepath.Join(d.TargetPath, filepath.FromSlash(relativePath))
	modified := unix.NsecToTimespec(link.ModTime().UnixNano())
	err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{modified, modified}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("set the time of link %s: %w", relativePath, err)
	}
	return nil
}
