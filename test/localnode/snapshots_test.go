package localnode_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/localnode"
)

// takeSnapshot makes snapshot "snap" of claim "data" and waits until it is ready.
func takeSnapshot(ctx context.Context, class string) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	GinkgoHelper()
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "snap"},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: new("data")},
			VolumeSnapshotClassName: &class,
		},
	}
	Expect(cluster.Create(ctx, snapshot)).To(Succeed())
	return snapshot, ready(ctx, snapshot)
}

func ready(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot) *snapshotv1.VolumeSnapshotContent {
	GinkgoHelper()
	Eventually(fetch(ctx, snapshot)).Should(HaveField("Status", HaveField("ReadyToUse", HaveValue(BeTrue()))))
	content := &snapshotv1.VolumeSnapshotContent{}
	key := client.ObjectKey{Name: *snapshot.Status.BoundVolumeSnapshotContentName}
	Expect(cluster.Get(ctx, key, content)).To(Succeed())
	return content
}

// alias makes a pre-provisioned pair for the storage snapshot of another content, as a data mover does.
func alias(
	ctx context.Context, name string, of *snapshotv1.VolumeSnapshotContent, policy snapshotv1.DeletionPolicy,
) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	GinkgoHelper()
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + namespace},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: namespace, Name: name},
			Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: of.Status.SnapshotHandle},
			Driver:            localnode.Driver,
			DeletionPolicy:    policy,
		},
	}
	Expect(cluster.Create(ctx, content)).To(Succeed())
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source: snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: &content.Name},
		},
	}
	Expect(cluster.Create(ctx, snapshot)).To(Succeed())
	return snapshot, ready(ctx, snapshot)
}

func setPolicy(ctx context.Context, content *snapshotv1.VolumeSnapshotContent, policy snapshotv1.DeletionPolicy) {
	GinkgoHelper()
	before := content.DeepCopy()
	content.Spec.DeletionPolicy = policy
	Expect(cluster.Patch(ctx, content, client.MergeFrom(before))).To(Succeed())
}

