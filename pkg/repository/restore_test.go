package repository_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// uploaded uploads a volume and returns the snapshot.
func uploaded(ctx context.Context, repo *repository.Repository, volume string) string {
	GinkgoHelper()
	result, err := upload.Run(ctx, repo, request(volume))
	Expect(err).NotTo(HaveOccurred())
	return result.SnapshotID
}

// isData tells a request for data from others.
func isData(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/kopia/"+namespace+"/p")
}

var _ = Describe("Restore", func() {
	DescribeTable("brings all of a volume back", func(ctx context.Context, change func(*repository.Access)) {
		store := newS3Store()
		volume := makeVolume()
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		access := store.access(namespace)
		change(&access)
		repo := open(ctx, access)

		var last repository.Progress
		target := GinkgoT().TempDir()
		restoring := restore.Request{SnapshotID: id, Path: target, ProgressInterval: time.Millisecond}
		restoring.Progress = func(progress repository.Progress) {
			Expect(progress.BytesDone).To(And(BeNumerically(">=", last.BytesDone), BeNumerically("<=", progress.TotalBytes)))
			last = progress
		}
		result, err := restore.Run(ctx, repo, restoring)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(BeNumerically(">", 41<<20))
		Expect(result.FoundBytes).To(BeZero())
		Expect(last).To(Equal(repository.Progress{TotalBytes: result.TotalBytes, BytesDone: result.TotalBytes}))
		expectSame(describe(target), describe(volume))
		Expect(restore.Verify(ctx, repo, restoring)).To(Succeed())

		By("doing it again, which reads no file from the repository")
		last = repository.Progress{}
		again, err := restore.Run(ctx, repo, restoring)
		Expect(err).NotTo(HaveOccurred())
		Expect(again).To(Equal(restore.Result{TotalBytes: result.TotalBytes, FoundBytes: result.TotalBytes}))
		expectSame(describe(target), describe(volume))
	},
		Entry("with caches in memory", func(a *repository.Access) { a.Restore = true }),
		Entry("with caches on disk", func(*repository.Access) {}),
		Entry("with caches on a volume", func(a *repository.Access) { a.Restore, a.CacheDir = true, GinkgoT().TempDir() }),
	)

	It("leaves holes, also in a file that has something else where they are to be", func(ctx context.Context) {
		volume := makeVolume()
		repo := open(ctx, newStore("a directory").access(namespace))
		id := uploaded(ctx, repo, volume)
		target := GinkgoT().TempDir()
		for range 2 {
			Expect(restoreInto(ctx, repo, id, target)).To(Succeed())
			Expect(allocated(filepath.Join(target, "sparse"))).To(BeNumerically("<", 1<<20))
			expectSame(describe(target), describe(volume))
			Expect(os.WriteFile(filepath.Join(target, "sparse"), randomBytes(7, 32<<20+3), 0o600)).To(Succeed())
		}
	})

	It("leaves holes of any place and size", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		content := randomBytes(3, 9<<20)
		for _, hole := range [][2]int{{0, 4096}, {5000, 3000}, {12_288, 8192}, {1 << 20, 6 << 20}, {9<<20 - 100, 100}} {
			clear(content[hole[0] : hole[0]+hole[1]])
		}
		put(volume, "file", content, 0o600)
		put(volume, "zeros", make([]byte, 100_000), 0o600)
		put(volume, "odd", content[:4097], 0o600)
		repo := open(ctx, newStore("a directory").access(namespace))
		target := GinkgoT().TempDir()
		_, err := restore.Run(ctx, repo, restore.Request{SnapshotID: uploaded(ctx, repo, volume), Path: target})
		Expect(err).NotTo(HaveOccurred())
		expectSame(describe(target), describe(volume))
		Expect(allocated(filepath.Join(target, "file"))).To(BeNumerically("<=", 3<<20))
		Expect(allocated(filepath.Join(target, "zeros"))).To(BeZero())
	})

	It("reads parts of one large file at the same time", func(ctx context.Context) {
		store := newS3Store()
		volume := GinkgoT().TempDir()
		put(volume, "large", randomBytes(4, 40<<20), 0o600)
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		access := store.access(namespace)
		access.Restore = true
		repo := open(ctx, access)
		// The first request waits for the second.
		var count atomic.Int32
		both := make(chan struct{})
		store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if isData(r) && count.Add(1) == 2 {
				close(both)
			}
			if isData(r) {
				<-both
			}
			return false
		})
		target := GinkgoT().TempDir()
		_, err := restore.Run(ctx, repo, restore.Request{SnapshotID: id, Path: target, ParallelFiles: 1})
		Expect(err).NotTo(HaveOccurred())
		expectSame(describe(target), describe(volume))
	})

	DescribeTable("reads packs of small files as a whole", func(ctx context.Context, change func(*repository.Access)) {
		const files = 1500
		store := newS3Store()
		volume := GinkgoT().TempDir()
		for i := range files {
			put(volume, fmt.Sprintf("%d/%d", i/100, i), randomBytes(uint64(i), 1000+i), 0o600)
		}
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		access := store.access(namespace)
		change(&access)
		repo := open(ctx, access)
		var count atomic.Int32
		store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				count.Add(1)
			}
			return false
		})
		target := GinkgoT().TempDir()
		Expect(restoreInto(ctx, repo, id, target)).To(Succeed())
		Expect(count.Load()).To(BeNumerically("<", files/10), "requests")
		expectSame(describe(target), describe(volume))
	},
		Entry("with caches in memory", func(a *repository.Access) { a.Restore = true }),
		Entry("with caches on disk", func(*repository.Access) {}),
	)

	It("leaves alone what is not in the snapshot", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		put(volume, "file", []byte("new"), 0o644)
		put(volume, "dir/file", []byte("new"), 0o644)
		link(volume, "link", "file")
		repo := open(ctx, newStore("a directory").access(namespace))
		id := uploaded(ctx, repo, volume)

		elsewhere := GinkgoT().TempDir()
		put(elsewhere, "file", []byte("precious"), 0o600)
		target := GinkgoT().TempDir()
		Expect(os.Mkdir(filepath.Join(target, "lost+found"), 0o700)).To(Succeed())
		put(target, "other", []byte("mine"), 0o600)
		put(target, "dir/other", []byte("mine"), 0o600)
		put(target, "link", []byte("in the way"), 0o600)
		link(target, "file", filepath.Join(elsewhere, "file"))
		Expect(os.Link(filepath.Join(elsewhere, "file"), filepath.Join(target, "dir/file"))).To(Succeed())
		before := describe(target)
		Expect(restoreInto(ctx, repo, id, target)).To(Succeed())

		want := describe(volume)
		for _, name := range []string{"lost+found", "other", "dir/other"} {
			want[name] = before[name]
		}
		expectSame(describe(target), want)
		Expect(os.ReadFile(filepath.Join(elsewhere, "file"))).To(BeEquivalentTo("precious"))
	})

	DescribeTable("names what it cannot write", func(ctx context.Context, makeTarget func() string, text string) {
		volume := GinkgoT().TempDir()
		put(volume, "dir/file", randomBytes(1, 6<<20), 0o644)
		repo := open(ctx, newStore("a directory").access(namespace))
		id := uploaded(ctx, repo, volume)
		target := makeTarget()
		err := restoreInto(ctx, repo, id, target)
		Expect(err).To(MatchError(ContainSubstring("restore snapshot " + id + ": " + strings.ReplaceAll(text, "TARGET", target))))
		Expect(err).To(beSafe())
		Expect(failure.Retryable(err)).To(BeFalse())
	},
		Entry("on a full volume", func() string { return mountMemory("size=2m") },
			"the volume is full: write dir/file: no space left on device"),
		Entry("on a full volume, sparse or not, without inodes", func() string { return mountMemory("nr_inodes=2") },
			"the volume is full: create dir/file: no space left on device"),
		Entry("on a read-only volume", func() string {
			dir := mountMemory("size=2m")
			Expect(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")).To(Succeed())
			return dir
		}, "the volume cannot be written: create directory dir: read-only file system"),
		Entry("where a directory is in the way", func() string {
			dir := GinkgoT().TempDir()
			Expect(os.MkdirAll(filepath.Join(dir, "dir/file"), 0o755)).To(Succeed())
			return dir
		}, "create dir/file: a directory is in its place"),
		Entry("without a volume", func() string { return "/does/not/exist" }, "open TARGET: no such file or directory"),
		Entry("where there is a file", func() string { return writeFile("x") }, "open TARGET: not a directory"),
	)

	It("can be canceled, and goes on afterwards", func(ctx context.Context) {
		store := newS3Store()
		volume := GinkgoT().TempDir()
		put(volume, "large", randomBytes(4, 40<<20), 0o600)
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		access := store.access(namespace)
		access.Restore = true
		repo := open(ctx, access)
		canceled, cancel := context.WithCancel(ctx)
		var count atomic.Int32
		store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if isData(r) && count.Add(1) == 4 {
				cancel()
			}
			return false
		})
		target := GinkgoT().TempDir()
		restoring := restore.Request{SnapshotID: id, Path: target}
		_, err := restore.Run(canceled, repo, restoring)
		Expect(err).To(MatchError(failure.ErrCanceled))
		_, err = restore.Run(ctx, repo, restoring)
		Expect(err).NotTo(HaveOccurred())
		expectSame(describe(target), describe(volume))
	})

	DescribeTable("tells a store that fails from a snapshot that is damaged",
		func(ctx context.Context, status int, code, text string, retryable bool) {
			store := newS3Store()
			volume := GinkgoT().TempDir()
			put(volume, "dir/file", randomBytes(1, 1<<20), 0o644)
			id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
			access := store.access(namespace)
			access.Restore = true
			repo := open(ctx, access)
			store.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				return isData(r) && answerS3(w, status, code, "Sorry.")
			})
			err := restoreInto(ctx, repo, id, GinkgoT().TempDir())
			Expect(err).To(And(MatchError(ContainSubstring(text)), MatchError(ContainSubstring("read dir/file from the repository")), beSafe()))
			Expect(failure.Retryable(err)).To(Equal(retryable))
		},
		Entry("down", http.StatusServiceUnavailable, "SlowDown", "the store asks to slow down", true),
		Entry("forbidden", http.StatusForbidden, "AccessDenied", "the store refuses access", false),
		Entry("a pack is gone", http.StatusNotFound, "NoSuchKey", "BLOB not found", false),
	)

	It("does not take the checkpoint of an upload for a snapshot", func(ctx context.Context) {
		store := newStore("a directory").(*directoryStore)
		volume := GinkgoT().TempDir()
		put(volume, "file", []byte("x"), 0o644)
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		incomplete := makeIncomplete(ctx, likeVelero(ctx, store), id)
		err := restoreInto(ctx, open(ctx, store.access(namespace)), incomplete, GinkgoT().TempDir())
		Expect(err).To(MatchError(failure.ErrIncompleteSnapshot))
	})

	It("does not take a device for files, nor one for the other", func(ctx context.Context) {
		device := writeFile("0123456789abcdef")
		repo := open(ctx, newStore("a directory").access(namespace))
		uploading := request(device)
		uploading.Block = true
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		target := GinkgoT().TempDir()
		Expect(restoreInto(ctx, repo, result.SnapshotID, target)).To(MatchError(ContainSubstring("is a device, but the volume is a file system")))
		Expect(os.ReadDir(target)).To(BeEmpty())
	})
})

