package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	kopiafs "github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository/target"
)

// restoreTree restores a file system.
func (t *task) restoreTree(ctx context.Context) error {
	volume, err := target.OpenVolume(t.request.Path)
	if err != nil {
		return onTarget("open", t.request.Path, err)
	}
	defer volume.Close()
	t.volume = volume
	if err := t.compareRoom(); err != nil {
		return err
	}
	tree := &treeRestore{task: t}
	if err := visit(ctx, t.chunks, t.root, t.request.ParallelFiles, tree); err != nil {
		return t.withRoom(err)
	}
	if err := tree.finishDirectories(); err != nil {
		return err
	}
	// All is brought to disk at once, which costs far less than doing so for each file.
	return onTarget("flush", t.request.Path, volume.Sync())
}

// attributesOf are those of an entry of a snapshot.
func attributesOf(entry *snapshot.DirEntry) target.Attributes {
	result := target.Attributes{
		Mode: os.FileMode(entry.Permissions) & kopiafs.ModBits,
		UID:  entry.UserID, GID: entry.GroupID, Modified: entry.ModTime.ToTime(),
	}
	if entry.Type == snapshot.EntryTypeSymlink {
		result.Mode |= os.ModeSymlink
	}
	return result
}

// treeRestore restores the entries of a file system.
type treeRestore struct {
	*task

	// directories are those that were made, parents first. They get their attributes in the end: a change in a directory
	// changes its time, and needs the right to write into it.
	directories []directory
}

type directory struct {
	*target.Folder
	target.Attributes
}

func (t *treeRestore) directory(dir *target.Folder, entry *snapshot.DirEntry) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	t.directories = append(t.directories, directory{Folder: dir, Attributes: attributesOf(entry)})
	return onTarget("create directory", dir, t.volume.MakeDirectory(dir))
}

func (t *treeRestore) finishDirectories() error {
	for len(t.directories) > 0 {
		last := len(t.directories) - 1
		dir := t.directories[last]
		if err := t.giveAttributes(dir.Here(), dir.Attributes); err != nil {
			return err
		}
		t.directories = t.directories[:last]
	}
	return nil
}

// giveAttributes gives an entry its attributes, and counts what it lacks then.
func (t *treeRestore) giveAttributes(where target.Place, want target.Attributes) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	missing, err := t.volume.Give(where, want)
	if err != nil {
		return onTarget("set mode, owner and time of", where, err)
	}
	for _, lacks := range missing {
		if t.request.Strict && lacks.IsRefused() {
			return onTarget(fmt.Sprintf("set the %s of", lacks.Attribute), where, lacks)
		}
		t.notices.Add(lacks.Attribute.Code(), where.String())
	}
	return nil
}

// reads expects of a file that is there that it is right. Only an earlier attempt can have made one.
func (t *treeRestore) reads(leaf leaf) bool {
	if !t.request.Resume {
		return true
	}
	_, size, err := t.volume.Stat(leaf.Place)
	return err != nil || size != leaf.entry.FileSize
}

func (t *treeRestore) leaf(ctx context.Context, leaf leaf) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	made := true
	switch leaf.entry.Type {
	case snapshot.EntryTypeFile:
		err = t.file(ctx, leaf)
	case snapshot.EntryTypeSymlink:
		made, err = t.link(ctx, leaf)
	default:
		err = fmt.Errorf("%s has the unknown type %q", leaf.Place, leaf.entry.Type)
	}
	if err != nil || !made {
		return err
	}
	return t.giveAttributes(leaf.Place, attributesOf(leaf.entry))
}

// link makes a symbolic link, if the file system has any.
func (t *treeRestore) link(ctx context.Context, leaf leaf) (made bool, err error) {
	to, err := t.chunks.readAll(ctx, leaf.entry.ObjectID)
	if err != nil {
		return false, fmt.Errorf("read link %s from the repository: %w", leaf.Place, err)
	}
	if err := t.mayWrite(); err != nil {
		return false, err
	}
	err = t.volume.MakeLink(leaf.Place, string(to))
	if target.LacksLinks(err) && !t.request.Strict {
		t.notices.Add(notice.LinksNotRestored, leaf.String())
		return false, nil
	}
	return err == nil, onTarget("create link", leaf.Place, err)
}

func (t *treeRestore) file(ctx context.Context, leaf leaf) error {
	size := leaf.entry.FileSize
	chunks, err := t.chunks.list(ctx, leaf.entry.ObjectID, size)
	if err != nil {
		return fmt.Errorf("read %s from the repository: %w", leaf.Place, err)
	}
	if err := t.mayWrite(); err != nil {
		return err
	}
	file, kept, err := t.volume.CreateFile(leaf.Place, size)
	if err != nil {
		return onTarget("create", leaf.Place, err)
	}
	// Of a file that is not whole another attempt shall find the parts.
	if !kept && len(chunks) > 1 {
		err = onTarget("create", leaf.Place, file.Truncate(size))
	}
	if err == nil {
		err = t.restoreContent(ctx, &output{path: leaf.Place, file: file, stale: kept}, chunks)
	}
	if err == nil {
		err = t.mayWrite()
	}
	if err == nil {
		err = onTarget("write", leaf.Place, file.GrowTo(size))
	}
	return errors.Join(err, onTarget("close", leaf.Place, file.Close()))
}
