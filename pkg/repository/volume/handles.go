package volume

import (
	"container/list"
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// maxHandles limits the handles of directories that are open though nobody uses them at the moment. Those of a tree that is
// deeper are closed, the one that was not used for the longest time first, and opened again when they are needed.
const maxHandles = 256

const directoryFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

var errReplaced = errors.New("it was replaced while it was read")

// handle is that of an open directory.
type handle struct {
	fd    int
	users int
	// element is its place in the order of use.
	element *list.Element
}

// handles are those of all directories that are open.
type handles struct {
	mu   sync.Mutex
	used list.List // of *directory, the one used last in front
}

// acquire returns the handle of a directory. It stays open until it is released.
func (h *handles) acquire(d *directory) (int, error) {
	if fd, open := h.opened(d); open {
		return fd, nil
	}
	fd, err := h.open(d)
	if err != nil {
		return -1, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.handle != nil {
		_ = unix.Close(fd) // somebody else was faster
	} else {
		d.handle = &handle{fd: fd, element: h.used.PushFront(d)}
	}
	d.handle.users++
	h.closeOldest()
	return d.handle.fd, nil
}

func (h *handles) opened(d *directory) (int, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.handle == nil {
		return -1, false
	}
	d.handle.users++
	h.used.MoveToFront(d.handle.element)
	return d.handle.fd, true
}

func (h *handles) open(d *directory) (fd int, err error) {
	if d.in == nil {
		if err = again(func() error { fd, err = unix.Open(d.mountPoint, directoryFlags, 0); return err }); err != nil {
			return -1, d.failed("open", err)
		}
		return fd, nil
	}
	parent, err := h.acquire(d.in)
	if err != nil {
		return -1, err
	}
	defer h.release(d.in)
	err = again(func() error { fd, err = unix.Openat(parent, d.inVolume, directoryFlags|unix.O_NOFOLLOW, 0); return err })
	if err != nil {
		return -1, d.failed("open", err)
	}
	now, err := statOf(fd)
	if err == nil && !d.is(now) {
		err = errReplaced
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, d.failed("open", err)
	}
	return fd, nil
}

// is tells whether the directory is the one that was opened first. It may be another than the one that was listed, as where
// a server has a file system of its own mounted once somebody enters.
func (d *directory) is(now attributes) bool {
	opened := identity{inode: now.inode, device: now.device.Dev}
	return d.opened.CompareAndSwap(nil, &opened) || *d.opened.Load() == opened
}

// release ends a use.
func (h *handles) release(d *directory) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.handle.users--
}

// forget closes the handle of a directory that is done.
func (h *handles) forget(d *directory) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.handle != nil && d.handle.users == 0 {
		h.close(d)
	}
}

func (h *handles) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.used.Len() > 0 {
		h.close(h.used.Front().Value.(*directory))
	}
}

func (h *handles) closeOldest() {
	for element := h.used.Back(); element != nil && h.used.Len() > maxHandles; {
		d := element.Value.(*directory)
		element = element.Prev()
		if d.handle.users == 0 {
			h.close(d)
		}
	}
}

func (h *handles) close(d *directory) {
	_ = unix.Close(d.handle.fd)
	h.used.Remove(d.handle.element)
	d.handle = nil
}
