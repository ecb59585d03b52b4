// Package target writes to a volume: entries of a file system with the attributes that it can hold, files with holes, or a
// device. What is written, and whether it still may be, others know.
package target

import (
	"os"

	"golang.org/x/sys/unix"
)

// Volume is a file system that is written to. Its entries are reached whatever the length of their paths, and symbolic links
// are not followed. It may be used by several at the same time.
type Volume struct{ handles *handles }

// OpenVolume opens the volume with that root.
func OpenVolume(root string) (*Volume, error) {
	handles, err := openHandles(root)
	if err != nil {
		return nil, err
	}
	return &Volume{handles: handles}, nil
}

// Close ends the use of the volume.
func (v *Volume) Close() { v.handles.close() }

// Sync brings to disk what was written. It fails also for what failed since the volume was opened.
func (v *Volume) Sync() error { return unix.Syncfs(int(v.handles.root.Fd())) }

// Stat returns the attributes of an entry, with its type, and its size in bytes. It does not follow a symbolic link.
func (v *Volume) Stat(where Place) (found Attributes, size int64, err error) {
	err = v.handles.at(where, func(dir int, name string) error {
		stat, err := statAt(dir, name)
		if err == nil {
			found, size = attributesOf(stat), stat.Size
		}
		return err
	})
	return found, size, err
}

// MakeDirectory makes a directory in which entries can be made, unless it is there.
func (v *Volume) MakeDirectory(dir *Folder) error { return v.handles.at(dir.Here(), makeDirectory) }

// MakeLink makes a symbolic link, in place of whatever is there but a directory.
func (v *Volume) MakeLink(where Place, to string) error {
	return v.handles.at(where, func(dir int, name string) error { return makeLink(dir, name, to) })
}

// RefusesLink tells whether a symbolic link that is not there cannot be made.
func (v *Volume) RefusesLink(where Place, to string) bool {
	return LacksLinks(v.handles.at(where, func(dir int, name string) error {
		err := makeLink(dir, name, to)
		if err == nil {
			_ = removeEntry(dir, name)
		}
		return err
	}))
}

// ReadLink returns what a symbolic link of at most that many bytes points to.
func (v *Volume) ReadLink(where Place, size int) (to string, err error) {
	err = v.handles.at(where, func(dir int, name string) (err error) {
		to, err = readLink(dir, name, size)
		return err
	})
	return to, err
}

// CreateFile opens a file for reading and writing, in place of whatever is there but a directory. A file of that size is
// kept: an earlier attempt may have written it, or parts of it.
func (v *Volume) CreateFile(where Place, size int64) (file SparseFile, kept bool, err error) {
	err = v.handles.at(where, func(dir int, name string) (err error) {
		file.File, kept, err = createFile(dir, name, size)
		return err
	})
	return file, kept, err
}

// OpenFile opens a file for reading.
func (v *Volume) OpenFile(where Place) (file *os.File, err error) {
	err = v.handles.at(where, func(dir int, name string) (err error) {
		file, err = openFile(dir, name, os.O_RDONLY)
		return err
	})
	return file, err
}

// Give gives an entry its attributes, but a symbolic link no mode, and owners only as root. It returns what the entry lacks
// then, since the file system refuses it or cannot hold it.
func (v *Volume) Give(where Place, want Attributes) (missing []ShortfallError, err error) {
	err = v.handles.at(where, func(dir int, name string) (err error) {
		missing, err = want.give(dir, name)
		return err
	})
	return missing, err
}
