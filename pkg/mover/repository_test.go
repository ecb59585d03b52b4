package mover_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// canceledUploader is canceled when all data is uploaded.
type canceledUploader struct {
	mover.Uploader
	cancel func()
}

func (u *canceledUploader) Upload(ctx context.Context, request upload.Request) (upload.Result, error) {
	confirm := request.Confirm
	request.Confirm = func(ctx context.Context, snapshotID string) error {
		u.cancel()
		return confirm(ctx, snapshotID)
	}
	return u.Uploader.Upload(ctx, request)
}

var _ = Describe("A mover with a real repository", func() {
	// access resolves the location as an agent would.
	access := func(ctx context.Context, b *bench) repository.Access {
		GinkgoHelper()
		a, err := location.Resolve(ctx, k8s, b.namespace, locationName, "shop", GinkgoT().TempDir(), b.options.Log)
		Expect(err).NotTo(HaveOccurred())
		return a
	}

	// move lets a mover move a volume, which must succeed, and returns what it left.
	move := func(b *bench, path string, mode corev1.PersistentVolumeMode) result.Result {
		GinkgoHelper()
		b.options.VolumePath, b.options.VolumeMode = path, mode
		b.options.Open = mover.OpenUploader
		b.start()
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		moved, err := result.Parse(message)
		Expect(err).NotTo(HaveOccurred())
		Expect(moved.Source).To(Equal(result.Volume{ByPath: path, VolumeMode: string(mode)}))
		return moved
	}

	It("moves the data", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		Expect(repository.Initialize(ctx, access(ctx, b))).To(Succeed())
		volume := GinkgoT().TempDir()
		content := []byte("the data of the shop")
		Expect(os.Mkdir(filepath.Join(volume, "orders"), 0o750)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(volume, "orders", "1"), content, 0o600)).To(Succeed())

		moved := move(b, volume, corev1.PersistentVolumeFilesystem)
		Expect(moved.TotalBytes).To(BeEquivalentTo(len(content)))
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{
			TotalBytes: int64(len(content)), BytesDone: int64(len(content)),
		}))
		By("restoring it")
		opened, err := repository.Open(ctx, access(ctx, b))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(opened.Close)
		target := GinkgoT().TempDir()
		_, err = restore.Run(ctx, opened, restore.Request{SnapshotID: moved.SnapshotID, Path: target})
		Expect(err).NotTo(HaveOccurred())
		Expect(os.ReadFile(filepath.Join(target, "orders", "1"))).To(Equal(content))
	})

	It("needs at most 15 API calls", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseAccepted)
		b.options.Clock = clock.RealClock{}
		Expect(repository.Initialize(ctx, access(ctx, b))).To(Succeed())
		volume := GinkgoT().TempDir()
		for i := range 100 {
			Expect(os.WriteFile(filepath.Join(volume, fmt.Sprint(i)), bytes.Repeat([]byte{byte(i)}, 1<<20), 0o600)).To(Succeed())
		}
		b.options.VolumePath = volume
		b.options.Open = mover.OpenUploader
		b.start()
		b.waiting()
		b.setPhase(ctx, v2alpha1.PhasePrepared)
		b.setPhase(ctx, v2alpha1.PhaseInProgress)
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		calls, watches := b.transport.counted()
		AddReportEntry("API calls", calls)
		Expect(len(calls)).To(And(BeNumerically(">=", 5), BeNumerically("<=", 15)))
		Expect(watches).To(Equal(1))
	})

	It("returns the snapshot of an earlier attempt whose result got lost", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		Expect(repository.Initialize(ctx, access(ctx, b))).To(Succeed())
		volume := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(volume, "file"), []byte("content"), 0o600)).To(Succeed())
		first := move(b, volume, corev1.PersistentVolumeFilesystem)

		b.lose(ctx, 1, v2alpha1.PhaseInProgress)
		b.options.Attempt = 2
		b.options.WorkDir = GinkgoT().TempDir()
		Expect(move(b, volume, corev1.PersistentVolumeFilesystem)).To(Equal(first))
		opened, err := repository.Open(ctx, access(ctx, b))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(opened.Close)
		Expect(opened.Snapshots(ctx, "shop", "data")).To(HaveLen(1))
	})

	It("leaves nothing when its DataUpload is canceled, also of an earlier attempt", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		Expect(repository.Initialize(ctx, access(ctx, b))).To(Succeed())
		volume := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(volume, "file"), []byte("content"), 0o600)).To(Succeed())
		opened, err := repository.Open(ctx, access(ctx, b))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(opened.Close)

		b.options.VolumePath = volume
		b.options.Attempt = 2
		b.lose(ctx, 1, v2alpha1.PhaseInProgress)
		b.options.Open = func(moving context.Context, access repository.Access) (mover.Uploader, error) {
			uploader, err := mover.OpenUploader(moving, access)
			return &canceledUploader{Uploader: uploader, cancel: func() {
				_, err := upload.Run(ctx, opened, upload.Request{
					SourceNamespace: "shop", SourcePVC: "data", Path: volume, DataUploadUID: string(b.du.UID),
				})
				Expect(err).NotTo(HaveOccurred())
				b.patch(ctx, `{"spec":{"cancel":true}}`)
			}}, err
		}
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(result.IsCanceled(message)).To(BeTrue())
		Expect(b.warnings()).To(BeEmpty())
		Expect(opened.Snapshots(ctx, "shop", "data")).To(BeEmpty())
	})

	It("moves the data of a block volume", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		Expect(repository.Initialize(ctx, access(ctx, b))).To(Succeed())
		content := bytes.Repeat([]byte("block "), 1<<18)
		device := filepath.Join(GinkgoT().TempDir(), "device")
		Expect(os.WriteFile(device, content, 0o600)).To(Succeed())

		moved := move(b, device, corev1.PersistentVolumeBlock)
		Expect(moved.TotalBytes).To(BeEquivalentTo(len(content)))

		By("restoring it")
		opened, err := repository.Open(ctx, access(ctx, b))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(opened.Close)
		target := filepath.Join(GinkgoT().TempDir(), "device")
		_, err = restore.Run(ctx, opened, restore.Request{SnapshotID: moved.SnapshotID, Path: target, Block: true})
		Expect(err).NotTo(HaveOccurred())
		restored, err := os.ReadFile(target)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(restored, content)).To(BeTrue())
	})

	It("says that the password is wrong", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		right := access(ctx, b)
		right.Password = "another one"
		Expect(repository.Initialize(ctx, right)).To(Succeed())
		b.options.VolumePath = GinkgoT().TempDir()
		b.options.Open = mover.OpenUploader
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(Equal("open the repository of namespace shop in backup storage location default: wrong repository password: " +
			`that in key "repository-password" of secret ` + b.namespace + "/velero-repo-credentials does not open it"))
		Expect(message).NotTo(ContainSubstring(right.Password))
		Expect(exitCode(err)).To(Equal(1))
	})

	It("says that nobody has made the repository", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.VolumePath = GinkgoT().TempDir()
		b.options.Open = mover.OpenUploader
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(HavePrefix("open the repository of namespace shop in backup storage location default: "))
		Expect(message).To(ContainSubstring(failure.ErrNotInitialized.Error()))
		Expect(exitCode(err)).To(Equal(1))
	})
})
