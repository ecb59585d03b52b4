package store

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location/settings"
)

// watched counts the blobs that are read, and holds each read back until it may go on.
type watched struct {
	blob.Storage

	reads atomic.Int32
	goOn  chan struct{}
}

func (w *watched) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	w.reads.Add(1)
	<-w.goOn
	return w.Storage.GetBlob(ctx, id, offset, length, output)
}

var _ = Describe("Packs in memory", func() {
	const size = packSize / 2

	var (
		storage *watched
		packs   *Packs
	)

	BeforeEach(func(ctx context.Context) {
		files, err := openFilesystem(ctx, Access{
			Location: &velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{
				Config: map[string]string{settings.FilesystemPath: GinkgoT().TempDir()},
			}},
			VolumeNamespace: "shop",
		}, true)
		Expect(err).NotTo(HaveOccurred())
		storage = &watched{Storage: files, goOn: make(chan struct{})}
		packs = &Packs{Storage: storage}
		packs.CacheMetadata()
	})

	pack := func(ctx context.Context, n, size int) blob.ID {
		GinkgoHelper()
		id := blob.ID(fmt.Sprintf("%s%032d", metadataPack, n))
		Expect(storage.PutBlob(ctx, id, Bytes(bytes.Repeat([]byte{byte(n)}, size)), blob.PutOptions{})).To(Succeed())
		return id
	}

	read := func(ctx context.Context, id blob.ID, n int) {
		GinkgoHelper()
		var part blobBuffer
		Expect(packs.GetBlob(ctx, id, 10, 3, &part)).To(Succeed())
		Expect(part.Bytes()).To(Equal(bytes.Repeat([]byte{byte(n)}, 3)))
	}

	It("are read once, however many want a part of one", func(ctx context.Context) {
		id := pack(ctx, 1, 1000)
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				defer GinkgoRecover()
				read(ctx, id, 1)
			})
		}
		Eventually(storage.reads.Load).Should(BeEquivalentTo(1))
		close(storage.goOn)
		readers.Wait()
		Expect(storage.reads.Load()).To(BeEquivalentTo(1))
	})

	It("take no more memory than they have bytes", func(ctx context.Context) {
		close(storage.goOn)
		id := pack(ctx, 1, 1000)
		read(ctx, id, 1)
		Expect(cap(packs.get(id))).To(BeNumerically("<", 4096))
	})

	It("stay as long as they fit, and those that are used the longest", func(ctx context.Context) {
		close(storage.goOn)
		first := pack(ctx, 0, size)
		read(ctx, first, 0)
		for n := 1; n <= 2*MaxCachedPacks; n++ { // one more than there is room for
			read(ctx, pack(ctx, n, size), n)
			read(ctx, first, 0)
		}
		Expect(storage.reads.Load()).To(BeEquivalentTo(1+2*MaxCachedPacks), "the one in use stays")
		Expect(packs.caches[true].bytes).To(BeNumerically("<=", MaxCachedPacks*packSize))
		Expect(packs.get(blob.ID(fmt.Sprintf("%s%032d", metadataPack, 1)))).To(BeNil(), "the one that was not used for the longest time goes")
	})
})
