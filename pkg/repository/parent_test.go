package repository_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/upload"
)

var _ = It("Upload compares the volume with the snapshot that it is told to", func(ctx context.Context) {
	repo := open(ctx, newStore("a directory").access(namespace))
	volume := GinkgoT().TempDir()
	uploadIt := func(change func(*upload.Request)) upload.Result {
		GinkgoHelper()
		uploading := request(volume)
		change(&uploading)
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		expectSame(restored(ctx, repo, result.SnapshotID), describe(volume))
		return result
	}
	latest := func(*upload.Request) {}
	parent := func(id string) func(*upload.Request) {
		return func(r *upload.Request) { r.ParentSnapshot = id }
	}

	put(volume, "old", randomBytes(1, 1000), 0o644)
	first := uploadIt(latest)
	put(volume, "new", randomBytes(2, 10), 0o644)
	second := uploadIt(latest)
	Expect(second.IncrementalBytes).To(BeEquivalentTo(10))

	Expect(uploadIt(parent(first.SnapshotID)).IncrementalBytes).To(BeEquivalentTo(10), "an older one")
	Expect(uploadIt(parent(second.SnapshotID)).IncrementalBytes).To(BeZero())
	Expect(uploadIt(func(r *upload.Request) { r.Full = true }).IncrementalBytes).To(BeEquivalentTo(1010), "none")
	Expect(uploadIt(parent("0123456789abcdef0123456789abcdef")).IncrementalBytes).To(BeEquivalentTo(1010), "one that is gone")

	other := request(GinkgoT().TempDir())
	other.SourcePVC = "other"
	foreign, err := upload.Run(ctx, repo, other)
	Expect(err).NotTo(HaveOccurred())
	Expect(uploadIt(parent(foreign.SnapshotID)).IncrementalBytes).To(BeEquivalentTo(1010), "that of another volume")
})
