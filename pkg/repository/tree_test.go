package repository_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// anyTime is when files of a test volume were modified: in the past, with nanoseconds.
var anyTime = time.Date(2021, 3, 4, 5, 6, 7, 123456789, time.UTC)

// randomBytes does not repeat, so that nothing is deduplicated. The same seed gives the same bytes.
func randomBytes(seed uint64, size int) []byte {
	result := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, err := source.Read(result)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// put writes a file, with the directories it needs.
func put(dir, name string, content []byte, mode os.FileMode) {
	GinkgoHelper()
	path := filepath.Join(dir, name)
	Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
	Expect(os.Chmod(path, mode)).To(Succeed())
	Expect(os.Chtimes(path, anyTime, anyTime)).To(Succeed())
}

// link makes a symbolic link with a time of nanoseconds.
func link(dir, name, target string) {
	GinkgoHelper()
	path := filepath.Join(dir, name)
	Expect(os.Symlink(target, path)).To(Succeed())
	modified := unix.NsecToTimespec(anyTime.UnixNano())
	Expect(unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{modified, modified}, unix.AT_SYMLINK_NOFOLLOW)).To(Succeed())
}

// describe says all about the entries of a directory that a backup must keep, by path.
func describe(dir string) map[string]string {
	GinkgoHelper()
	result := map[string]string{}
	Expect(filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s %s", info.Mode(), info.ModTime().UTC().Format(time.RFC3339Nano))
		if os.Geteuid() == 0 {
			stat := info.Sys().(*syscall.Stat_t)
			text += fmt.Sprintf(" %d:%d", stat.Uid, stat.Gid)
		}
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		case 0:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(content)
			text += fmt.Sprintf(" %d %s", info.Size(), hex.EncodeToString(sum[:]))
		}
		result[relative] = text
		return nil
	})).To(Succeed())
	return result
}

// allocated is the space that a file takes on disk, in bytes.
func allocated(path string) int64 {
	GinkgoHelper()
	var stat syscall.Stat_t
	Expect(syscall.Stat(path, &stat)).To(Succeed())
	return stat.Blocks * 512
}

// expectSame compares two descriptions and shows only where they differ.
func expectSame(got, want map[string]string) {
	GinkgoHelper()
	Expect(cmp.Diff(want, got)).To(BeEmpty())
}
