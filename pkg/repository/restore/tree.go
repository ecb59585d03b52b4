package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"
)

// restoreTree restores a file system.
func (t *task) restoreTree(ctx context.Context) error {
	target, err := openDirectory(t.request.Path)
	if err != nil {
		return err
	}
	defer target.Close()
	tree := &treeRestore{task: t}
	if err := visit(ctx, t.chunks, t.root, t.request.ParallelFiles, tree); err != nil {
		return err
	}
	if err := tree.finishDirectories(); err != nil {
		return err
	}
	// All is brought to disk at once, which costs far less than doing so for each file. It fails also for what failed
	// since target was opened.
	return onTarget("flush", t.request.Path, unix.Syncfs(int(target.Fd())))
}

func openDirectory(path string) (*os.File, error) {
	target, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	return target, onTarget("open", path, err)
}

// treeRestore restores the entries of a file system.
type treeRestore struct {
	*task

	// directories are those that were made, parents first. They get their attributes in the end: a change in a directory
	// changes its time, and needs the right to write into it.
	directories []directory
}

type directory struct {
	path string
	attributes
}

// target is where a path is in the volume.
func (t *task) target(relative string) string { return filepath.Join(t.request.Path, relative) }

func (t *treeRestore) directory(path string, entry *snapshot.DirEntry) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	t.directories = append(t.directories, directory{path: path, attributes: attributesOf(entry)})
	return onTarget("create directory", path, makeDirectory(t.target(path)))
}

func (t *treeRestore) finishDirectories() error {
	for len(t.directories) > 0 {
		last := len(t.directories) - 1
		dir := t.directories[last]
		if err := t.mayWrite(); err != nil {
			return err
		}
		if err := dir.set(t.target(dir.path)); err != nil {
			return onTarget("set mode, owner and time of", dir.path, err)
		}
		t.directories = t.directories[:last]
	}
	return nil
}

// reads expects of a file that is there that it is right.
func (t *treeRestore) reads(leaf leaf) bool {
	info, err := os.Lstat(t.target(leaf.path))
	return err != nil || info.Size() != leaf.entry.FileSize
}

func (t *treeRestore) leaf(ctx context.Context, leaf leaf) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	switch leaf.entry.Type {
	case snapshot.EntryTypeFile:
		err = t.file(ctx, leaf)
	case snapshot.EntryTypeSymlink:
		err = t.link(ctx, leaf)
	default:
		err = fmt.Errorf("%s has the unknown type %q", leaf.path, leaf.entry.Type)
	}
	if err == nil {
		err = t.mayWrite()
	}
	if err != nil {
		return err
	}
	return onTarget("set mode, owner and time of", leaf.path, attributesOf(leaf.entry).set(t.target(leaf.path)))
}

func (t *treeRestore) link(ctx context.Context, leaf leaf) error {
	to, err := t.chunks.readAll(ctx, leaf.entry.ObjectID)
	if err != nil {
		return fmt.Errorf("read link %s from the repository: %w", leaf.path, err)
	}
	if err := t.mayWrite(); err != nil {
		return err
	}
	return onTarget("create link", leaf.path, makeLink(t.target(leaf.path), string(to)))
}

func (t *treeRestore) file(ctx context.Context, leaf leaf) error {
	size := leaf.entry.FileSize
	chunks, err := t.chunks.list(ctx, leaf.entry.ObjectID, size)
	if err != nil {
		return fmt.Errorf("read %s from the repository: %w", leaf.path, err)
	}
	if err := t.mayWrite(); err != nil {
		return err
	}
	file, kept, err := createFile(t.target(leaf.path), size)
	if err != nil {
		return onTarget("create", leaf.path, err)
	}
	// Of a file that is not whole another attempt shall find the parts, and a hole at its end is there for its size.
	if !kept && (len(chunks) > 1 || t.request.Sparse) {
		err = onTarget("create", leaf.path, file.Truncate(size))
	}
	if err == nil {
		to := &output{path: leaf.path, file: file, out: plainFile{file}, stale: kept}
		if t.request.Sparse {
			to.out = sparseFile{file}
		}
		err = t.restoreContent(ctx, to, chunks)
	}
	return errors.Join(err, onTarget("close", leaf.path, file.Close()))
}
