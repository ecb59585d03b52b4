package volume

import (
	"math"
	"os"
	"time"

	"github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"
)

// Times are stored as nanoseconds since 1970 in 64 bits.
var (
	firstTime = time.Unix(0, math.MinInt64)
	lastTime  = time.Unix(0, math.MaxInt64)
)

// attributes are what is known of an entry beside its name and content.
type attributes struct {
	size, allocated int64
	mode            os.FileMode
	modified        time.Time
	timeKept        bool // modified is its very time
	owner           fs.OwnerInfo
	device          fs.DeviceInfo
	inode           uint64
}

// statAt finds out about an entry of a directory.
func statAt(dir int, name string) (attributes, error) {
	var stat unix.Stat_t
	if err := again(func() error { return unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return attributes{}, err
	}
	return attributesOf(&stat), nil
}

// statOf finds out about what is open.
func statOf(fd int) (attributes, error) {
	var stat unix.Stat_t
	if err := again(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		return attributes{}, err
	}
	return attributesOf(&stat), nil
}

func attributesOf(stat *unix.Stat_t) attributes {
	result := attributes{
		size:      stat.Size,
		allocated: stat.Blocks * blockSize,
		mode:      modeOf(stat.Mode),
		modified:  time.Unix(stat.Mtim.Unix()),
		timeKept:  true,
		owner:     fs.OwnerInfo{UserID: stat.Uid, GroupID: stat.Gid},
		device:    fs.DeviceInfo{Dev: stat.Dev, Rdev: stat.Rdev},
		inode:     stat.Ino,
	}
	switch {
	case result.modified.Before(firstTime):
		result.modified, result.timeKept = firstTime, false
	case result.modified.After(lastTime):
		result.modified, result.timeKept = lastTime, false
	}
	return result
}

// modeOf translates a mode. Kinds that are not stored come out as os.ModeIrregular.
func modeOf(mode uint32) os.FileMode {
	result := os.FileMode(mode & 0o777)
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		result |= os.ModeDir
	case unix.S_IFLNK:
		result |= os.ModeSymlink
	default:
		result |= os.ModeIrregular
	}
	if mode&unix.S_ISUID != 0 {
		result |= os.ModeSetuid
	}
	if mode&unix.S_ISGID != 0 {
		result |= os.ModeSetgid
	}
	if mode&unix.S_ISVTX != 0 {
		result |= os.ModeSticky
	}
	return result
}

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // the system's own errors are not wrapped
			return err
		}
	}
}
