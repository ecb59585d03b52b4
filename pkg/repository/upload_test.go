package repository_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// request asks for an upload of the test volume, for a DataUpload of its own.
func request(path string) upload.Request {
	return upload.Request{
		SourceNamespace: namespace, SourcePVC: pvc, Path: path,
		DataUploadUID: string(uuid.NewUUID()), AsyncOperationID: "du-1.2",
	}
}

// restoreInto restores a snapshot into a directory.
func restoreInto(ctx context.Context, repo *repository.Repository, id, target string) error {
	_, err := restore.Run(ctx, repo, restore.Request{SnapshotID: id, Path: target})
	return err
}

// restoreBlock restores a snapshot onto a device.
func restoreBlock(ctx context.Context, repo *repository.Repository, id, target string) error {
	_, err := restore.Run(ctx, repo, restore.Request{SnapshotID: id, Path: target, Block: true})
	return err
}

// restored restores a snapshot and describes it.
func restored(ctx context.Context, repo *repository.Repository, id string) map[string]string {
	GinkgoHelper()
	target := GinkgoT().TempDir()
	Expect(restoreInto(ctx, repo, id, target)).To(Succeed())
	return describe(target)
}

// makeVolume makes a volume with all that a file system may hold.
func makeVolume() string {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	put(dir, "plain", []byte("hello"), 0o644)
	put(dir, "empty", nil, 0o640)
	put(dir, "large", randomBytes(1, 9<<20), 0o600)
	put(dir, "scripts/run", []byte("#!/bin/sh\n"), 0o755)
	put(dir, "scripts/setuid", []byte("x"), 0o755|os.ModeSetuid)
	put(dir, "read-only/file", []byte("y"), 0o444)
	put(dir, "odd/with space", []byte("1"), 0o644)
	put(dir, "odd/new\nline", []byte("2"), 0o644)
	put(dir, "odd/\u00e4\u6f22\U0001f600", []byte("3"), 0o644)
	put(dir, "odd/quote\"back\\slash*?", []byte("4"), 0o644)
	put(dir, "odd/"+strings.Repeat("n", 255), []byte("5"), 0o644)
	put(dir, "odd/.hidden", []byte("6"), 0o644)
	put(dir, "odd/latin-\xe4", []byte("a"), 0o644)
	put(dir, "odd/latin-\xf6", []byte("b"), 0o644)
	put(dir, "odd/\xff/\uefff", []byte("c"), 0o644)
	link(dir, "odd/\xfe", "latin-\xe4")
	put(dir, "lost+found/#12", []byte("7"), 0o600)
	// Kopia's own reader takes these for something that its shallow restore has left behind.
	put(dir, "shallow/file.kopia-entry", []byte("c"), 0o644)
	put(dir, "shallow/directory.kopia-entry/.kopia-entry", []byte("d"), 0o644)
	link(dir, "shallow/link.kopia-entry", "file.kopia-entry")
	// None of these may make Kopia leave something out.
	put(dir, "ignored/.kopiaignore", []byte("*\n"), 0o644)
	put(dir, "ignored/data", []byte("8"), 0o644)
	put(dir, "cache/CACHEDIR.TAG", []byte("Signature: 8a477f597d28d172789f06886806bc55"), 0o644)
	put(dir, "cache/data", []byte("9"), 0o644)

	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	Expect(err).NotTo(HaveOccurred())
	_, err = sparse.WriteAt([]byte("end"), 32<<20)
	Expect(err).NotTo(HaveOccurred())
	Expect(sparse.Close()).To(Succeed())

	Expect(os.MkdirAll(filepath.Join(dir, "directory/without/files"), 0o700)).To(Succeed())
	link(dir, "link", "plain")
	link(dir, "dangling", "/does/not/exist")
	link(dir, "odd/link-to-directory", "../scripts")
	if os.Geteuid() == 0 {
		Expect(os.Lchown(filepath.Join(dir, "plain"), 1001, 1002)).To(Succeed())
		Expect(os.Lchown(filepath.Join(dir, "link"), 1003, 1004)).To(Succeed())
		Expect(os.Lchown(filepath.Join(dir, "directory"), 1005, 1006)).To(Succeed())
	}
	Expect(os.Chmod(filepath.Join(dir, "directory/without"), 0o750|os.ModeSticky)).To(Succeed())
	Expect(os.Chtimes(filepath.Join(dir, "directory"), anyTime, anyTime)).To(Succeed())
	Expect(os.Chtimes(dir, anyTime, anyTime)).To(Succeed())
	return dir
}

