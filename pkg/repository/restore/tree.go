package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
)

// restoreTree restores a file system.
func (t *task) restoreTree(ctx context.Context) error {
	volume, err := openHandles(t.request.Path)
	if err != nil {
		return onTarget("open", t.request.Path, err)
	}
	defer volume.close()
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
	// All is brought to disk at once, which costs far less than doing so for each file. It fails also for what failed
	// since the root was opened.
	return onTarget("flush", t.request.Path, unix.Syncfs(int(volume.root.Fd())))
}

// treeRestore restores the entries of a file system.
type treeRestore struct {
	*task

	// directories are those that were made, parents first. They get their attributes in the end: a change in a directory
	// changes its time, and needs the right to write into it.
	directories []directory
}

type directory struct {
	*folder
	attributes
}

func (t *treeRestore) directory(dir *folder, entry *snapshot.DirEntry) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	t.directories = append(t.directories, directory{folder: dir, attributes: attributesOf(entry)})
	return onTarget("create directory", dir, t.volume.at(dir.here(), makeDirectory))
}

func (t *treeRestore) finishDirectories() error {
	for len(t.directories) > 0 {
		last := len(t.directories) - 1
		dir := t.directories[last]
		if err := t.giveAttributes(dir.here(), dir.attributes); err != nil {
			return err
		}
		t.directories = t.directories[:last]
	}
	return nil
}

// giveAttributes gives an entry its attributes, and counts what it lacks then.
func (t *treeRestore) giveAttributes(where place, want attributes) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	var missing []shortfall
	err := t.volume.at(where, func(dir int, name string) (err error) {
		missing, err = want.give(dir, name)
		return err
	})
	if err != nil {
		return onTarget("set mode, owner and time of", where, err)
	}
	for _, lacks := range missing {
		if t.request.Strict && lacks.isRefused() {
			return onTarget(fmt.Sprintf("set the %s of", lacks.attribute), where, lacks)
		}
		t.notices.Add(lacks.attribute.code(), where.String())
	}
	return nil
}

// reads expects of a file that is there that it is right. Only an earlier attempt can have made one.
func (t *treeRestore) reads(leaf leaf) bool {
	if !t.request.Resume {
		return true
	}
	var stat *unix.Stat_t
	err := t.volume.at(leaf.place, func(dir int, name string) (err error) {
		stat, err = statAt(dir, name)
		return err
	})
	return err != nil || stat.Size != leaf.entry.FileSize
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
		err = fmt.Errorf("%s has the unknown type %q", leaf.place, leaf.entry.Type)
	}
	if err != nil || !made {
		return err
	}
	return t.giveAttributes(leaf.place, attributesOf(leaf.entry))
}

// link makes a symbolic link, if the file system has any.
func (t *treeRestore) link(ctx context.Context, leaf leaf) (made bool, err error) {
	to, err := t.chunks.readAll(ctx, leaf.entry.ObjectID)
	if err != nil {
		return false, fmt.Errorf("read link %s from the repository: %w", leaf.place, err)
	}
	if err := t.mayWrite(); err != nil {
		return false, err
	}
	err = t.volume.at(leaf.place, func(dir int, name string) error { return makeLink(dir, name, string(to)) })
	if lacksLinks(err) && !t.request.Strict {
		t.notices.Add(notice.LinksNotRestored, leaf.String())
		return false, nil
	}
	return err == nil, onTarget("create link", leaf.place, err)
}

func (t *treeRestore) file(ctx context.Context, leaf leaf) error {
	size := leaf.entry.FileSize
	chunks, err := t.chunks.list(ctx, leaf.entry.ObjectID, size)
	if err != nil {
		return fmt.Errorf("read %s from the repository: %w", leaf.place, err)
	}
	if err := t.mayWrite(); err != nil {
		return err
	}
	var file *os.File
	var kept bool
	err = t.volume.at(leaf.place, func(dir int, name string) (err error) {
		file, kept, err = createFile(dir, name, size)
		return err
	})
	if err != nil {
		return onTarget("create", leaf.place, err)
	}
	// Of a file that is not whole another attempt shall find the parts.
	if !kept && len(chunks) > 1 {
		err = onTarget("create", leaf.place, file.Truncate(size))
	}
	if err == nil {
		err = t.restoreContent(ctx, &output{path: leaf.place, file: file, out: sparseFile{file}, stale: kept}, chunks)
	}
	if err == nil {
		err = t.mayWrite()
	}
	if err == nil {
		err = onTarget("write", leaf.place, growTo(file, size))
	}
	return errors.Join(err, onTarget("close", leaf.place, file.Close()))
}
