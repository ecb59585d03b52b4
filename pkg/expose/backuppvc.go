package expose

import (
	"maps"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

// Volume is what is known about the source volume.
type Volume struct {
	// Mode is Filesystem or Block.
	Mode corev1.PersistentVolumeMode
	// Size is what the backupPVC asks for, in bytes: at least the restore size of the snapshot.
	Size resource.Quantity
	// StorageClass is that of the backupPVC.
	StorageClass string
	// Topology limits where the volume can be used. Nil means anywhere.
	Topology *corev1.NodeSelector
	// AttachedTo are the nodes that have the source volume attached, where the backupPVC cannot be used beside it.
	AttachedTo []string
	// VerifyPercent is the share of what the backup pod has written that it reads back; none if it is zero.
	VerifyPercent int
	// FullReadEvery lets the backup pod read all files again if that was not done for so long; never if it is zero.
	FullReadEvery time.Duration
}

// BackupPVC builds the intermediate PVC that is filled from the alias VolumeSnapshot. section is the entry of the
// ConfigMap's backupPVC for the source PVC's storage class; its zero value is the default behaviour.
//
// Documented in Velero under "BackupPVC Configuration for Data Movement Backup".
func BackupPVC(du *v2alpha1.DataUpload, section config.BackupPVC, volume Volume) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       du.Namespace,
			Name:            du.Name,
			Labels:          Labels(du),
			Annotations:     maps.Clone(section.Annotations),
			OwnerReferences: []metav1.OwnerReference{OwnerReference(du)},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{section.AccessMode()},
			StorageClassName: new(volume.StorageClass),
			VolumeMode:       new(volume.Mode),
			DataSource: &corev1.TypedLocalObjectReference{
				APIGroup: new(snapshotv1.GroupName),
				Kind:     "VolumeSnapshot",
				Name:     du.Name,
			},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: volume.Size},
			},
		},
	}
}

// BackupStorageClass is the storage class of the backupPVC: the configured one, else the source PVC's. It is empty where neither
// names one.
func BackupStorageClass(du *v2alpha1.DataUpload, section config.BackupPVC) string {
	return section.ClassFor(du.Spec.CSISnapshot.StorageClass)
}
