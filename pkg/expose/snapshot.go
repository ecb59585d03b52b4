package expose

import (
	"fmt"
	"maps"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// BeingDeletedAnnotation tells the CSI snapshotter that a bound VolumeSnapshotContent is deleted for good. The snapshot
// controller sets it when the VolumeSnapshot is deleted before its content; nobody does if that is gone already.
const BeingDeletedAnnotation = "snapshot.storage.kubernetes.io/volumesnapshot-being-deleted"

// managedByLabel tells a distributed snapshotter which node's sidecar serves a content.
const managedByLabel = "snapshot.storage.kubernetes.io/managed-by"

// AliasContent builds the VolumeSnapshotContent that gives the DataUpload's namespace access to the storage snapshot of
// the source. It is born with policy Retain: until it takes over, the source alone decides over the storage snapshot.
// Annotations of the source come along, because CSI drivers find their secrets by them.
//
// It fails if the source has no snapshot handle yet.
func AliasContent(du *v2alpha1.DataUpload, source *snapshotv1.VolumeSnapshotContent) (*snapshotv1.VolumeSnapshotContent, error) {
	if source.Status == nil || source.Status.SnapshotHandle == nil || *source.Status.SnapshotHandle == "" {
		return nil, fmt.Errorf("volumesnapshotcontent %s has no snapshot handle", source.Name)
	}
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: du.Name, Annotations: inherited(source.Annotations)},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{
				APIVersion: snapshotv1.SchemeGroupVersion.String(),
				Kind:       "VolumeSnapshot",
				Namespace:  du.Namespace,
				Name:       du.Name,
			},
			Source:                  snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: source.Status.SnapshotHandle},
			Driver:                  source.Spec.Driver,
			DeletionPolicy:          snapshotv1.VolumeSnapshotContentRetain,
			SourceVolumeMode:        source.Spec.SourceVolumeMode,
			VolumeSnapshotClassName: source.Spec.VolumeSnapshotClassName,
		},
	}
	Mark(content, du)
	maps.DeleteFunc(content.Annotations, func(key, _ string) bool { return key == BeingDeletedAnnotation })
	content.Annotations[SourceContentAnnotation] = source.Name
	if node, found := source.Labels[managedByLabel]; found {
		content.Labels[managedByLabel] = node
	}
	return content, nil
}

// AliasSnapshot builds the VolumeSnapshot, named after the DataUpload, that is bound to AliasContent. annotations are
// those of the source VolumeSnapshot. Like Velero's it has no owner reference: it must outlive the backupPVC, in an
// order that garbage collection does not know.
func AliasSnapshot(
	du *v2alpha1.DataUpload, content *snapshotv1.VolumeSnapshotContent, annotations map[string]string,
) *snapshotv1.VolumeSnapshot {
	return &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   du.Namespace,
			Name:        du.Name,
			Labels:      Labels(du),
			Annotations: inherited(annotations),
		},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: new(content.Name)},
			VolumeSnapshotClassName: content.Spec.VolumeSnapshotClassName,
		},
	}
}

// IsReady tells whether a VolumeSnapshot is bound and its data can be used.
func IsReady(snapshot *snapshotv1.VolumeSnapshot) bool {
	return BoundContent(snapshot) != "" && snapshot.Status.ReadyToUse != nil && *snapshot.Status.ReadyToUse
}

// BoundContent is the name of the VolumeSnapshotContent that a VolumeSnapshot is bound to, or empty.
func BoundContent(snapshot *snapshotv1.VolumeSnapshot) string {
	if snapshot.Status == nil || snapshot.Status.BoundVolumeSnapshotContentName == nil {
		return ""
	}
	return *snapshot.Status.BoundVolumeSnapshotContentName
}
