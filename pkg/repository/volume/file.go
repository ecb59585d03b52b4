package volume

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
)

// fileFlags do not wait for the other end of a pipe that has taken the place of a file.
const fileFlags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK

// file is a regular file of a volume.
type file struct {
	entry

	// opened is what was found out when it was first opened: all that is stored of it, size, time and bytes, is of that
	// moment, or of a later one if it was written to since. In that case it differs from what is stored, and is read again
	// next time.
	opened atomic.Pointer[attributes]
	// changed says that it was counted as one that changed.
	changed atomic.Bool
}

func (f *file) attributes() *attributes {
	if opened := f.opened.Load(); opened != nil {
		return opened
	}
	return &f.listed
}

// Size is its size, in bytes.
func (f *file) Size() int64 { return f.attributes().size }

// Mode are its permissions, and setuid, setgid and sticky bits.
func (f *file) Mode() os.FileMode { return f.attributes().mode }

// ModTime is the nearest to its time that can be stored.
func (f *file) ModTime() time.Time { return f.attributes().modified }

// Owner is numeric.
func (f *file) Owner() fs.OwnerInfo { return f.attributes().owner }

// Open opens it. The parts of a large one are read at the same time, each through a reader of its own.
func (f *file) Open(context.Context) (fs.Reader, error) {
	fd, err := f.open()
	if err != nil {
		return nil, f.failed("open", err)
	}
	now, err := statOf(fd)
	if err == nil && !now.mode.IsRegular() {
		err = errReplaced
	}
	if err == nil && !f.opened.CompareAndSwap(nil, &now) && now.inode != f.attributes().inode {
		err = errReplaced
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, f.failed("open", err)
	}
	return &reader{file: f, fd: fd}, nil
}

// open leaves the access time as it is, where that is allowed.
func (f *file) open() (fd int, err error) {
	dir, err := f.volume.handles.acquire(f.in)
	if err != nil {
		return -1, err
	}
	defer f.volume.handles.release(f.in)
	flags := fileFlags | unix.O_NOATIME
	if f.volume.accessTimes.Load() {
		flags = fileFlags
	}
	err = again(func() error { fd, err = unix.Openat(dir, f.inVolume, flags, 0); return err })
	if errors.Is(err, unix.EPERM) && flags&unix.O_NOATIME != 0 {
		f.volume.accessTimes.Store(true)
		err = again(func() error { fd, err = unix.Openat(dir, f.inVolume, fileFlags, 0); return err })
	}
	return fd, err
}

// reader reads a file.
type reader struct {
	file   *file
	fd     int
	offset int64
}

// Entry is the file.
func (r *reader) Entry() (fs.Entry, error) { return r.file, nil }

// Read reads no further than the file was when it was opened.
func (r *reader) Read(p []byte) (n int, err error) {
	left := r.file.Size() - r.offset
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	if err := again(func() error { n, err = unix.Pread(r.fd, p, r.offset); return err }); err != nil {
		return 0, r.file.failed("read", err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	r.offset += int64(n)
	return n, nil
}

// Seek sets where to read from.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.file.Size()
	}
	if offset < 0 {
		return 0, r.file.failed("seek", unix.EINVAL)
	}
	r.offset = offset
	return offset, nil
}

// Close closes the file. It counts one that was written to meanwhile.
func (r *reader) Close() error {
	now, err := statOf(r.fd)
	opened := r.file.attributes()
	if err == nil && (now.size != opened.size || !now.modified.Equal(opened.modified)) && !r.file.changed.Swap(true) {
		r.file.volume.counter.Add(notice.ChangedWhileRead, r.file.path())
	}
	if err := unix.Close(r.fd); err != nil {
		return r.file.failed("close", err)
	}
	return nil
}
