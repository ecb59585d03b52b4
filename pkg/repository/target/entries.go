package target

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Modes that entries have until all that is in them is written.
const (
	newFileMode = 0o600
	newDirMode  = 0o700
)

// makeDirectory makes a directory in which entries can be made, unless it is there.
func makeDirectory(dir int, name string) error {
	create := func() error { return unix.Mkdirat(dir, name, newDirMode) }
	err := uninterrupted(create)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	stat, err := statAt(dir, name)
	if err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := removeEntry(dir, name); err != nil {
			return err
		}
		return uninterrupted(create)
	}
	if stat.Mode&newDirMode == newDirMode {
		return nil
	}
	err = uninterrupted(func() error { return unix.Fchmodat(dir, name, stat.Mode&unix.S_IRWXU|newDirMode, 0) })
	if isRefusal(err) {
		return nil // whether something can be made in it is seen when it is
	}
	return err
}

// makeLink makes a symbolic link, in place of whatever is there but a directory.
func makeLink(dir int, name, to string) error {
	create := func() error { return unix.Symlinkat(to, dir, name) }
	err := uninterrupted(create)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := removeEntry(dir, name); err != nil {
		return err
	}
	return uninterrupted(create)
}

// readLink returns what a symbolic link of at most that many bytes points to.
func readLink(dir int, name string, size int) (string, error) {
	buffer := make([]byte, size+1)
	var n int
	err := uninterrupted(func() (err error) {
		n, err = unix.Readlinkat(dir, name, buffer)
		return err
	})
	return string(buffer[:max(n, 0)]), err
}

// createFile opens a file for reading and writing, in place of whatever is there but a directory. A file of that size is
// kept: an earlier attempt may have written it, or parts of it.
func createFile(dir int, name string, size int64) (file *os.File, kept bool, err error) {
	const create = os.O_RDWR | os.O_CREATE | os.O_EXCL
	file, err = openFile(dir, name, create)
	if !errors.Is(err, fs.ErrExist) {
		return file, false, err
	}
	stat, err := statAt(dir, name)
	if err != nil {
		return nil, false, err
	}
	if isOwnFile(stat) && stat.Size == size {
		if file, err = openFile(dir, name, os.O_RDWR); err == nil {
			return file, true, nil
		}
	}
	if err := removeEntry(dir, name); err != nil {
		return nil, false, err
	}
	file, err = openFile(dir, name, create)
	return file, false, err
}

// isOwnFile tells a regular file without other names from other entries.
func isOwnFile(stat *unix.Stat_t) bool {
	return stat.Mode&unix.S_IFMT == unix.S_IFREG && stat.Nlink == 1
}

// removeEntry removes what is in the way, but no directory: who knows what is in it.
func removeEntry(dir int, name string) error {
	if stat, err := statAt(dir, name); err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return errors.New("a directory is in its place")
	}
	return uninterrupted(func() error { return unix.Unlinkat(dir, name, 0) })
}

// openFile opens a file of a directory, but not what a symbolic link points to.
func openFile(dir int, name string, flags int) (*os.File, error) {
	var fd int
	err := uninterrupted(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, newFileMode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// statAt does not follow a symbolic link.
func statAt(dir int, name string) (*unix.Stat_t, error) {
	stat := &unix.Stat_t{}
	err := uninterrupted(func() error { return unix.Fstatat(dir, name, stat, unix.AT_SYMLINK_NOFOLLOW) })
	return stat, err
}

// specialBits are the bits of a mode that Go has at another place than the system.
var specialBits = map[fs.FileMode]uint32{
	fs.ModeSetuid: syscall.S_ISUID, fs.ModeSetgid: syscall.S_ISGID, fs.ModeSticky: syscall.S_ISVTX,
}

// fileTypes are the types of entries for the system.
var fileTypes = map[uint32]fs.FileMode{
	syscall.S_IFDIR: fs.ModeDir, syscall.S_IFLNK: fs.ModeSymlink, syscall.S_IFREG: 0, syscall.S_IFIFO: fs.ModeNamedPipe,
	syscall.S_IFSOCK: fs.ModeSocket, syscall.S_IFBLK: fs.ModeDevice, syscall.S_IFCHR: fs.ModeDevice | fs.ModeCharDevice,
}

// fileMode is the mode of an entry as Go has it.
func fileMode(mode uint32) fs.FileMode {
	result := fs.FileMode(mode)&fs.ModePerm | fileTypes[mode&syscall.S_IFMT]
	for ours, theirs := range specialBits {
		if mode&theirs != 0 {
			result |= ours
		}
	}
	return result
}

// unixMode is a mode, without the type of the entry, as the system has it.
func unixMode(mode fs.FileMode) uint32 {
	result := uint32(mode & fs.ModePerm)
	for ours, theirs := range specialBits {
		if mode&ours != 0 {
			result |= theirs
		}
	}
	return result
}
