package volume_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/fs/localfs"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository/roottest"
	"github.com/node-agent/node-agent/pkg/repository/volume"
)

func open(path string) *volume.Volume {
	GinkgoHelper()
	v, err := volume.Open(path)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(v.Close)
	return v
}

func write(parts ...string) {
	GinkgoHelper()
	path := filepath.Join(parts[:len(parts)-1]...)
	Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	Expect(os.WriteFile(path, []byte(parts[len(parts)-1]), 0o644)).To(Succeed())
}

func setTime(path string, at time.Time) {
	GinkgoHelper()
	modified := unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
	Expect(unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{modified, modified}, unix.AT_SYMLINK_NOFOLLOW)).To(Succeed())
}

// contents describes all that is stored of a tree, one line per entry.
func contents(ctx context.Context, d fs.Directory, in string) []string {
	GinkgoHelper()
	entries, err := fs.GetAllEntries(ctx, d)
	Expect(err).NotTo(HaveOccurred())
	var lines []string
	for _, e := range entries {
		line := fmt.Sprintf("%s%s %s %s %d %v", in, e.Name(), e.Mode(), e.ModTime().UTC().Format(time.RFC3339Nano), e.Size(), e.Owner())
		switch e := e.(type) {
		case fs.File:
			line += " " + string(read(ctx, e))
		case fs.Symlink:
			target, err := e.Readlink(ctx)
			Expect(err).NotTo(HaveOccurred())
			line += " -> " + target
		case fs.ErrorEntry:
			line += " " + e.ErrorInfo().Error()
		case fs.Directory:
			lines = append(lines, contents(ctx, e, in+e.Name()+"/")...)
		}
		lines = append(lines, line)
		e.Close()
	}
	slices.Sort(lines)
	return lines
}

func read(ctx context.Context, f fs.File) []byte {
	GinkgoHelper()
	reader, err := f.Open(ctx)
	Expect(err).NotTo(HaveOccurred())
	content, err := io.ReadAll(reader)
	Expect(err).NotTo(HaveOccurred())
	Expect(reader.Close()).To(Succeed())
	return content
}

