package volume

import (
	"context"
	"errors"
	"os"
	"sync/atomic"

	"github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository/names"
)

// directory is a directory of a volume.
type directory struct {
	entry

	// mountPoint is where the root is; of all others it is empty.
	mountPoint string
	// handle is nil while the directory is not open. It belongs to the handles of the volume.
	handle *handle
	// opened is what was opened first: the entries of one directory must not be looked for in another.
	opened atomic.Pointer[identity]
}

// identity tells a directory from others.
type identity struct{ inode, device uint64 }

// Size is none.
func (*directory) Size() int64 { return 0 }

// SupportsMultipleIterations says that a directory can be gone through more than once.
func (*directory) SupportsMultipleIterations() bool { return true }

// Close is called when all that is in the directory is done.
func (d *directory) Close() { d.volume.handles.forget(d) }

// Child finds an entry by the name that it is stored under.
func (d *directory) Child(_ context.Context, name string) (fs.Entry, error) {
	child, err := d.child(names.Unescape(name))
	if child == nil && err == nil {
		return nil, fs.ErrEntryNotFound
	}
	return child, err
}

// Iterate reads the names of a directory. What is behind them is found out one by one.
func (d *directory) Iterate(context.Context) (fs.DirectoryIterator, error) {
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	return &iterator{directory: d, names: names}, nil
}

// names reads the names of all entries, in no order. All at once, so that the directory need not stay open.
func (d *directory) names() ([]string, error) {
	fd, err := d.volume.handles.acquire(d)
	if err != nil {
		return nil, err
	}
	defer d.volume.handles.release(d)
	// One handle has one position.
	var own int
	err = again(func() error { own, err = unix.Openat(fd, ".", directoryFlags, 0); return err })
	if err != nil {
		return nil, d.failed("open", err)
	}
	file := os.NewFile(uintptr(own), d.inVolume)
	defer file.Close()
	return file.Readdirnames(-1)
}

// child finds an entry by its name in the volume. It is nil if there is none any more.
func (d *directory) child(inVolume string) (fs.Entry, error) {
	fd, err := d.volume.handles.acquire(d)
	if err != nil {
		return nil, err
	}
	defer d.volume.handles.release(d)
	found, err := statAt(fd, inVolume)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, nil
	case err != nil:
		e := &errorEntry{entry: newEntry(d, inVolume, found)}
		e.err = e.failed("stat", err)
		return e, nil
	}
	e := newEntry(d, inVolume, found)
	switch found.mode.Type() {
	case os.ModeDir:
		return &directory{entry: e}, nil
	case os.ModeSymlink:
		return &symlink{entry: e}, nil
	case 0:
		return &file{entry: e}, nil
	default:
		return &errorEntry{entry: e, err: fs.ErrUnknown}, nil
	}
}

// iterator goes through a directory.
type iterator struct {
	directory *directory
	names     []string
}

// Next returns nil at the end. It leaves out what has gone since the names were read, and what is not stored.
func (i *iterator) Next(context.Context) (fs.Entry, error) {
	for len(i.names) > 0 {
		name := i.names[0]
		i.names = i.names[1:]
		child, err := i.directory.child(name)
		if err != nil {
			return nil, err
		}
		if child != nil && i.directory.volume.stored(child) {
			return child, nil
		}
	}
	return nil, nil
}

// Close has nothing to do.
func (*iterator) Close() {}

// stored tells whether an entry is stored, and counts what is to be said about it.
func (v *Volume) stored(child fs.Entry) bool {
	switch child := child.(type) {
	case *directory:
		v.measure(&child.entry)
	case *file:
		v.measure(&child.entry)
	case *symlink:
		v.measure(&child.entry)
	case *errorEntry:
		if errors.Is(child.err, fs.ErrUnknown) {
			v.counter.Add(notice.SpecialFilesSkipped, child.path())
			return false
		}
	}
	return true
}
