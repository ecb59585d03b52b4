package target

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
)

// coarsest is how far a time may be off because the file system keeps no finer ones: those of FAT have two seconds.
const coarsest = 2 * time.Second

// modeBits are those that an entry has beside its type.
const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// Attributes are what an entry has beside its content.
type Attributes struct {
	// Mode has the type of a symbolic link; that of any other entry does not count.
	Mode     fs.FileMode
	UID, GID uint32
	Modified time.Time
}

func attributesOf(stat *unix.Stat_t) Attributes {
	return Attributes{Mode: fileMode(stat.Mode), UID: stat.Uid, GID: stat.Gid, Modified: time.Unix(stat.Mtim.Unix())}
}

// Attribute is one of the attributes, as messages name it.
type Attribute string

const (
	owner Attribute = "owner"
	mode  Attribute = "mode"
	// modified is the time of the last change.
	modified Attribute = "time"
	// fineness is what a time loses where the file system keeps coarser ones.
	fineness Attribute = "exact time"
)

// Code is the one under which entries without the attribute are counted.
func (a Attribute) Code() notice.Code {
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

// ShortfallError is an attribute that an entry does not have. It is an error where that is one.
type ShortfallError struct {
	Attribute Attribute
	// Has says what it has instead of what.
	Has string
	// refusal is what the file system said to the attribute; nil if it said nothing.
	refusal error
}

// Error says what the entry has instead, and why.
func (s ShortfallError) Error() string {
	if s.refusal == nil {
		return s.Has
	}
	return s.Has + ": " + s.refusal.Error()
}

// Unwrap returns what the file system said.
func (s ShortfallError) Unwrap() error { return s.refusal }

// IsRefused tells what a file system does not do from times that it keeps as well as it can: coarser, or within its range.
func (s ShortfallError) IsRefused() bool {
	return s.Attribute == owner || s.Attribute == mode || s.refusal != nil
}

// MissingIn says which of the attributes an entry lacks, but of a symbolic link no mode, and owners only as root.
func (a Attributes) MissingIn(found Attributes) []ShortfallError {
	var missing []ShortfallError
	if os.Geteuid() == 0 && (found.UID != a.UID || found.GID != a.GID) {
		missing = append(missing, ShortfallError{
			Attribute: owner,
			Has:       fmt.Sprintf("its owner is %d:%d instead of %d:%d", found.UID, found.GID, a.UID, a.GID),
		})
	}
	if has, want := found.Mode&modeBits, a.Mode&modeBits; has != want && !a.isLink() {
		missing = append(missing, ShortfallError{Attribute: mode, Has: fmt.Sprintf("its mode is %s instead of %s", has, want)})
	}
	if off := found.Modified.Sub(a.Modified).Abs(); off != 0 {
		lacks := ShortfallError{
			Attribute: modified,
			Has:       fmt.Sprintf("its time is %s instead of %s", found.Modified.UTC(), a.Modified.UTC()),
		}
		if off < coarsest {
			lacks.Attribute = fineness
		}
		missing = append(missing, lacks)
	}
	return missing
}

func (a Attributes) isLink() bool { return a.Mode.Type() == fs.ModeSymlink }

// give gives an entry its attributes, but a symbolic link no mode, and owners only as root. It returns what the entry lacks
// then, since the file system refuses it or cannot hold it.
func (a Attributes) give(dir int, name string) ([]ShortfallError, error) {
	said := map[Attribute]error{}
	for _, step := range []struct {
		attribute Attribute
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
	missing := a.MissingIn(attributesOf(stat))
	for i := range missing {
		missing[i].refusal = said[missing[i].Attribute]
	}
	return missing, nil
}

// giveOwner comes before giveMode: a change of the owner clears some bits of the mode.
func (a Attributes) giveOwner(dir int, name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return uninterrupted(func() error { return unix.Fchownat(dir, name, int(a.UID), int(a.GID), unix.AT_SYMLINK_NOFOLLOW) })
}

// errForeignOwner is why an entry has no set-ID bits: with an owner that it did not have they would give away the rights
// of that owner.
var errForeignOwner = errors.New("set-ID bits are kept only with the owner")

func (a Attributes) giveMode(dir int, name string) error {
	if a.isLink() {
		return nil
	}
	given := a.Mode
	var withheld error
	if os.Geteuid() == 0 && given&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		stat, err := statAt(dir, name)
		if err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT == unix.S_IFREG && (stat.Uid != a.UID || stat.Gid != a.GID) {
			given &^= fs.ModeSetuid | fs.ModeSetgid
			withheld = errForeignOwner
		}
	}
	return cmp.Or(uninterrupted(func() error { return unix.Fchmodat(dir, name, unixMode(given), 0) }), withheld)
}

func (a Attributes) giveTime(dir int, name string) error {
	at := unix.NsecToTimespec(a.Modified.UnixNano())
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

// LacksLinks tells that a file system has no symbolic links: FAT says EPERM, as Linux documents it.
func LacksLinks(err error) bool {
	return slices.ContainsFunc([]error{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS, enotsupp},
		func(known error) bool { return errors.Is(err, known) })
}