func child(ctx context.Context, v *volume.Volume, name string) fs.Entry {
	GinkgoHelper()
	e, err := v.Root().Child(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	return e
}

var _ = Describe("A volume", func() {
	var dir string

	BeforeEach(func() { dir = GinkgoT().TempDir() })

	It("reads as Kopia's own reader does, so that what has not changed is not uploaded again", func(ctx context.Context) {
		write(dir, "file", "content")
		write(dir, "empty", "")
		write(dir, "a", "b", "c", "deep")
		Expect(os.Mkdir(filepath.Join(dir, "none"), 0o700)).To(Succeed())
		Expect(os.Symlink(strings.Repeat("long/", 200), filepath.Join(dir, "link"))).To(Succeed())
		Expect(os.Chmod(filepath.Join(dir, "file"), 0o640|os.ModeSetuid|os.ModeSetgid|os.ModeSticky)).To(Succeed())
		setTime(filepath.Join(dir, "a", "b"), time.Date(1950, 1, 2, 3, 4, 5, 6, time.UTC))
		setTime(filepath.Join(dir, "link"), time.Date(2100, 1, 2, 3, 4, 5, 999999999, time.UTC))

		theirs, err := localfs.Directory(dir)
		Expect(err).NotTo(HaveOccurred())
		v := open(dir)
		Expect(contents(ctx, v.Root(), "")).To(Equal(contents(ctx, theirs, "")))
		Expect(v.Root().Name()).To(Equal(theirs.Name()))
		Expect(v.Root().Mode()).To(Equal(theirs.Mode()))
		Expect(v.Root().ModTime()).To(Equal(theirs.ModTime()))
		Expect(v.Root().Size()).To(Equal(theirs.Size()))
		Expect(v.Notices()).To(BeEmpty())
		Expect(v.EscapedNames()).To(BeFalse())
	})

	It("has entries of any name, among them those that Kopia's own reader takes for something else", func(ctx context.Context) {
		write(dir, "x", "1")
		write(dir, "x.kopia-entry", "2")
		write(dir, "d.kopia-entry", ".kopia-entry", "3")
		Expect(os.Symlink("x", filepath.Join(dir, "l.kopia-entry"))).To(Succeed())
		write(dir, "caf\xe9", "4")

		v := open(dir)
		entries, err := fs.GetAllEntries(ctx, v.Root())
		Expect(err).NotTo(HaveOccurred())
		var found []string
		for _, e := range entries {
			found = append(found, e.Mode().String()[:1]+" "+e.Name())
		}
		Expect(found).To(ConsistOf("- x", "- x.kopia-entry", "d d.kopia-entry", "L l.kopia-entry", "- caf\uefe9"))
		Expect(v.EscapedNames()).To(BeTrue())
		Expect(read(ctx, child(ctx, v, "caf\uefe9").(fs.File))).To(BeEquivalentTo("4"))
		inner, err := child(ctx, v, "d.kopia-entry").(fs.Directory).Child(ctx, ".kopia-entry")
		Expect(err).NotTo(HaveOccurred())
		Expect(read(ctx, inner.(fs.File))).To(BeEquivalentTo("3"))
		_, err = v.Root().Child(ctx, "none")
		Expect(err).To(MatchError(fs.ErrEntryNotFound))
	})

	It("reads trees that are deeper than any path may be long, with few handles open", func(ctx context.Context) {
		const depth = 1000
		fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		Expect(err).NotTo(HaveOccurred())
		for range depth {
			Expect(unix.Mkdirat(fd, "directory", 0o755)).To(Succeed())
			below, err := unix.Openat(fd, "directory", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			Expect(err).NotTo(HaveOccurred())
			Expect(unix.Close(fd)).To(Succeed())
			fd = below
			last, err := unix.Openat(fd, "file", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
			Expect(err).NotTo(HaveOccurred())
			Expect(unix.Close(last)).To(Succeed())
		}
		Expect(unix.Close(fd)).To(Succeed())

		v := open(dir)
		before := openFiles()
		files, most := 0, 0
		var visit func(d fs.Directory)
		visit = func(d fs.Directory) {
			entries, err := fs.GetAllEntries(ctx, d)
			Expect(err).NotTo(HaveOccurred())
			most = max(most, openFiles())
			for _, e := range entries {
				if sub, ok := e.(fs.Directory); ok {
					visit(sub)
				}
			}
			for _, e := range entries {
				if f, ok := e.(fs.File); ok {
					Expect(read(ctx, f)).To(BeEmpty())
					files++
				}
				e.Close()
			}
		}
		visit(v.Root())
		Expect(files).To(Equal(depth))
		Expect(most - before).To(BeNumerically("<", 300))
	})

	It("keeps the nearest time that can be stored, and says so", func(ctx context.Context) {
		for name, at := range map[string]time.Time{
			"future":  time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC),
			"present": time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC),
		} {
			write(dir, name, "")
			setTime(filepath.Join(dir, name), at)
		}
		v := open(dir)
		_ = contents(ctx, v.Root(), "")
		Expect(child(ctx, v, "future").ModTime().UTC()).To(Equal(time.Date(2262, 4, 11, 23, 47, 16, 854775807, time.UTC)))
		Expect(child(ctx, v, "present").ModTime().UTC()).To(Equal(time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC)))
		Expect(v.Notices()).To(ConsistOf(notice.Notice{Code: notice.TimesNotKept, Count: 1, Example: "future"}))
	})

	It("leaves out sockets, pipes and devices, and says so", func(ctx context.Context) {
		Expect(unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644)).To(Succeed())
		write(dir, "file", "")
		v := open(dir)
		Expect(contents(ctx, v.Root(), "")).To(HaveLen(1))
		Expect(v.Notices()).To(ConsistOf(notice.Notice{Code: notice.SpecialFilesSkipped, Count: 1, Example: "pipe"}))
	})

	DescribeTable("stores size, time and bytes of one moment of a file that changes",
		func(ctx context.Context, change func(path string), want string) {
			path := filepath.Join(dir, "log")
			write(path, "twelve bytes")
			setTime(path, time.Unix(1000, 0))
			v := open(dir)
			f := child(ctx, v, "log").(fs.File)
			// It was listed with 12 bytes, and has 15 when it is opened.
			write(path, "fifteen bytes..")
			setTime(path, time.Unix(2000, 0))
			reader, err := f.Open(ctx)
			Expect(err).NotTo(HaveOccurred())
			change(path)
			content, err := io.ReadAll(reader)
			Expect(err).NotTo(HaveOccurred())
			Expect(reader.Close()).To(Succeed())
			Expect(string(content)).To(Equal(want))
			Expect(f.Size()).To(BeEquivalentTo(15))
			Expect(f.ModTime()).To(Equal(time.Unix(2000, 0)))
			Expect(v.Notices()).To(ConsistOf(notice.Notice{Code: notice.ChangedWhileRead, Count: 1, Example: "log"}))
		},
		Entry("one that grows", func(path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			Expect(err).NotTo(HaveOccurred())
			_, err = f.WriteString("more")
			Expect(err).NotTo(HaveOccurred())
			Expect(f.Close()).To(Succeed())
		}, "fifteen bytes.."),
		Entry("one that is cut off", func(path string) { Expect(os.Truncate(path, 7)).To(Succeed()) }, "fifteen"),
	)

	It("never follows what is put in the place of a file or directory", func(ctx context.Context) {
		secret := GinkgoT().TempDir()
		write(secret, "file", "secret")
		write(dir, "file", "")
		write(dir, "pipe", "")
		write(dir, "directory", "file", "")
		v := open(dir)
		listed := map[string]fs.Entry{"file": child(ctx, v, "file"), "pipe": child(ctx, v, "pipe"), "directory": child(ctx, v, "directory")}
		Expect(os.RemoveAll(filepath.Join(dir, "directory"))).To(Succeed())
		Expect(os.Symlink(secret, filepath.Join(dir, "directory"))).To(Succeed())
		Expect(os.Remove(filepath.Join(dir, "file"))).To(Succeed())
		Expect(os.Symlink(filepath.Join(secret, "file"), filepath.Join(dir, "file"))).To(Succeed())
		Expect(os.Remove(filepath.Join(dir, "pipe"))).To(Succeed())
		Expect(unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644)).To(Succeed())

		_, err := listed["file"].(fs.File).Open(ctx)
		Expect(err).To(MatchError(unix.ELOOP))
		_, err = listed["pipe"].(fs.File).Open(ctx)
		Expect(err).To(MatchError(ContainSubstring("replaced")))
		_, err = listed["directory"].(fs.Directory).Iterate(ctx)
		Expect(err).To(MatchError(unix.ENOTDIR))
	})

	It("reads the directory that is there when it is opened, but none that takes its place while it is read", func(ctx context.Context) {
		path := filepath.Join(dir, "directory")
		replace := func(file string) {
			// The one before stays, so that its inode is not used again.
			Expect(os.Rename(path, filepath.Join(dir, "before "+file))).To(Succeed())
			write(path, file, "")
		}
		write(path, "listed", "")
		v := open(dir)
		listed := child(ctx, v, "directory").(fs.Directory)

		replace("opened")
		entries, err := listed.Iterate(ctx)
		Expect(err).NotTo(HaveOccurred())
		first, err := entries.Next(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Name()).To(Equal("opened"))

		replace("late")
		listed.Close()
		_, err = listed.Iterate(ctx)
		Expect(err).To(MatchError(ContainSubstring("replaced")))
	})

	Describe("that would not fit into a volume of its size again", func() {
		BeforeEach(func() {
			// Other programs change the size of what they share.
			if err := unix.Mount("volume", dir, "tmpfs", 0, "size=1m"); err != nil {
				roottest.Unavailable("cannot mount a file system", err)
			}
			DeferCleanup(unix.Unmount, dir, 0)
		})

		It("because of files that are sparse", func(ctx context.Context) {
			for _, name := range []string{"vm.img", "other.img"} {
				write(dir, name, "")
				Expect(os.Truncate(filepath.Join(dir, name), 600<<10)).To(Succeed())
			}
			v := open(dir)
			_ = contents(ctx, v.Root(), "")
			Expect(v.Notices()).To(ConsistOf(notice.Notice{Code: notice.LargerWithoutHoles, Count: 1200 << 10}))
		})

		It("because of files that are larger than any volume", func(ctx context.Context) {
			for _, name := range []string{"a", "b", "c"} {
				write(dir, name, "")
				Expect(os.Truncate(filepath.Join(dir, name), math.MaxInt64-4096)).To(Succeed())
			}
			v := open(dir)
			_, err := fs.GetAllEntries(ctx, v.Root())
			Expect(err).NotTo(HaveOccurred())
			Expect(v.Notices()).To(ConsistOf(notice.Notice{Code: notice.LargerWithoutHoles, Count: math.MaxInt64}))
		})

		It("because of files that have several names", func(ctx context.Context) {
			write(dir, "0", strings.Repeat("x", 512<<10))
			for _, name := range []string{"1", "2"} {
				Expect(os.Link(filepath.Join(dir, "0"), filepath.Join(dir, name))).To(Succeed())
			}
			v := open(dir)
			_ = contents(ctx, v.Root(), "")
			Expect(v.Notices()).To(ConsistOf(notice.Notice{Code: notice.LargerThanVolume, Count: 1536 << 10}))
		})

		It("says nothing where all fits", func(ctx context.Context) {
			write(dir, "file", strings.Repeat("x", 512<<10))
			v := open(dir)
			_ = contents(ctx, v.Root(), "")
			Expect(v.Notices()).To(BeEmpty())
		})
	})

	It("knows how many bytes its files have", func(ctx context.Context) {
		write(dir, "a", "b", "123")
		write(dir, "c", "45")
		Expect(open(dir).Bytes(ctx)).To(BeEquivalentTo(5))
	})
})

// openFiles is how many handles this process has.
func openFiles() int {
	GinkgoHelper()
	entries, err := os.ReadDir("/proc/self/fd")
	Expect(err).NotTo(HaveOccurred())
	return len(entries)
}
