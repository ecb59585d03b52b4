package repository_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// killedUpload is the environment variable with the doomedUpload of a process that is killed while it uploads.
const killedUpload = "NODE_AGENT_TEST_KILLED"

// doomedUpload is what that process uploads, and where to.
type doomedUpload struct {
	Store                 doomedStore
	Volume, DataUploadUID string
}

func (d *doomedUpload) run(ctx context.Context) error {
	repo, err := repository.Open(ctx, d.Store.access())
	if err != nil {
		return err
	}
	uploading := request(d.Volume)
	uploading.DataUploadUID = d.DataUploadUID
	uploading.ParallelFiles = 1
	uploading.CheckpointInterval = 20 * time.Millisecond
	_, err = upload.Run(ctx, repo, uploading)
	return err
}

// packedBytes is how much data the repository holds.
func (s *s3Store) packedBytes() int64 {
	GinkgoHelper()
	list, err := s.backend.ListBucket(bucket,
		&gofakes3.Prefix{HasPrefix: true, Prefix: s.key(namespace, "p")}, gofakes3.ListBucketPage{})
	Expect(err).NotTo(HaveOccurred())
	var result int64
	for _, object := range list.Contents {
		result += object.Size
	}
	return result
}

// killWhileUploading uploads a volume in another process, and kills that after a checkpoint, when more than enough is
// stored. It returns how much of it a later attempt can find at least.
func killWhileUploading(ctx context.Context, store *s3Store, volume, dataUploadUID string, enough int64) int64 {
	GinkgoHelper()
	initialize(ctx, store.access(namespace))
	var mutex sync.Mutex
	var found int64
	stalled := make(chan struct{})
	dead := make(chan struct{})
	store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		mutex.Lock()
		defer mutex.Unlock()
		select {
		case <-stalled:
			<-dead
			return true
		default:
		}
		if !strings.Contains(r.URL.Path, "/kopia/"+namespace+"/x") {
			return false
		}
		// An index makes the packs before it known. The checkpoint that is in it was begun after the index before.
		if found >= enough {
			close(stalled)
			return false
		}
		found = store.packedBytes()
		return false
	})
	killOnce(ctx, killedUpload, &doomedUpload{Store: doomedBy(store), Volume: volume, DataUploadUID: dataUploadUID}, stalled)
	close(dead)
	store.intercept(func(http.ResponseWriter, *http.Request) bool { return false })
	return found
}

var _ = Describe("An upload whose process was killed", func() {
	const (
		fileSize = 6 << 20
		files    = 12
		total    = files * fileSize
		enough   = 3 * fileSize
		// overhead is for what encryption adds.
		overhead = 1 << 20
	)

	It("goes on from its last checkpoint", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		for i := range files {
			put(volume, fmt.Sprintf("%d/file", i), randomBytes(uint64(200+i), fileSize), 0o644)
		}
		store := newS3Store()
		uploading := request(volume)
		found := killWhileUploading(ctx, store, volume, uploading.DataUploadUID, enough)
		stored := store.packedBytes()

		access := store.access(namespace)
		logs := recordLog(&access)
		repo := open(ctx, access)
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(BeEmpty())
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("a second attempt", fmt.Sprintf("read %d of %d bytes and stored %d; %d were stored, %d of them for certain",
			logs.readBytes(), total, store.packedBytes()-stored, stored, found))
		Expect(result.TotalBytes).To(BeEquivalentTo(total))
		Expect(logs.readBytes()).To(BeNumerically("<=", total-fileSize), "bytes read")
		Expect(store.packedBytes()-stored).To(BeNumerically("<=", total-found+overhead), "bytes stored")
		Expect(result.IncrementalBytes).To(And(BeNumerically(">", logs.readBytes()), BeNumerically("<=", total)))
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
	})

	It("reads a single large file anew, but does not store again what is stored", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		put(volume, "file", randomBytes(300, total), 0o644)
		store := newS3Store()
		uploading := request(volume)
		found := killWhileUploading(ctx, store, volume, uploading.DataUploadUID, enough)
		stored := store.packedBytes()

		access := store.access(namespace)
		logs := recordLog(&access)
		repo := open(ctx, access)
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("a second attempt", fmt.Sprintf("stored %d of %d bytes; %d were stored, %d of them for certain",
			store.packedBytes()-stored, total, stored, found))
		Expect(logs.readBytes()).To(BeEquivalentTo(total))
		Expect(store.packedBytes()-stored).To(BeNumerically("<=", total-found+overhead), "bytes stored")
		Expect(result.IncrementalBytes).To(BeEquivalentTo(total))
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
	})
})
