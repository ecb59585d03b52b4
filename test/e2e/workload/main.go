// Command workload is the application that is backed up: it fills an empty folder, prints what every entry is, one line each, and
// then does nothing. After a restore it prints the same, if everything came back.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/test/demo/tree"
)

// end is the last line of the listing.
const end = "end of listing"

func main() {
	large := flag.Bool("large", false, "fill it with about 220 MB instead of 10 MB")
	flag.Parse()
	if err := run(flag.Arg(0), *large); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}

func run(root string, large bool) error {
	empty, err := isEmpty(root)
	if err != nil {
		return err
	}
	if empty {
		fill := tree.FillLittle
		if large {
			fill = tree.Fill
		}
		if err := fill(root); err != nil {
			return err
		}
		if err := wholeSeconds(root); err != nil {
			return err
		}
	}
	out := bufio.NewWriter(os.Stdout)
	if err := list(out, root); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, end); err != nil {
		return err
	}
	return out.Flush()
}

func isEmpty(root string) (bool, error) {
	entries, err := os.ReadDir(root)
	for _, entry := range entries {
		if entry.Name() != "lost+found" {
			return false, err
		}
	}
	return true, err
}

// wholeSeconds cuts the times of all entries: the CSI driver of the testbed keeps snapshots in tar files, which know no more.
func wholeSeconds(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		when := unix.Timespec{Sec: info.ModTime().Unix()}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// list prints type and mode, owner, time, size, content and name of each entry.
func list(out io.Writer, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name == "lost+found" {
			return filepath.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		described, err := describe(path, info)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s %q\n", described, name)
		return err
	})
}

func describe(path string, info fs.FileInfo) (string, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s: its owner cannot be told", path)
	}
	// A directory has the size that its file system likes.
	size, content := info.Size(), "-"
	switch {
	case info.Mode().IsRegular():
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, file); err != nil {
			return "", err
		}
		content = hex.EncodeToString(sum.Sum(nil))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		size, content = int64(len(target)), fmt.Sprintf("%q", target)
	default:
		size = 0
	}
	return fmt.Sprintf("%s %d:%d %d.%09d %d %s", info.Mode(), stat.Uid, stat.Gid, info.ModTime().Unix(), info.ModTime().Nanosecond(),
		size, content), nil
}
