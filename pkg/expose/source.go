package expose

import (
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// SnapshotSize is how large a volume that is made from a snapshot must be, as the driver says on the VolumeSnapshot or its content. It
// is zero if the driver does not say. Nothing else counts beside it: there are drivers that refuse a larger volume, too.
func SnapshotSize(snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent) resource.Quantity {
	var sizes []resource.Quantity
	if status := snapshot.Status; status != nil && status.RestoreSize != nil {
		sizes = append(sizes, *status.RestoreSize)
	}
	if status := content.Status; status != nil && status.RestoreSize != nil {
		sizes = append(sizes, *resource.NewQuantity(*status.RestoreSize, resource.BinarySI))
	}
	return largest(sizes...)
}

// SourceSize is how large the source volume is: what it has, which may be much more than its PVC once asked for. pv is nil if it is
// not known.
func SourceSize(pvc *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) resource.Quantity {
	has := pvc.Status.Capacity[corev1.ResourceStorage]
	if pv != nil {
		has = largest(has, pv.Spec.Capacity[corev1.ResourceStorage])
	}
	if has.IsZero() {
		return pvc.Spec.Resources.Requests[corev1.ResourceStorage]
	}
	return has
}

func largest(sizes ...resource.Quantity) resource.Quantity {
	var found resource.Quantity
	for _, size := range sizes {
		if size.Cmp(found) > 0 {
			found = size
		}
	}
	return found
}

// IsContentOf tells whether a content is that of a VolumeSnapshot. What the status of the VolumeSnapshot says does not prove it: whoever
// may write that could name the snapshot of another namespace.
func IsContentOf(content *snapshotv1.VolumeSnapshotContent, snapshot *snapshotv1.VolumeSnapshot) bool {
	ref := content.Spec.VolumeSnapshotRef
	return ref.Namespace == snapshot.Namespace && ref.Name == snapshot.Name && ref.UID == snapshot.UID
}
