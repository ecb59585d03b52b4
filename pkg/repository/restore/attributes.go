package restore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	kopiafs "github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
)

// coarsest is how far a time may be off because the file system keeps no finer ones: those of FAT have two seconds.
const coarsest = 2 * time.Second

// attributes are what an entry has beside its content.
type attributes struct {
	mode     os.FileMode
	uid, gid uint32
	modified time.Time
}

func attributesOf(entry *snapshot.DirEntry) attributes {
	result := attributes{
		mode: os.FileMode(entry.Permissions) & kopiafs.ModBits,
		uid:  entry.UserID, gid: entry.GroupID, modified: entry.ModTime.ToTime(),
	}
	if entry.Type == snapshot.EntryTypeSymlink {
		result.mode |= os.ModeSymlink
	}
	return result
}

func attributesOfStat(stat *unix.Stat_t) attributes {
	return attributes{mode: fileMode(stat.Mode), uid: stat.Uid, gid: stat.Gid, modified: time.Unix(stat.Mtim.Unix())}
}

// attribute is one of the attributes.
type attribute string

const (
	owner attribute = "owner"
	mode  attribute = "mode"
	// modified is the time of the last change.
	modified attribute = "time"
	// fineness is what a time loses where the file system keeps coarser ones.
	fineness attribute = "exact time"
)

// code is the one under which entries without the attribute are counted.
func (a attribute) code() notice.Code {
	switch a {
	case owner:
		return notice.OwnersNotRestored
	case mode:
		return notice.ModesNotRestored
	case fineness:
		return notice.TimesCoarser
	case modified:
	}
	return notice.TimesNotRestored
}

// shortfall is an attribute that an entry does not have. It is an error where that is one.
type shortfall struct {
	attribute attribute
	// has says what it has instead of what.
	has string
	// refusal is what the file system said to the attribute; nil if it said nothing.
	refusal error
}

// Error says what the entry has instead, and why.
func (s shortfall) Error() string {
	if s.refusal == nil {
		return s.has
	}
	return s.has + ": " + s.refusal.Error()
}

// Unwrap returns what the file system said.
func (s shortfall) Unwrap() error { return s.refusal }

// isRefused tells what a file system does not do from times that it keeps as well as it can: coarser, or within its range.
func (s shortfall) isRefused() bool {
	return s.attribute == owner || s.attribute == mode || s.refusal != nil
}

// missingIn says which of the attributes an entry lacks, but of a symbolic link no mode, and owners only as root.
func (a attributes) missingIn(found attributes) []shortfall {
	var missing []shortfall
	if os.Geteuid() == 0 && (found.uid != a.uid || found.gid != a.gid) {
		missing = append(missing, shortfall{
			attribute: owner,
			has:       fmt.Sprintf("its owner is %d:%d instead of %d:%d", found.uid, found.gid, a.uid, a.gid),
		})
	}
	if has, want := found.mode&kopiafs.ModBits, a.mode&kopiafs.ModBits; has != want && !a.isLink() {
		missing = append(missing, shortfall{attribute: mode, has: fmt.Sprintf("its mode is %s instead of %s", has, want)})
	}
	if off := found.modified.Sub(a.modified).Abs(); off != 0 {
		lacks := shortfall{
			attribute: modified,
			has:       fmt.Sprintf("its time is %s instead of %s", found.modified.UTC(), a.modified.UTC()),
		}
		if off < coarsest {
			lacks.attribute = fineness
		}
		missing = append(missing, lacks)
	}
	return missing
}

func (a attributes) isLink() bool { return a.mode.Type() == fs.ModeSymlink }

// give gives an entry its attributes, but a symbolic link no mode, and owners only as root. It returns what the entry lacks
// then, since the file system refuses it or cannot hold it.
func (a attributes) give(dir int, name string) ([]shortfall, error) {
	said := map[attribute]error{}
	for _, step := range []struct {
		attribute attribute
		take      func(dir int, name string) error
	}{{owner, a.giveOwner}, {mode, a.giveMode}, {modified, a.giveTime}} {
		err := step.take(dir, name)
		if err != nil && !isRefusal(err) {
			return nil, err
		}
		said[step.attribute] = err
	}
	stat, err := statAt(dir, name)
	if err != nil {
		return nil, err
	}
	missing := a.missingIn(attributesOfStat(stat))
	for i := range missing {
		missing[i].refusal = said[missing[i].attribute]
	}
	return missing, nil
}

// giveOwner comes before giveMode: a change of the owner clears some bits of the mode.
func (a attributes) giveOwner(dir int, name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return uninterrupted(func() error { return unix.Fchownat(dir, name, int(a.uid), int(a.gid), unix.AT_SYMLINK_NOFOLLOW) })
}

// errForeignOwner is why an entry has no set-ID bits: with an owner that it did not have they would give away the rights
// of that owner.
var errForeignOwner = errors.New("set-ID bits are kept only with the owner")

func (a attributes) giveMode(dir int, name string) error {
	if a.isLink() {
		return nil
	}
	given := a.mode
	var withheld error
	if os.Geteuid() == 0 && given&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		stat, err := statAt(dir, name)
		if err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT == unix.S_IFREG && (stat.Uid != a.uid || stat.Gid != a.gid) {
			given &^= fs.ModeSetuid | fs.ModeSetgid
			withheld = errForeignOwner
		}
	}
	return cmp.Or(uninterrupted(func() error { return unix.Fchmodat(dir, name, unixMode(given), 0) }), withheld)
}

func (a attributes) giveTime(dir int, name string) error {
	at := unix.NsecToTimespec(a.modified.UnixNano())
	times := []unix.Timespec{at, at}
	return uninterrupted(func() error { return unix.UtimesNanoAt(dir, name, times, unix.AT_SYMLINK_NOFOLLOW) })
}

// enotsupp is an error number of the kernel that was never meant to be seen outside of it, and is, with NFS.
const enotsupp = syscall.Errno(524)

// refusals are the answers of file systems that do not do a thing at all, or not for this user: of servers that do not trust
// root, or know no such owner, and of those that keep no owners, modes or links.
var refusals = []error{
	syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EOVERFLOW, enotsupp, errForeignOwner,
}

func isRefusal(err error) bool {
	return slices.ContainsFunc(refusals, func(known error) bool { return errors.Is(err, known) })
}

// lacksLinks tells that a file system has no symbolic links: FAT says EPERM, as Linux documents it.
func lacksLinks(err error) bool {
	return slices.ContainsFunc([]error{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS, enotsupp},
		func(known error) bool { return errors.Is(err, known) })
}
