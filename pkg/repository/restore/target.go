package restore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	kopiafs "github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// Modes that entries have until all that is in them is written.
const (
	newFileMode = 0o600
	newDirMode  = 0o700
)

// sparseBlock is the least run of zeros, and the alignment of its ends, for which a hole is left. It is the block of
// common file systems.
const sparseBlock = 4096

// onTarget makes a failure.TargetError of an error.
func onTarget(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &failure.TargetError{Op: op, Path: path, Err: err}
}

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

// set gives an entry its attributes, but a symbolic link no mode, and owners only as root.
func (a attributes) set(path string) error {
	// A change of the owner clears some bits of the mode.
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
			return err
		}
	}
	if a.mode.Type() != fs.ModeSymlink {
		if err := os.Chmod(path, a.mode); err != nil {
			return err
		}
	}
	modified := unix.NsecToTimespec(a.modified.UnixNano())
	times := []unix.Timespec{modified, modified}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW)
}

// makeDirectory makes a directory in which entries can be made, unless it is there.
func makeDirectory(path string) error {
	err := os.Mkdir(path, newDirMode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Mkdir(path, newDirMode)
	case info.Mode().Perm()&newDirMode != newDirMode:
		return os.Chmod(path, info.Mode().Perm()|newDirMode)
	}
	return nil
}

// makeLink makes a symbolic link, in place of whatever is there but a directory.
func makeLink(path, to string) error {
	err := os.Symlink(to, path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := removeEntry(path); err != nil {
		return err
	}
	return os.Symlink(to, path)
}

// createFile opens a file for reading and writing, in place of whatever is there but a directory. A file of that size is
// kept: an earlier attempt may have written it, or parts of it.
func createFile(path string, size int64) (file *os.File, kept bool, err error) {
	const create = os.O_RDWR | os.O_CREATE | os.O_EXCL | unix.O_NOFOLLOW
	file, err = os.OpenFile(path, create, newFileMode)
	if !errors.Is(err, fs.ErrExist) {
		return file, false, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, false, err
	}
	if isOwnFile(info) && info.Size() == size {
		if file, err = os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0); err == nil {
			return file, true, nil
		}
	}
	if err := removeEntry(path); err != nil {
		return nil, false, err
	}
	file, err = os.OpenFile(path, create, newFileMode)
	return file, false, err
}

// isOwnFile tells a regular file without other names from other entries.
func isOwnFile(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return info.Mode().IsRegular() && ok && stat.Nlink == 1
}

// removeEntry removes what is in the way, but no directory: who knows what is in it.
func removeEntry(path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return errors.New("a directory is in its place")
	}
	return os.Remove(path)
}

// writer writes data at its place.
type writer interface {
	// write writes data that is not all zeros. With stale, something else may be there.
	write(data []byte, offset int64, stale bool) error
	// writeZeros has zeros there.
	writeZeros(offset, length int64, stale bool) error
}

// plainFile gets all that it holds written.
type plainFile struct{ *os.File }

func (f plainFile) write(data []byte, offset int64, _ bool) error {
	_, err := f.WriteAt(data, offset)
	return err
}

func (f plainFile) writeZeros(offset, length int64, _ bool) error {
	return inPieces(offset, length, func(piece []byte, offset int64) error {
		_, err := f.WriteAt(piece, offset)
		return err
	})
}

// sparseFile is a file of its full size, with holes where nothing is written.
type sparseFile struct{ *os.File }

func (f sparseFile) write(data []byte, offset int64, stale bool) error {
	if stale {
		if err := f.writeZeros(offset, int64(len(data)), true); err != nil {
			return err
		}
	}
	for start := 0; start < len(data); {
		end := start + dataRun(data[start:], offset+int64(start))
		if end > start {
			if _, err := f.WriteAt(data[start:end], offset+int64(start)); err != nil {
				return err
			}
		}
		start = end + zeroRun(data[end:], offset+int64(end))
	}
	return nil
}

func (f sparseFile) writeZeros(offset, length int64, stale bool) error {
	if !stale {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return plainFile(f).writeZeros(offset, length, true)
	}
	return err
}

// device is left alone where it has zeros already, so that thin storage stays thin. Nothing else is known of a new device.
type device struct{ *os.File }

func (d device) write(data []byte, offset int64, stale bool) error {
	return plainFile(d).write(data, offset, stale)
}

func (d device) writeZeros(offset, length int64, _ bool) error {
	found := make([]byte, len(zeroPiece))
	return inPieces(offset, length, func(piece []byte, offset int64) error {
		found = found[:len(piece)]
		if n, err := d.ReadAt(found, offset); (err == nil || errors.Is(err, io.EOF)) && isZero(found[:n]) && n == len(piece) {
			return nil
		}
		_, err := d.WriteAt(piece, offset)
		return err
	})
}

// inPieces calls do with zeros for each piece of a range.
func inPieces(offset, length int64, do func(piece []byte, offset int64) error) error {
	for length > 0 {
		piece := zeroPiece[:min(length, int64(len(zeroPiece)))]
		if err := do(piece, offset); err != nil {
			return err
		}
		offset += int64(len(piece))
		length -= int64(len(piece))
	}
	return nil
}

// dataRun is how much there is before the next aligned block of zeros; offset is where data begins in its file.
func dataRun(data []byte, offset int64) int {
	return blocks(data, offset, func(block []byte) bool { return len(block) < sparseBlock || !isZero(block) })
}

// zeroRun is how much there is of aligned blocks of zeros.
func zeroRun(data []byte, offset int64) int {
	return blocks(data, offset, func(block []byte) bool { return len(block) == sparseBlock && isZero(block) })
}

// blocks is the length of those blocks at the start of data that are as wanted.
func blocks(data []byte, offset int64, wanted func([]byte) bool) int {
	for start := 0; start < len(data); {
		end := min(len(data), start+sparseBlock-int((offset+int64(start))%sparseBlock))
		if !wanted(data[start:end]) {
			return start
		}
		start = end
	}
	return len(data)
}