var _ = Describe("Upload", func() {
	kinds := []TableEntry{Entry(nil, "a directory"), Entry(nil, "S3 over HTTP")}

	DescribeTable("keeps all of a volume", func(ctx context.Context, kind string) {
		store := newStore(kind)
		repo := open(ctx, store.access(namespace))
		volume := makeVolume()

		var last repository.Progress
		uploading := request(volume)
		uploading.ProgressInterval = time.Millisecond
		uploading.Progress = func(progress repository.Progress) {
			Expect(progress.BytesDone).To(BeNumerically(">=", last.BytesDone))
			last = progress
		}
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Empty).To(BeFalse())
		Expect(result.TotalBytes).To(BeNumerically(">", 41<<20))
		Expect(result.IncrementalBytes).To(Equal(result.TotalBytes))
		Expect(last).To(Equal(repository.Progress{TotalBytes: result.TotalBytes, BytesDone: result.TotalBytes}))

		target := GinkgoT().TempDir()
		Expect(restoreInto(ctx, repo, result.SnapshotID, target)).To(Succeed())
		expectSame(describe(target), describe(volume))

		Expect(repo.Snapshots(ctx, namespace, pvc)).To(HaveExactElements(
			And(HaveField("ID", result.SnapshotID), HaveField("TotalBytes", result.TotalBytes))))
		Expect(repo.Snapshots(ctx, namespace, "other")).To(BeEmpty())
	}, kinds)

	DescribeTable("reads only what has changed", func(ctx context.Context, kind string) {
		store := newStore(kind)
		volume := GinkgoT().TempDir()
		put(volume, "same", randomBytes(2, 3<<20), 0o644)
		put(volume, "changed", randomBytes(3, 1<<20), 0o644)
		link(volume, "link", "same")
		first, err := upload.Run(ctx, open(ctx, store.access(namespace)), request(volume))
		Expect(err).NotTo(HaveOccurred())

		put(volume, "changed", randomBytes(4, 1<<20+17), 0o644)
		put(volume, "new/file", randomBytes(5, 1000), 0o644)
		// Another pod sees the volume elsewhere, and starts without a cache.
		moved := filepath.Join(GinkgoT().TempDir(), "moved")
		Expect(os.Rename(volume, moved)).To(Succeed())
		repo := open(ctx, store.access(namespace))
		second, err := upload.Run(ctx, repo, request(moved))
		Expect(err).NotTo(HaveOccurred())

		Expect(second.IncrementalBytes).To(Equal(int64(1<<20 + 17 + 1000)))
		Expect(second.TotalBytes).To(Equal(int64(3<<20) + second.IncrementalBytes))
		expectSame(restored(ctx, repo, second.SnapshotID), describe(moved))
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(HaveExactElements(
			HaveField("ID", first.SnapshotID), HaveField("ID", second.SnapshotID)))

		By("and nothing if nothing has")
		third, err := upload.Run(ctx, repo, request(moved))
		Expect(err).NotTo(HaveOccurred())
		Expect(third.IncrementalBytes).To(BeZero())
		Expect(third.TotalBytes).To(Equal(second.TotalBytes))
		Expect(restored(ctx, repo, first.SnapshotID)).To(HaveKey("same"))
	}, kinds)

	DescribeTable("makes a snapshot of an empty volume", func(ctx context.Context, prepare func(dir string), empty bool) {
		repo := open(ctx, newStore("a directory").access(namespace))
		volume := GinkgoT().TempDir()
		prepare(volume)
		result, err := upload.Run(ctx, repo, request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.SnapshotID).NotTo(BeEmpty())
		Expect(result.Empty).To(Equal(empty))
		Expect(result.TotalBytes).To(BeZero())
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
	},
		Entry("with nothing at all", func(string) {}, true),
		Entry("with the directory of a fresh ext4", func(dir string) {
			Expect(os.Mkdir(filepath.Join(dir, "lost+found"), 0o700)).To(Succeed())
		}, true),
		Entry("but not with an empty file", func(dir string) { put(dir, "file", nil, 0o600) }, false),
		Entry("but not with a symbolic link", func(dir string) {
			link(dir, "link", "nowhere")
		}, false),
	)

	DescribeTable("keeps 10,000 small files", func(ctx context.Context, kind string) {
		repo := open(ctx, newStore(kind).access(namespace))
		volume := GinkgoT().TempDir()
		var total int64
		for i := range 10_000 {
			content := []byte(strings.Repeat(fmt.Sprintf("%05d", i), 1+i%20))
			total += int64(len(content))
			put(volume, fmt.Sprintf("%02d/%02d/%d", i%10, i/10%10, i), content, 0o644)
		}
		result, err := upload.Run(ctx, repo, request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(Equal(total))
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
	}, kinds)

	It("can be canceled half-way, and started again", func(ctx context.Context) {
		store := newS3Store()
		repo := open(ctx, store.access(namespace))
		volume := GinkgoT().TempDir()
		for i := range 8 {
			put(volume, fmt.Sprint(i), randomBytes(uint64(100+i), 6<<20), 0o644)
		}
		canceled, cancel := context.WithCancel(ctx)
		store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			// Data goes into packs that start with p. The first is full long before the volume is read.
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/kopia/"+namespace+"/p") {
				cancel()
			}
			return false
		})
		var last atomic.Pointer[repository.Progress]
		uploading := request(volume)
		uploading.ParallelFiles = 1
		uploading.ProgressInterval = time.Millisecond
		uploading.Progress = func(progress repository.Progress) { last.Store(&progress) }
		_, err := upload.Run(canceled, repo, uploading)
		Expect(err).To(MatchError(failure.ErrCanceled))
		Expect(last.Load().BytesDone).To(BeNumerically("<", 8*6<<20))
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(BeEmpty())

		store.intercept(func(http.ResponseWriter, *http.Request) bool { return false })
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(Equal(int64(8 * 6 << 20)))
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(HaveLen(1))
	})

	DescribeTable("can be canceled while it saves and reads back", func(ctx context.Context, method, blobs string) {
		store := newS3Store()
		repo := open(ctx, store.access(namespace))
		volume := GinkgoT().TempDir()
		put(volume, "file", randomBytes(1, 1<<20), 0o644)
		canceled, cancel := context.WithCancel(ctx)
		uploading := request(volume)
		uploading.Confirm = func(context.Context, string) error {
			store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != method || !strings.Contains(r.URL.String(), blobs) {
					return false
				}
				cancel()
				_, _ = io.Copy(io.Discard, r.Body) // the server does not see the client hang up before
				<-r.Context().Done()
				return true
			})
			return nil
		}
		_, err := upload.Run(canceled, repo, uploading)
		Expect(err).To(MatchError(failure.ErrCanceled))
		store.intercept(func(http.ResponseWriter, *http.Request) bool { return false })

		uploading.Confirm = nil
		result, err := upload.Run(ctx, open(ctx, store.access(namespace)), uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(HaveExactElements(HaveField("ID", result.SnapshotID)))
	},
		Entry("while it looks for the snapshot of another attempt", http.MethodGet, "list-type", NodeTimeout(time.Minute)),
		Entry("while it writes a pack", http.MethodPut, "/kopia/"+namespace+"/p", NodeTimeout(time.Minute)),
		Entry("while it writes the index", http.MethodPut, "/kopia/"+namespace+"/x", NodeTimeout(time.Minute)),
		Entry("while it clears up", http.MethodDelete, "/kopia/"+namespace+"/s", NodeTimeout(time.Minute)),
	)

	It("skips what is not data", func(ctx context.Context) {
		repo := open(ctx, newStore("a directory").access(namespace))
		volume := GinkgoT().TempDir()
		put(volume, "file", []byte("x"), 0o644)
		Expect(syscall.Mkfifo(filepath.Join(volume, "pipe"), 0o600)).To(Succeed())
		result, err := upload.Run(ctx, repo, request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(restored(ctx, repo, result.SnapshotID)).To(And(HaveKey("file"), Not(HaveKey("pipe"))))
	})

	DescribeTable("refuses a volume that it cannot read", func(ctx context.Context, path string, block bool, text string) {
		repo := open(ctx, newStore("a directory").access(namespace))
		uploading := request(path)
		uploading.Block = block
		_, err := upload.Run(ctx, repo, uploading)
		Expect(err).To(MatchError(And(ContainSubstring("upload volume shop/data"), ContainSubstring(text))))
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(BeEmpty())
	},
		Entry("that does not exist", "/does/not/exist", false, "no such file or directory"),
		Entry("that is a file", os.Args[0], false, "not a directory"),
		Entry("that should be a device", os.TempDir(), true, "is not a block device"),
		Entry("that is a character device", "/dev/null", true, "is not a block device"),
	)

	It("refuses a location that is read-only", func(ctx context.Context) {
		access := newStore("a directory").access(namespace)
		repo := open(ctx, access)
		access.Location.Spec.AccessMode = "ReadOnly"
		_, err := upload.Run(ctx, repo, request(GinkgoT().TempDir()))
		Expect(err).To(MatchError(failure.ErrLocationReadOnly))
		Expect(repository.Initialize(ctx, access)).To(MatchError(failure.ErrLocationReadOnly))
	})

	It("says that a snapshot does not exist", func(ctx context.Context) {
		repo := open(ctx, newStore("a directory").access(namespace))
		missing := And(MatchError(failure.ErrNoSnapshot), MatchError(ContainSubstring(`in the repository of namespace "shop"`)))
		Expect(restoreInto(ctx, repo, "0123456789abcdef", GinkgoT().TempDir())).To(missing)
		Expect(restoreBlock(ctx, repo, "0123456789abcdef", filepath.Join(GinkgoT().TempDir(), "target"))).To(missing)
	})

	It("keeps snapshots of namespaces apart", func(ctx context.Context) {
		store := newStore("S3 over HTTP")
		volume := GinkgoT().TempDir()
		put(volume, "file", []byte("x"), 0o644)
		_, err := upload.Run(ctx, open(ctx, store.access("one")), request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(open(ctx, store.access("two")).Snapshots(ctx, namespace, pvc)).To(BeEmpty())
	})
})
