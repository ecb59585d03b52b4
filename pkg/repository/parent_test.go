package repository_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
)

var _ = It("Upload compares the volume with the snapshot that it is told to", func(ctx context.Context) {
	repo := open(ctx, newStore("a directory").access(namespace))
	volume := GinkgoT().TempDir()
	upload := func(change func(*repository.UploadRequest)) repository.UploadResult {
		GinkgoHelper()
		uploading := request(volume)
		change(&uploading)
		result, err := repo.Upload(ctx, uploading)
		Expect(err).NotTo(HaveOccurred())
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
		return result
	}
	latest := func(*repository.UploadRequest) {}
	parent := func(id string) func(*repository.UploadRequest) {
		return func(r *repository.UploadRequest) { r.ParentSnapshot = id }
	}

	put(volume, "old", randomBytes(1, 1000), 0o644)
	first := upload(latest)
	put(volume, "new", randomBytes(2, 10), 0o644)
	second := upload(latest)
	Expect(second.IncrementalBytes).To(BeEquivalentTo(10))

	Expect(upload(parent(first.SnapshotID)).IncrementalBytes).To(BeEquivalentTo(10), "an older one")
	Expect(upload(parent(second.SnapshotID)).IncrementalBytes).To(BeZero())
	Expect(upload(func(r *repository.UploadRequest) { r.Full = true }).IncrementalBytes).To(BeEquivalentTo(1010), "none")
	Expect(upload(parent("0123456789abcdef0123456789abcdef")).IncrementalBytes).To(BeEquivalentTo(1010), "one that is gone")

	other := request(GinkgoT().TempDir())
	other.SourcePVC = "other"
	foreign, err := repo.Upload(ctx, other)
	Expect(err).NotTo(HaveOccurred())
	Expect(upload(parent(foreign.SnapshotID)).IncrementalBytes).To(BeEquivalentTo(1010), "that of another volume")
})