var _ = Describe("Verification", func() {
	DescribeTable("finds", func(ctx context.Context, change func(dir string), text string) {
		volume := GinkgoT().TempDir()
		put(volume, "dir/large", randomBytes(1, 12<<20), 0o640)
		put(volume, "zeros", make([]byte, 1<<20), 0o600)
		link(volume, "link", "zeros")
		Expect(os.Chtimes(volume, anyTime, anyTime)).To(Succeed())
		repo := open(ctx, newStore("a directory").access(namespace))
		restoring := restore.Request{SnapshotID: uploaded(ctx, repo, volume), Path: GinkgoT().TempDir()}
		_, err := restore.Run(ctx, repo, restoring)
		Expect(err).NotTo(HaveOccurred())
		Expect(restore.Verify(ctx, repo, restoring)).To(Succeed())

		change(restoring.Path)
		Expect(os.Chtimes(restoring.Path, anyTime, anyTime)).To(Succeed())
		err = restore.Verify(ctx, repo, restoring)
		Expect(err).To(MatchError(HavePrefix(
			"verify snapshot " + restoring.SnapshotID + ": 1 entry of the volume not as in the snapshot: " + text)))
		Expect(failure.Retryable(err)).To(BeFalse())
	},
		Entry("a byte that differs", func(dir string) { flip(filepath.Join(dir, "dir/large"), 11<<20) }, "dir/large: byte 11534336 differs"),
		Entry("a byte that is not zero", func(dir string) { flip(filepath.Join(dir, "zeros"), 17) }, "zeros: byte 17 differs"),
		Entry("another size", func(dir string) {
			Expect(os.Truncate(filepath.Join(dir, "zeros"), 1<<20+1)).To(Succeed())
			Expect(os.Chtimes(filepath.Join(dir, "zeros"), anyTime, anyTime)).To(Succeed())
		}, "zeros: it has 1048577 bytes instead of 1048576"),
		Entry("another mode", func(dir string) { Expect(os.Chmod(filepath.Join(dir, "zeros"), 0o644)).To(Succeed()) },
			"zeros: its mode is -rw-r--r-- instead of -rw-------"),
		Entry("another time", func(dir string) {
			Expect(os.Chtimes(filepath.Join(dir, "dir"), anyTime, anyTime.Add(1))).To(Succeed())
		}, "dir: its time is "),
		Entry("another link", func(dir string) {
			Expect(os.Remove(filepath.Join(dir, "link"))).To(Succeed())
			link(dir, "link", "elsewhere")
		}, "link: it points to another place"),
		Entry("another type", func(dir string) {
			Expect(os.Remove(filepath.Join(dir, "link"))).To(Succeed())
			put(dir, "link", nil, 0o600)
		}, "link: its type is "),
		Entry("nothing", func(dir string) { Expect(os.Remove(filepath.Join(dir, "link"))).To(Succeed()) },
			"link: no such file or directory"),
	)
})

// flip changes a byte of a file, but not its time.
func flip(path string, offset int64) {
	GinkgoHelper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	Expect(err).NotTo(HaveOccurred())
	one := make([]byte, 1)
	_, err = file.ReadAt(one, offset)
	Expect(err).NotTo(HaveOccurred())
	one[0] ^= 1
	_, err = file.WriteAt(one, offset)
	Expect(err).NotTo(HaveOccurred())
	Expect(file.Close()).To(Succeed())
	Expect(os.Chtimes(path, anyTime, anyTime)).To(Succeed())
}

// requestLog remembers how many bytes of data were asked for.
type requestLog struct {
	mutex sync.Mutex
	paths []string
}

func (l *requestLog) add(r *http.Request) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.paths = append(l.paths, r.URL.Path)
}

func (l *requestLog) count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.paths)
}
