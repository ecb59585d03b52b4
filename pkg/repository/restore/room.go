package restore

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository/target"
)

// needed is what the snapshot takes if no holes are left.
func (t *task) needed() target.Room {
	result := target.Room{Bytes: t.total}
	if sum := t.root.DirSummary; sum != nil {
		result.Inodes = sum.TotalFileCount + sum.TotalSymlinkCount + sum.TotalDirCount
	}
	return result
}

// available is what the volume has room for. What an earlier attempt has written takes none again, so then all of the volume
// counts.
func (t *task) available() (target.Room, error) {
	free, whole, err := t.volume.Room()
	if err != nil {
		return target.Room{}, onTarget("ask for the room of", t.request.Path, err)
	}
	if t.request.Resume {
		return whole, nil
	}
	return free, nil
}

// compareRoom takes note of a volume that seems to be too small, before anything is written. It is no error, since holes
// take no room. File systems without a limit of their own say 0, or more than there can be.
func (t *task) compareRoom() error {
	needs := t.needed()
	has, err := t.available()
	if err != nil {
		return err
	}
	if has.Bytes > 0 && has.Bytes < needs.Bytes {
		t.tooSmall = fmt.Sprintf("the data has %d bytes, and the volume room for %d", needs.Bytes, has.Bytes)
		t.notices.Set(notice.VolumeTooSmall, needs.Bytes)
	} else if has.Inodes > 0 && has.Inodes < needs.Inodes {
		t.tooSmall = fmt.Sprintf("the data has %d entries, and the volume inodes for %d", needs.Inodes, has.Inodes)
		t.notices.Set(notice.VolumeTooFewInodes, needs.Inodes)
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
