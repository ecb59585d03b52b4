package repository_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/roottest"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// newDevice makes a block device with some content, that of a file in a directory. Only root can.
func newDevice(dir string, content []byte) string {
	GinkgoHelper()
	roottest.Require()
	file, err := os.CreateTemp(dir, "backing")
	Expect(err).NotTo(HaveOccurred())
	_, err = file.Write(content)
	Expect(err).NotTo(HaveOccurred())
	Expect(file.Close()).To(Succeed())
	return loopDevice(file.Name())
}

var _ = Describe("A snapshot of a device", func() {
	content := append(randomBytes(7, 5<<20), make([]byte, 7<<20)...)

	// uploadDevice uploads a device, or a file that stands for one.
	uploadDevice := func(ctx context.Context, repo *repository.Repository, device string) upload.Result {
		GinkgoHelper()
		var totals []int64
		uploading := request(device)
		uploading.Block = true
		uploading.ProgressInterval = time.Millisecond
		uploading.Progress = func(progress repository.Progress) { totals = append(totals, progress.TotalBytes) }
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(Equal(int64(len(content))))
		Expect(result.IncrementalBytes).To(Equal(result.TotalBytes))
		Expect(result.Empty).To(BeFalse())
		Expect(totals).To(HaveEach(result.TotalBytes), "the total is known from the start")
		return result
	}

	It("can be written into a file", func(ctx context.Context) {
		repo := open(ctx, newStore("a directory").access(namespace))
		device := filepath.Join(GinkgoT().TempDir(), "device")
		Expect(os.WriteFile(device, content, 0o600)).To(Succeed())
		result := uploadDevice(ctx, repo, device)

		target := filepath.Join(GinkgoT().TempDir(), "target")
		Expect(os.WriteFile(target, make([]byte, 20<<20), 0o600)).To(Succeed())
		Expect(restoreBlock(ctx, repo, result.SnapshotID, target)).To(Succeed())
		Expect(os.ReadFile(target)).To(Equal(content))
	})

	DescribeTable("can be written onto a device that is large enough", func(ctx context.Context, dir func() string) {
		source := newDevice(dir(), content)
		target := newDevice(dir(), randomBytes(8, len(content)+9<<20+4096))
		small := newDevice(dir(), make([]byte, len(content)-4096))
		link := filepath.Join(GinkgoT().TempDir(), "link")
		Expect(os.Symlink(source, link)).To(Succeed())
		repo := open(ctx, newStore("a directory").access(namespace))
		result := uploadDevice(ctx, repo, link)

		Expect(restoreBlock(ctx, repo, result.SnapshotID, target)).To(Succeed())
		restored, err := os.ReadFile(target)
		Expect(err).NotTo(HaveOccurred())
		Expect(restored[:len(content)]).To(Equal(content))
		Expect(bytes.Trim(restored[len(content):], "\x00")).To(BeEmpty(), "what was there before")
		Expect(restoreBlock(ctx, repo, result.SnapshotID, small)).To(
			MatchError(ContainSubstring("the device has 12578816 bytes, but the snapshot 12582912")))
	},
		Entry("and gives back space", func() string { return GinkgoT().TempDir() }),
		// Memory of this kind has no holes, so the devices of its files have none either.
		Entry("and gives back no space", func() string { return mounted("ramfs", "ramfs", "") }),
	)

	It("is not what a snapshot of files is", func(ctx context.Context) {
		repo := open(ctx, newStore("a directory").access(namespace))
		result, err := upload.Run(ctx, repo, request(makeVolume()))
		Expect(err).NotTo(HaveOccurred())
		target := filepath.Join(GinkgoT().TempDir(), "target")
		Expect(restoreBlock(ctx, repo, result.SnapshotID, target)).To(
			MatchError(ContainSubstring("not the snapshot of a device")))
		Expect(target).NotTo(BeAnExistingFile())
	})

	It("can be left half-way", func(ctx context.Context) {
		repo := open(ctx, newStore("a directory").access(namespace))
		device := filepath.Join(GinkgoT().TempDir(), "device")
		Expect(os.WriteFile(device, content, 0o600)).To(Succeed())
		result := uploadDevice(ctx, repo, device)
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		Expect(restoreBlock(canceled, repo, result.SnapshotID, filepath.Join(GinkgoT().TempDir(), "target"))).To(
			MatchError(failure.ErrCanceled))
		Expect(restoreInto(canceled, repo, result.SnapshotID, GinkgoT().TempDir())).To(MatchError(failure.ErrCanceled))
	})
})
