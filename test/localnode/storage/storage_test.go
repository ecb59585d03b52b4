package storage_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

var _ = Describe("Storage", func() {
	var disks *storage.Storage

	BeforeEach(func() {
		var err error
		disks, err = storage.New(GinkgoT().TempDir())
		Expect(err).NotTo(HaveOccurred())
		Expect(disks.CreateVolume(storage.Volume{Name: "vol"})).To(Succeed())
	})

	fill := func(volume, content string) {
		GinkgoHelper()
		Expect(os.WriteFile(filepath.Join(disks.VolumePath(volume), "file"), []byte(content), 0o600)).To(Succeed())
	}

	It("leaves a volume as it is when it is created again", func() {
		fill("vol", "kept")
		Expect(disks.CreateVolume(storage.Volume{Name: "vol"})).To(Succeed())
		Expect(filepath.Join(disks.VolumePath("vol"), "file")).To(BeAnExistingFile())
		Expect(disks.Volumes()).To(ConsistOf("vol"))
	})

	It("keeps a snapshot as it was taken, also when it is taken again", func() {
		fill("vol", "before")
		first, err := disks.CreateSnapshot("snap", "vol", 42)
		Expect(err).NotTo(HaveOccurred())
		fill("vol", "after")
		again, err := disks.CreateSnapshot("snap", "vol", 43)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Bytes).To(Equal(first.Bytes))
		Expect(again.Created).To(BeTemporally("==", first.Created))

		Expect(disks.CreateVolume(storage.Volume{Name: "copy", Snapshot: "snap"})).To(Succeed())
		Expect(os.ReadFile(filepath.Join(disks.VolumePath("copy"), "file"))).To(BeEquivalentTo("before"))
	})

	It("keeps the holes of a sparse file", func() {
		file, err := os.Create(filepath.Join(disks.VolumePath("vol"), "sparse"))
		Expect(err).NotTo(HaveOccurred())
		Expect(file.Truncate(1 << 30)).To(Succeed())
		Expect(file.Close()).To(Succeed())
		_, err = disks.CreateSnapshot("snap", "vol", 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(disks.CreateVolume(storage.Volume{Name: "copy", Snapshot: "snap"})).To(Succeed())
		Expect(blocks(filepath.Join(disks.VolumePath("copy"), "sparse"))).To(BeNumerically("<", 100))
	})

	It("does not know what was never made", func() {
		_, err := disks.Snapshot("none")
		Expect(err).To(MatchError(storage.ErrNotFound))
		_, err = disks.CreateSnapshot("snap", "none", 0)
		Expect(err).To(MatchError(storage.ErrNotFound))
		_, err = disks.Publish("none", "pod")
		Expect(err).To(MatchError(storage.ErrNotFound))
		Expect(disks.CreateVolume(storage.Volume{Name: "copy", Snapshot: "none"})).To(MatchError(storage.ErrNotFound))
		Expect(disks.DeleteVolume("none")).To(Succeed())
	})

	It("counts how often the deletion of a snapshot is asked for", func() {
		_, err := disks.CreateSnapshot("snap", "vol", 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(disks.Deletions("snap")).To(BeZero())
		Expect(disks.DeleteSnapshot("snap")).To(Succeed())
		Expect(disks.Snapshots()).To(BeEmpty())
		Expect(disks.DeleteSnapshot("snap")).To(Succeed())
		Expect(disks.Deletions("snap")).To(Equal(2))
	})

	It("does not delete a volume that a pod uses", func() {
		Expect(disks.Publish("vol", "pod-1")).To(Equal(disks.VolumePath("vol")))
		Expect(disks.DeleteVolume("vol")).To(MatchError(storage.ErrInUse))
		disks.Unpublish("pod-1")
		Expect(disks.DeleteVolume("vol")).To(Succeed())
		Expect(disks.Volumes()).To(BeEmpty())
	})
})
