// Package tree fills directories with what volumes hold, and compares them.
package tree

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	largeFiles     = 4
	smallFileBytes = 16 << 10
	filesPerDir    = 50

	sparseBytes = 64 << 20
	sparseData  = 256 << 10
)

// filler writes files with content and times that look random but are the same each time.
type filler struct {
	root                       string
	largeFileBytes, smallFiles int

	random *rand.Rand
	bytes  *rand.ChaCha8
	// dirs are touched last: each new entry changes the time of its directory.
	dirs []string
}

// Fill writes about 220 MB into a directory: a few large files and many small ones, an empty file and directory, a
// sparse file, symbolic links, a hard link, modes that are not usual and, as root, other owners. This user can read all.
func Fill(root string) error { return fill(root, 48<<20, 2000) }

// FillLittle does the same with about 10 MB.
func FillLittle(root string) error { return fill(root, 2<<20, 200) }

func fill(root string, largeFileBytes, smallFiles int) error {
	seed := [32]byte{'n', 'o', 'd', 'e', '-', 'a', 'g', 'e', 'n', 't'}
	f := &filler{
		root: root, largeFileBytes: largeFileBytes, smallFiles: smallFiles, bytes: rand.NewChaCha8(seed), dirs: []string{root},
	}
	f.random = rand.New(f.bytes)
	for _, step := range []func() error{f.large, f.small, f.odd, f.owned, f.sparse, f.links, f.touchDirs} {
		if err := step(); err != nil {
			return fmt.Errorf("fill %s: %w", root, err)
		}
	}
	return nil
}

func (f *filler) large() error {
	if err := f.mkdir("database", 0o700); err != nil {
		return err
	}
	for i := range largeFiles {
		if err := f.write(fmt.Sprintf("database/segment-%03d.db", i), f.largeFileBytes, 0o640); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) small() error {
	for i := range f.smallFiles {
		dir := fmt.Sprintf("documents/%02d", i/filesPerDir)
		if i%filesPerDir == 0 {
			if err := f.mkdir(dir, 0o750); err != nil {
				return err
			}
		}
		if err := f.write(fmt.Sprintf("%s/note-%04d.txt", dir, i), f.random.IntN(smallFileBytes), 0o644); err != nil {
			return err
		}
	}
	f.dirs = append(f.dirs, "documents")
	return nil
}

func (f *filler) odd() error {
	for _, dir := range []struct {
		name string
		mode os.FileMode
	}{
		{"odd", 0o755},
		{"odd/private", 0o700},
		{"odd/read-only", 0o755}, // Made read-only when it is full.
		{"odd/shared", 0o777 | os.ModeSticky | os.ModeSetgid},
	} {
		if err := f.mkdir(dir.name, dir.mode); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		name  string
		bytes int
		mode  os.FileMode
	}{
		{"odd/empty", 0, 0o644},
		{"odd/one-byte", 1, 0o600},
		{"odd/only-readable", 100, 0o400},
		{"odd/executable", 4096, 0o755},
		{"odd/setuid", 100, 0o755 | os.ModeSetuid},
		{"odd/name with spaces and \u00fcml\u00e4uts", 100, 0o644},
		{"odd/read-only/inside", 10, 0o444},
	} {
		if err := f.write(file.name, file.bytes, file.mode); err != nil {
			return err
		}
	}
	return os.Chmod(f.path("odd/read-only"), 0o555) //nolint:gosec // a directory needs its x bit
}

// owned writes files of other users, if this one may.
func (f *filler) owned() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, owner := range []int{1000, 65534} {
		name := fmt.Sprintf("odd/of-user-%d", owner)
		if err := f.write(name, 100, 0o600); err != nil {
			return err
		}
		if err := os.Chown(f.path(name), owner, owner); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) sparse() error {
	file, err := os.OpenFile(f.path("sparse.img"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := file.Truncate(sparseBytes); err != nil {
		return err
	}
	if _, err := file.WriteAt(f.content(sparseData), sparseBytes/2); err != nil {
		return err
	}
	return f.finish("sparse.img", 0o600)
}

func (f *filler) links() error {
	if err := os.Symlink("database/segment-000.db", f.path("newest")); err != nil {
		return err
	}
	if err := os.Symlink("no/such/file", f.path("dangling")); err != nil {
		return err
	}
	return os.Link(f.path("odd/executable"), f.path("odd/hard-link"))
}

func (f *filler) touchDirs() error {
	for _, dir := range f.dirs {
		if err := f.touch(dir); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.root, name)
}

func (f *filler) mkdir(name string, mode os.FileMode) error {
	if err := os.MkdirAll(f.path(name), 0o750); err != nil {
		return err
	}
	f.dirs = append(f.dirs, name)
	return os.Chmod(f.path(name), mode)
}

func (f *filler) write(name string, bytes int, mode os.FileMode) error {
	if err := os.WriteFile(f.path(name), f.content(bytes), 0o600); err != nil {
		return err
	}
	return f.finish(name, mode)
}

func (f *filler) content(bytes int) []byte {
	content := make([]byte, bytes)
	_, _ = f.bytes.Read(content) // It cannot fail.
	return content
}

func (f *filler) finish(name string, mode os.FileMode) error {
	if err := os.Chmod(f.path(name), mode); err != nil {
		return err
	}
	return f.touch(name)
}

// touch gives an entry a time in the past, down to the nanosecond.
func (f *filler) touch(name string) error {
	const years = 10 * 365 * 24 * time.Hour
	mtime := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(f.random.Int64N(int64(years))))
	return os.Chtimes(f.path(name), mtime, mtime)
}

// Unlock makes all directories of a tree writable, so that an ordinary user can delete it.
func Unlock(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode()|0o200)
	})
}
