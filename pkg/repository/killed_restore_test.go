package repository_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// killedRestore is the environment variable with the doomedRestore of a process that is killed while it restores.
const killedRestore = "NODE_AGENT_TEST_KILLED_RESTORE"

// doomedRestore is what that process restores, and where to.
type doomedRestore struct {
	Store              doomedStore
	SnapshotID, Target string
	Block              bool
}

func (d *doomedRestore) run(ctx context.Context) error {
	access := d.Store.access()
	access.Restore = true
	repo, err := repository.Open(ctx, access)
	if err != nil {
		return err
	}
	_, err = restore.Run(ctx, repo, restore.Request{SnapshotID: d.SnapshotID, Path: d.Target, Block: d.Block, ParallelFiles: 1})
	return err
}

// killWhileRestoring restores in another process, and kills that once it has read a number of parts and written 16 MiB.
func killWhileRestoring(ctx context.Context, store *s3Store, doomed doomedRestore, parts int) {
	GinkgoHelper()
	stalled, dead := make(chan struct{}), make(chan struct{})
	requests := &requestLog{}
	store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !isData(r) {
			return false
		}
		requests.add(r)
		switch count := requests.count(); {
		case count == parts+1:
			close(stalled)
			fallthrough
		case count > parts:
			<-dead
			return true
		}
		return false
	})
	file := doomed.Target
	if !doomed.Block {
		file = filepath.Join(file, "large")
	}
	doomed.Store = doomedBy(store)
	written := func() {
		Eventually(func() int64 { return allocated(file) }).WithTimeout(time.Minute).Should(BeNumerically(">=", 16<<20))
	}
	killOnce(ctx, killedRestore, &doomed, stalled, written)
	close(dead)
	store.intercept(func(http.ResponseWriter, *http.Request) bool { return false })
}

var _ = Describe("A restore whose process was killed", func() {
	const size = 48 << 20

	// goOn restores the rest, and returns how much was there.
	goOn := func(ctx context.Context, store *s3Store, restoring restore.Request) int64 {
		GinkgoHelper()
		access := store.access(namespace)
		access.Restore = true
		repo := open(ctx, access)
		result, err := restore.Run(ctx, repo, restoring)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(BeEquivalentTo(size))
		AddReportEntry("found", fmt.Sprintf("%d of %d bytes", result.FoundBytes, size))
		Expect(restore.Verify(ctx, repo, restoring)).To(Succeed())
		return result.FoundBytes
	}

	It("goes on in the middle of a file, and takes nothing for complete that is not", func(ctx context.Context) {
		store := newS3Store()
		volume := GinkgoT().TempDir()
		put(volume, "large", randomBytes(300, size), 0o640)
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		target := GinkgoT().TempDir()
		killWhileRestoring(ctx, store, doomedRestore{SnapshotID: id, Target: target}, 6)

		By("finding a file that has its size, but not its content, even with the time that it shall have")
		info, err := os.Stat(filepath.Join(target, "large"))
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Size()).To(BeEquivalentTo(size))
		Expect(os.Chtimes(filepath.Join(target, "large"), anyTime, anyTime)).To(Succeed())
		found := goOn(ctx, store, restore.Request{SnapshotID: id, Path: target})
		Expect(found).To(And(BeNumerically(">", 0), BeNumerically("<", size)))
		expectSame(describe(target), describe(volume))
	})

	It("goes on in the middle of a device", func(ctx context.Context) {
		store := newS3Store()
		device := filepath.Join(GinkgoT().TempDir(), "device")
		content := randomBytes(301, size)
		Expect(os.WriteFile(device, content, 0o600)).To(Succeed())
		uploading := request(device)
		uploading.Block = true
		result, err := upload.Run(ctx, open(ctx, store.access(namespace)), uploading)
		Expect(err).NotTo(HaveOccurred())
		target := filepath.Join(GinkgoT().TempDir(), "target")
		killWhileRestoring(ctx, store, doomedRestore{SnapshotID: result.SnapshotID, Target: target, Block: true}, 6)
		found := goOn(ctx, store, restore.Request{SnapshotID: result.SnapshotID, Path: target, Block: true, Resume: true})
		Expect(found).To(And(BeNumerically(">", 0), BeNumerically("<", size)))
		Expect(os.ReadFile(target)).To(Equal(content))
	})
})
