package target

import "golang.org/x/sys/unix"

// Room is what a file system has room for, or what a snapshot takes. File systems without a limit of their own say 0, or more
// than there can be.
type Room struct{ Bytes, Inodes int64 }

// Room says what is left in the volume, and what all of it has.
func (v *Volume) Room() (free, whole Room, err error) {
	stat := unix.Statfs_t{}
	err = uninterrupted(func() error { return unix.Fstatfs(int(v.handles.root.Fd()), &stat) })
	free = Room{Bytes: int64(stat.Bfree) * stat.Frsize, Inodes: int64(stat.Ffree)}
	whole = Room{Bytes: int64(stat.Blocks) * stat.Frsize, Inodes: int64(stat.Files)}
	return free, whole, err
}