func claimFrom(snapshot string) *corev1.PersistentVolumeClaim {
	claim := newClaim("from-"+snapshot, immediateClass)
	claim.Spec.DataSource = &corev1.TypedLocalObjectReference{
		APIGroup: new(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: snapshot,
	}
	return claim
}

var _ = Describe("Snapshots", func() {
	var source *corev1.PersistentVolume

	BeforeEach(func(ctx SpecContext) {
		source = bound(ctx, newClaim("data", immediateClass))
	})

	It("are bound, ready and protected as external-snapshotter does it", func(ctx SpecContext) {
		snapshot, content := takeSnapshot(ctx, deleteSnapshots)

		Expect(content.Name).To(Equal("snapcontent-" + string(snapshot.UID)))
		Expect(content.Spec.Source.VolumeHandle).To(HaveValue(Equal(source.Name)))
		Expect(content.Spec.SourceVolumeMode).To(HaveValue(Equal(corev1.PersistentVolumeFilesystem)))
		Expect(content.Spec.DeletionPolicy).To(Equal(snapshotv1.VolumeSnapshotContentDelete))
		Expect(content.Finalizers).To(ConsistOf("snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"))
		Expect(content.Status.SnapshotHandle).To(HaveValue(Equal("snapshot-" + string(snapshot.UID))))
		Expect(snapshot.Status.RestoreSize.String()).To(Equal("1Mi"))
		Eventually(fetch(ctx, snapshot)).Should(HaveField("Finalizers", ConsistOf(
			"snapshot.storage.kubernetes.io/volumesnapshot-bound-protection",
			"snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection")))
	})

	It("fill a claim with what the volume held, and a pod reads it", func(ctx SpecContext) {
		dir := node.Storage.VolumePath(source.Name)
		mtime := time.Date(2001, 2, 3, 4, 5, 6, 789000000, time.UTC)
		Expect(os.WriteFile(filepath.Join(dir, "file"), []byte("as it was"), 0o400)).To(Succeed())
		Expect(os.Chtimes(filepath.Join(dir, "file"), mtime, mtime)).To(Succeed())
		Expect(os.Symlink("file", filepath.Join(dir, "link"))).To(Succeed())
		Expect(os.Mkdir(filepath.Join(dir, "locked"), 0o500)).To(Succeed())
		takeSnapshot(ctx, deleteSnapshots)
		Expect(os.Remove(filepath.Join(dir, "file"))).To(Succeed())

		copied := node.Storage.VolumePath(bound(ctx, claimFrom("snap")).Name)
		pod := mount(shell("reader", `cat "$DATA/link" > "$MESSAGE"`), "from-snap", "/some/where")
		Expect(finished(ctx, pod).Message).To(Equal("as it was"))
		file, err := os.Stat(filepath.Join(copied, "file"))
		Expect(err).NotTo(HaveOccurred())
		Expect(file.Mode().Perm()).To(Equal(os.FileMode(0o400)))
		Expect(file.ModTime().UTC()).To(Equal(mtime))
		Expect(os.Readlink(filepath.Join(copied, "link"))).To(Equal("file"))
	})

	It("cannot fill a smaller claim", func(ctx SpecContext) {
		takeSnapshot(ctx, deleteSnapshots)
		claim := claimFrom("snap")
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("1Ki")
		Expect(cluster.Create(ctx, claim)).To(Succeed())
		Eventually(eventsOn(ctx, claim.Name)).Should(ContainElement(ContainSubstring(
			"requested volume size 1024 is less than the size 1048576 for the source snapshot snap")))
	})

	It("say so if there is no claim", func(ctx SpecContext) {
		snapshot := &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "snap"},
			Spec: snapshotv1.VolumeSnapshotSpec{
				Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: new("missing")},
				VolumeSnapshotClassName: new(deleteSnapshots),
			},
		}
		Expect(cluster.Create(ctx, snapshot)).To(Succeed())
		Eventually(fetch(ctx, snapshot)).Should(HaveField("Status", HaveField("Error", HaveField("Message",
			HaveValue(ContainSubstring(`persistentvolumeclaims "missing" not found`))))))
	})

	It("that are pre-provisioned wait for their content, are bound to it, and fill claims too", func(ctx SpecContext) {
		Expect(os.WriteFile(filepath.Join(node.Storage.VolumePath(source.Name), "file"), []byte("data"), 0o600)).To(Succeed())
		_, content := takeSnapshot(ctx, deleteSnapshots)
		snapshot, aliased := alias(ctx, "alias", content, snapshotv1.VolumeSnapshotContentRetain)

		Expect(aliased.Spec.VolumeSnapshotRef.UID).To(Equal(snapshot.UID))
		Expect(aliased.Status.SnapshotHandle).To(Equal(content.Status.SnapshotHandle))
		volume := bound(ctx, claimFrom("alias"))
		Expect(os.ReadFile(filepath.Join(node.Storage.VolumePath(volume.Name), "file"))).To(BeEquivalentTo("data"))
	})

	It("whose content is missing say so", func(ctx SpecContext) {
		snapshot := &snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "snap"},
			Spec: snapshotv1.VolumeSnapshotSpec{
				Source: snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: new("missing")},
			},
		}
		Expect(cluster.Create(ctx, snapshot)).To(Succeed())
		Eventually(fetch(ctx, snapshot)).Should(HaveField("Status", HaveField("Error", HaveField("Message",
			HaveValue(Equal("VolumeSnapshotContent is missing"))))))
	})
})

