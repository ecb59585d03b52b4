package target

import (
	"container/list"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxHandles is how many directories are kept open beside those in use.
const maxHandles = 64

// handles reaches directories of the volume from their parents, whatever the length of their paths, and without following
// symbolic links.
type handles struct {
	root *os.File

	mutex sync.Mutex
	open  map[*Folder]*handle
	idle  list.List // of *handle, the one that was used last in front
}

// handle is an open directory. The root has none of its own.
type handle struct {
	dir   *Folder
	fd    int
	users int
	place *list.Element // in idle; nil while it has users
}

func openHandles(root string) (*handles, error) {
	file, err := os.OpenFile(root, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &handles{root: file, open: map[*Folder]*handle{}}, nil
}

// at calls do with the open directory that an entry is in, and its name in there.
func (h *handles) at(where Place, do func(dir int, name string) error) error {
	held, err := h.take(where.Dir)
	if err != nil {
		return err
	}
	defer h.give(held)
	return do(held.fd, where.Name)
}

// take opens a directory, or finds it open.
func (h *handles) take(dir *Folder) (*handle, error) {
	var missing []*Folder
	held := h.find(dir)
	for ; held == nil; held = h.find(dir) {
		missing = append(missing, dir)
		dir = dir.Parent
	}
	for _, next := range slices.Backward(missing) {
		var fd int
		err := uninterrupted(func() (err error) {
			fd, err = unix.Openat(held.fd, next.Name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			return err
		})
		h.give(held)
		if err != nil {
			return nil, err
		}
		held = h.add(next, fd)
	}
	return held, nil
}

// find returns nil if the directory is not open.
func (h *handles) find(dir *Folder) *handle {
	if dir.Parent == nil {
		return &handle{dir: dir, fd: int(h.root.Fd())}
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	held := h.open[dir]
	if held == nil {
		return nil
	}
	h.use(held)
	return held
}

func (h *handles) use(held *handle) {
	held.users++
	if held.place != nil {
		h.idle.Remove(held.place)
		held.place = nil
	}
}

// add takes note of an open directory, unless another was faster.
func (h *handles) add(dir *Folder, fd int) *handle {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	held := h.open[dir]
	if held != nil {
		_ = unix.Close(fd)
	} else {
		held = &handle{dir: dir, fd: fd}
		h.open[dir] = held
	}
	h.use(held)
	return held
}

// give gives back what take returned.
func (h *handles) give(held *handle) {
	if held.dir.Parent == nil {
		return
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if held.users--; held.users > 0 {
		return
	}
	held.place = h.idle.PushFront(held)
	if h.idle.Len() > maxHandles {
		h.shut(h.idle.Back())
	}
}

func (h *handles) shut(idle *list.Element) {
	held, _ := h.idle.Remove(idle).(*handle)
	delete(h.open, held.dir)
	_ = unix.Close(held.fd)
}

// close closes all. None is in use then.
func (h *handles) close() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for h.idle.Len() > 0 {
		h.shut(h.idle.Back())
	}
	_ = h.root.Close()
}

// uninterrupted repeats a system call that a signal ended, as package os does: signals are how goroutines are preempted, and
// file systems of servers and of programs end a call for them.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
