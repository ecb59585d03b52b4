package expose_test

import (
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

func sourceContent() *snapshotv1.VolumeSnapshotContent {
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{
			Name: "snapcontent-1",
			Labels: map[string]string{
				"snapshot.storage.kubernetes.io/managed-by": "node-1",
				"other": "label",
			},
			Annotations: map[string]string{
				"snapshot.storage.kubernetes.io/deletion-secret-name": "secret",
				expose.BeingDeletedAnnotation:                         "yes",
			},
		},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver:                  "csi.example.com",
			DeletionPolicy:          snapshotv1.VolumeSnapshotContentDelete,
			VolumeSnapshotClassName: new("snapshots"),
			SourceVolumeMode:        new(corev1.PersistentVolumeBlock),
		},
		Status: &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: new("handle-1")},
	}
}

var _ = Describe("the alias of a snapshot", func() {
	It("refers to the same storage snapshot without owning it", func() {
		du := dataUpload()
		content, err := expose.AliasContent(du, sourceContent())
		Expect(err).NotTo(HaveOccurred())
		Expect(content.Name).To(Equal(du.Name))
		Expect(content.Spec.Source.SnapshotHandle).To(HaveValue(Equal("handle-1")))
		Expect(content.Spec.DeletionPolicy).To(Equal(snapshotv1.VolumeSnapshotContentRetain))
		Expect(content.Spec.Driver).To(Equal("csi.example.com"))
		Expect(content.Spec.VolumeSnapshotClassName).To(HaveValue(Equal("snapshots")))
		Expect(content.Spec.SourceVolumeMode).To(HaveValue(Equal(corev1.PersistentVolumeBlock)))
		Expect(content.Spec.VolumeSnapshotRef.Namespace).To(Equal("velero"))
		Expect(content.Spec.VolumeSnapshotRef.Name).To(Equal(du.Name))
	})

	It("takes the driver's secrets along, but not the word that the source is being deleted", func() {
		content, err := expose.AliasContent(dataUpload(), sourceContent())
		Expect(err).NotTo(HaveOccurred())
		Expect(content.Annotations).To(HaveKeyWithValue("snapshot.storage.kubernetes.io/deletion-secret-name", "secret"))
		Expect(content.Annotations).NotTo(HaveKey(expose.BeingDeletedAnnotation))
		Expect(content.Labels).To(HaveKeyWithValue("snapshot.storage.kubernetes.io/managed-by", "node-1"))
		Expect(content.Labels).NotTo(HaveKey("other"))
	})

	It("can be found by its DataUpload, and leads to the source", func() {
		du := dataUpload()
		content, err := expose.AliasContent(du, sourceContent())
		Expect(err).NotTo(HaveOccurred())
		Expect(expose.IsOurs(content, du)).To(BeTrue())
		owner, found := expose.Owner(content, v2alpha1.KindDataUpload)
		Expect(found).To(BeTrue())
		Expect(owner.String()).To(Equal("velero/" + du.Name))
		Expect(content.Annotations).To(HaveKeyWithValue(expose.SourceContentAnnotation, "snapcontent-1"))
	})

	It("leaves the source as it was", func() {
		source := sourceContent()
		_, err := expose.AliasContent(dataUpload(), source)
		Expect(err).NotTo(HaveOccurred())
		Expect(source).To(Equal(sourceContent()))
	})

	It("cannot be made without a snapshot handle", func() {
		source := sourceContent()
		source.Status.SnapshotHandle = nil
		_, err := expose.AliasContent(dataUpload(), source)
		Expect(err).To(MatchError(ContainSubstring("snapcontent-1 has no snapshot handle")))
	})

	It("has a VolumeSnapshot that is bound to its content", func() {
		du := dataUpload()
		content, err := expose.AliasContent(du, sourceContent())
		Expect(err).NotTo(HaveOccurred())
		snapshot := expose.AliasSnapshot(du, content, map[string]string{"a": "b"})
		Expect(snapshot.Namespace).To(Equal("velero"))
		Expect(snapshot.Spec.Source.VolumeSnapshotContentName).To(HaveValue(Equal(content.Name)))
		Expect(snapshot.Spec.Source.PersistentVolumeClaimName).To(BeNil())
		Expect(snapshot.Annotations).To(HaveKeyWithValue("a", "b"))
		Expect(snapshot.OwnerReferences).To(BeEmpty())
	})
})

var _ = DescribeTable("an object of nobody", func(annotations map[string]string) {
	_, found := expose.Owner(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}, v2alpha1.KindDataUpload)
	Expect(found).To(BeFalse())
},
	Entry("no annotation", nil),
	Entry("no namespace", map[string]string{"node-agent.io/data-upload": "/name"}),
	Entry("no name", map[string]string{"node-agent.io/data-upload": "velero/"}),
	Entry("no slash", map[string]string{"node-agent.io/data-upload": "velero"}),
	Entry("of a DataDownload", map[string]string{"node-agent.io/data-download": "velero/name"}),
)