var _ = Describe("Deleting a snapshot", func() {
	handles := func() []string {
		GinkgoHelper()
		all, err := node.Storage.Snapshots()
		Expect(err).NotTo(HaveOccurred())
		return all
	}

	BeforeEach(func(ctx SpecContext) {
		bound(ctx, newClaim("data", immediateClass))
	})

	It("of policy Delete deletes content and storage snapshot, once", func(ctx SpecContext) {
		snapshot, content := takeSnapshot(ctx, deleteSnapshots)
		handle := *content.Status.SnapshotHandle
		Expect(handles()).To(ContainElement(handle))

		Expect(cluster.Delete(ctx, snapshot)).To(Succeed())
		Eventually(gone(ctx, snapshot)).Should(BeTrue())
		Eventually(gone(ctx, content)).Should(BeTrue())
		Expect(handles()).NotTo(ContainElement(handle))
		Expect(node.Storage.Deletions(handle)).To(Equal(1))
	})

	It("of policy Retain leaves content and storage snapshot; the content can then be deleted by itself", func(ctx SpecContext) {
		snapshot, content := takeSnapshot(ctx, retainSnapshots)
		handle := *content.Status.SnapshotHandle

		Expect(cluster.Delete(ctx, snapshot)).To(Succeed())
		Eventually(gone(ctx, snapshot)).Should(BeTrue())
		Consistently(gone(ctx, content), 300*time.Millisecond).Should(BeFalse())

		Expect(cluster.Delete(ctx, content)).To(Succeed())
		Eventually(gone(ctx, content)).Should(BeTrue())
		Expect(handles()).To(ContainElement(handle))
		Expect(node.Storage.Deletions(handle)).To(BeZero())
	})

	It("is not begun by deleting its content", func(ctx SpecContext) {
		snapshot, content := takeSnapshot(ctx, deleteSnapshots)
		Expect(cluster.Delete(ctx, content)).To(Succeed())
		Consistently(gone(ctx, content), 300*time.Millisecond).Should(BeFalse())

		Expect(cluster.Delete(ctx, snapshot)).To(Succeed())
		Eventually(gone(ctx, content)).Should(BeTrue())
		Expect(node.Storage.Deletions(*content.Status.SnapshotHandle)).To(Equal(1))
	})

	It("waits for the claim that is being filled from it", func(ctx SpecContext) {
		snapshot, content := takeSnapshot(ctx, deleteSnapshots)
		claim := claimFrom("snap")
		claim.Spec.StorageClassName = new("no-such-class")
		Expect(cluster.Create(ctx, claim)).To(Succeed())
		Eventually(eventsOn(ctx, claim.Name)).ShouldNot(BeEmpty())

		Expect(cluster.Delete(ctx, snapshot)).To(Succeed())
		Eventually(eventsOn(ctx, "snap")).Should(ContainElement(ContainSubstring("Snapshot is being used to restore a PVC")))
		Expect(gone(ctx, content)()).To(BeFalse())

		Expect(cluster.Delete(ctx, claim)).To(Succeed())
		Eventually(gone(ctx, snapshot)).Should(BeTrue())
		Eventually(gone(ctx, content)).Should(BeTrue())
	})

	It("hands the storage snapshot over when the policies are changed in between", func(ctx SpecContext) {
		snapshot, content := takeSnapshot(ctx, deleteSnapshots)
		handle := *content.Status.SnapshotHandle
		aliasSnapshot, aliasContent := alias(ctx, "alias", content, snapshotv1.VolumeSnapshotContentRetain)
		setPolicy(ctx, aliasContent, snapshotv1.VolumeSnapshotContentDelete)
		setPolicy(ctx, content, snapshotv1.VolumeSnapshotContentRetain)

		Expect(cluster.Delete(ctx, snapshot)).To(Succeed())
		Eventually(gone(ctx, snapshot)).Should(BeTrue())
		Expect(cluster.Delete(ctx, content)).To(Succeed())
		Eventually(gone(ctx, content)).Should(BeTrue())
		Expect(handles()).To(ContainElement(handle))

		Expect(cluster.Delete(ctx, aliasSnapshot)).To(Succeed())
		Eventually(gone(ctx, aliasContent)).Should(BeTrue())
		Eventually(gone(ctx, aliasSnapshot)).Should(BeTrue())
		Expect(slices.Contains(handles(), handle)).To(BeFalse())
		Expect(node.Storage.Deletions(handle)).To(Equal(1))
	})
})
