package storage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// partial ends the name of a copy that is not complete.
const partial = ".partial"

// copyTree copies a file or directory with everything that can be told about it: modes, times, owners as far as
// allowed, links, holes, extended attributes. The copy appears under its name only when it is complete.
func copyTree(from, to string) error {
	if err := removeTree(to + partial); err != nil {
		return err
	}
	cp := exec.CommandContext(context.Background(), "cp", "-a", "--sparse=auto", "--reflink=auto", "-T", from, to+partial)
	out, err := cp.CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w: %s", from, to, err, strings.TrimSpace(string(out)))
	}
	return os.Rename(to+partial, to)
}

// removeTree removes a file or directory, read-only directories in it too: an ordinary user may not empty those.
func removeTree(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	err := filepath.WalkDir(path, func(entry string, dir fs.DirEntry, err error) error {
		if err != nil || !dir.IsDir() {
			return err
		}
		return os.Chmod(entry, 0o700) //nolint:gosec // a directory needs its x bit
	})
	if err != nil {
		return fmt.Errorf("make %s removable: %w", path, err)
	}
	return os.RemoveAll(path)
}
