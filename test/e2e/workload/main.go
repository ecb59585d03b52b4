// Command workload is the application that is backed up: it fills empty folders and devices, prints what every entry is, one line
// each, and then does nothing. After a restore it prints the same, if everything came back.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

const (
	// end is the last line of the listing.
	end = "end of listing"
	// identity is how many random bytes a volume is told apart by.
	identity = 64
)

// options say what to do with the folders and devices that are given as arguments.
type options struct {
	large bool
	add   int
}

func main() {
	var o options
	flag.BoolVar(&o.large, "large", false, "fill each with about 220 MB instead of 10 MB")
	flag.IntVar(&o.add, "add", 0, "add a file of so many random bytes to each, print what is there, and end")
	flag.Parse()
	if err := o.run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
	if o.add > 0 {
		return
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}

func (o options) run(paths []string) error {
	out := bufio.NewWriter(os.Stdout)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeDevice != 0 {
			err = o.device(out, path)
		} else {
			err = o.folder(out, path)
		}
		if err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, end); err != nil {
		return err
	}
	return out.Flush()
}

func (o options) folder(out io.Writer, root string) error {
	if os.Geteuid() != 0 {
		// The volume itself is somebody else's.
		root = filepath.Join(root, "own")
		if err := os.MkdirAll(root, 0o755); err != nil { //nolint:gosec // others may look
			return err
		}
	}
	empty, err := isEmpty(root)
	if err != nil {
		return err
	}
	switch {
	case o.add > 0:
	case !empty:
		return list(out, root)
	case o.large:
		err = tree.Fill(root)
	default:
		err = tree.FillLittle(root)
	}
	if err != nil {
		return err
	}
	// All else is the same each time: what fills a volume that came back empty must not look like what was there before.
	if err := add(root, max(o.add, identity)); err != nil {
		return err
	}
	if err := wholeSeconds(root); err != nil {
		return err
	}
	return list(out, root)
}

// add writes a file with content that was never there before.
func add(root string, size int) error {
	file, err := os.CreateTemp(root, "added-")
	if err != nil {
		return err
	}
	if _, err := io.CopyN(file, rand.Reader, int64(size)); err != nil {
		return errors.Join(err, file.Close())
	}
	return file.Close()
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
	// A directory has the size that its file system likes. And its time is left out: stock Velero restores that of the youngest file
	// in it, whoever has made the backup.
	size, content, modified := info.Size(), "-", fmt.Sprintf("%d.%09d", info.ModTime().Unix(), info.ModTime().Nanosecond())
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
		size, modified = 0, "-"
	}
	return fmt.Sprintf("%s %d:%d %s %d %s", info.Mode(), stat.Uid, stat.Gid, modified, size, content), nil
}
