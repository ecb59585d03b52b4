package restore

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
)

// room is what a file system has left for, or what a snapshot takes.
type room struct{ bytes, inodes int64 }

// needed is what the snapshot takes if no holes are left.
func (t *task) needed() room {
	result := room{bytes: t.total}
	if sum := t.root.DirSummary; sum != nil {
		result.inodes = sum.TotalFileCount + sum.TotalSymlinkCount + sum.TotalDirCount
	}
	return result
}

// available is what the volume has room for. What an earlier attempt has written takes none again, so then all of the volume
// counts.
func (t *task) available() (room, error) {
	stat := unix.Statfs_t{}
	err := uninterrupted(func() error { return unix.Fstatfs(int(t.volume.root.Fd()), &stat) })
	if err != nil {
		return room{}, onTarget("ask for the room of", t.request.Path, err)
	}
	blocks, inodes := stat.Bfree, stat.Ffree
	if t.request.Resume {
		blocks, inodes = stat.Blocks, stat.Files
	}
	return room{bytes: int64(blocks) * stat.Frsize, inodes: int64(inodes)}, nil
}

// compareRoom takes note of a volume that seems to be too small, before anything is written. It is no error, since holes
// take no room. File systems without a limit of their own say 0, or more than there can be.
func (t *task) compareRoom() error {
	needs := t.needed()
	has, err := t.available()
	if err != nil {
		return err
	}
	if has.bytes > 0 && has.bytes < needs.bytes {
		t.tooSmall = fmt.Sprintf("the data has %d bytes, and the volume room for %d", needs.bytes, has.bytes)
		t.notices.Set(notice.VolumeTooSmall, needs.bytes)
	} else if has.inodes > 0 && has.inodes < needs.inodes {
		t.tooSmall = fmt.Sprintf("the data has %d entries, and the volume inodes for %d", needs.inodes, has.inodes)
		t.notices.Set(notice.VolumeTooFewInodes, needs.inodes)
	}
	if t.tooSmall != "" {
		t.log.Warn(t.tooSmall)
	}
	return nil
}

// withRoom says of a volume that became full what it had room for.
func (t *task) withRoom(err error) error {
	if t.tooSmall == "" || !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return fmt.Errorf("%w; %s", err, t.tooSmall)
}
