package expose

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// bindAnnotations are set on a PVC by those who bind it and make its volume. They tell of one PVC and are not true of another.
var bindAnnotations = []string{
	bindCompletedAnnotation, boundByControllerAnnotation, selectedNodeAnnotation,
	"volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner",
}

const (
	// bindCompletedAnnotation says of a PVC that it is bound for good.
	bindCompletedAnnotation = "pv.kubernetes.io/bind-completed"
	// boundByControllerAnnotation says of a PVC or PersistentVolume that Kubernetes may undo their binding.
	boundByControllerAnnotation = "pv.kubernetes.io/bound-by-controller"
	// selectedNodeAnnotation is set on a PVC of a class with delayed binding when the scheduler has chosen its node.
	selectedNodeAnnotation = "volume.kubernetes.io/selected-node"
)

// RestorePVC builds the intermediate PVC that a restore is written into. Its volume becomes that of the target PVC, so it asks
// for the same. The target's selector, which keeps other volumes from it, is left out: no volume has been made yet.
func RestorePVC(dd *v2alpha1.DataDownload, target *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	labels := inherited(target.Labels)
	maps.Copy(labels, Labels(dd))
	annotations := inherited(target.Annotations)
	for _, key := range bindAnnotations {
		delete(annotations, key)
	}
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       dd.Namespace,
			Name:            dd.Name,
			Labels:          labels,
			Annotations:     annotations,
			OwnerReferences: []metav1.OwnerReference{OwnerReference(dd)},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      target.Spec.AccessModes,
			StorageClassName: target.Spec.StorageClassName,
			VolumeMode:       new(VolumeMode(target)),
			Resources:        target.Spec.Resources,
		},
	}
}

// VolumeMode is the mode of a PVC's volume; a PVC that does not say wants a file system.
func VolumeMode(pvc *corev1.PersistentVolumeClaim) corev1.PersistentVolumeMode {
	if pvc.Spec.VolumeMode == nil {
		return corev1.PersistentVolumeFilesystem
	}
	return *pvc.Spec.VolumeMode
}

// SelectedNode is the node that the scheduler has chosen for the pod that uses a PVC of a class with delayed binding; empty if
// it has not.
func SelectedNode(pvc *corev1.PersistentVolumeClaim) string {
	return pvc.Annotations[selectedNodeAnnotation]
}

// CachePVC builds the PVC for the cache of a restore. size is in bytes.
//
// Documented in Velero under "Cache PVC Configuration for Data Movement Restore".
func CachePVC(dd *v2alpha1.DataDownload, class string, size int64) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       dd.Namespace,
			Name:            CachePVCName(dd),
			Labels:          Labels(dd),
			OwnerReferences: []metav1.OwnerReference{OwnerReference(dd)},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &class,
			VolumeMode:       new(corev1.PersistentVolumeFilesystem),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(size, resource.BinarySI)},
			},
		},
	}
}

// Sizes of caches, in bytes.
const (
	mebibyte = int64(1) << 20
	gibibyte = int64(1) << 30
)

// CacheSize is the size of a volume for a cache that may become as large as a limit: a fifth more than that, in whole GiB.
// limit is in MiB, the size in bytes.
func CacheSize(limit int64) int64 {
	need := limit * mebibyte / 5 * 6
	return (need + gibibyte - 1) / gibibyte * gibibyte
}

// NeedsCachePVC tells whether a restore of a size is to have a volume for its cache. size is in bytes, 0 if it is not known;
// threshold is in MiB.
func NeedsCachePVC(size, threshold int64) bool {
	return size == 0 || size >= threshold*mebibyte
}
