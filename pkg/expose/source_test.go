package expose_test

import (
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

func storage(size string) corev1.ResourceList {
	if size == "" {
		return nil
	}
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
}

var _ = DescribeTable("the size that the driver asks for", func(ofSnapshot string, ofContent int64, want string) {
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	if ofSnapshot != "" {
		snapshot.Status = &snapshotv1.VolumeSnapshotStatus{RestoreSize: new(resource.MustParse(ofSnapshot))}
	}
	if ofContent >= 0 {
		content.Status = &snapshotv1.VolumeSnapshotContentStatus{RestoreSize: &ofContent}
	}
	got := expose.SnapshotSize(snapshot, content)
	Expect(got.Cmp(resource.MustParse(want))).To(BeZero(), got.String())
},
	Entry("of neither", "", int64(-1), "0"), Entry("zero of both", "0", int64(0), "0"), Entry("of the snapshot", "1Gi", int64(-1), "1Gi"),
	Entry("of the content", "0", int64(1<<30), "1Gi"), Entry("of both, the larger", "1Gi", int64(2<<30), "2Gi"),
)

var _ = DescribeTable("the size of a source volume is what it has", func(asked, claim, volume, want string) {
	pvc := &corev1.PersistentVolumeClaim{
		Spec:   corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: storage(asked)}},
		Status: corev1.PersistentVolumeClaimStatus{Capacity: storage(claim)},
	}
	var pv *corev1.PersistentVolume
	if volume != "none" {
		pv = &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{Capacity: storage(volume)}}
	}
	got := expose.SourceSize(pvc, pv)
	Expect(got.Cmp(resource.MustParse(want))).To(BeZero(), got.String())
},
	Entry("more than was asked for", "50Mi", "1Gi", "1Gi", "1Gi"),
	Entry("as the PV alone says", "50Mi", "", "1Gi", "1Gi"),
	Entry("as the PV says that was grown, but whose file system was not yet", "2Gi", "1Gi", "2Gi", "2Gi"),
	Entry("not what it is to have after growing", "2Gi", "1Gi", "1Gi", "1Gi"),
	Entry("without a PV", "50Mi", "1Gi", "none", "1Gi"),
	Entry("as asked for, where nothing else is known", "50Mi", "", "none", "50Mi"),
)

var _ = DescribeTable("a content is that of a snapshot", func(namespace, name, uid string, want bool) {
	snapshot := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s", UID: "1"}}
	content := &snapshotv1.VolumeSnapshotContent{}
	content.Spec.VolumeSnapshotRef = corev1.ObjectReference{Namespace: namespace, Name: name}
	content.Spec.VolumeSnapshotRef.UID = snapshot.UID
	if uid != "1" {
		content.Spec.VolumeSnapshotRef.UID = ""
	}
	Expect(expose.IsContentOf(content, snapshot)).To(Equal(want))
},
	Entry("that it refers to", "shop", "s", "1", true), Entry("of the same namespace and name only", "shop", "s", "2", false),
	Entry("not of another namespace", "bank", "s", "1", false), Entry("not of another name", "shop", "t", "1", false),
)
