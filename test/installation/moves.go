package installation

import (
	"maps"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/localnode"
)

const (
	// snapshotTimeout is csiSnapshotTimeout of a Backup, Velero's default.
	snapshotTimeout = 10 * time.Minute
	// resourceTimeout is what a Restore has instead, also by default.
	resourceTimeout = 10 * time.Minute
)

// NewDataUpload builds the DataUpload that a Velero backup makes of a VolumeSnapshot.
func NewDataUpload(
	claim *corev1.PersistentVolumeClaim, snapshot *snapshotv1.VolumeSnapshot, backup string,
) *v2alpha1.DataUpload {
	backupUID := uuid.NewUUID()
	return &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    VeleroNamespace,
			GenerateName: backup + "-",
			Labels: map[string]string{
				"velero.io/backup-name":        velerov1.LabelValue(backup),
				"velero.io/backup-uid":         string(backupUID),
				"velero.io/pvc-uid":            string(claim.UID),
				v2alpha1.AsyncOperationIDLabel: velerov1.LabelValue("du-" + string(backupUID) + "." + string(claim.UID)),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: velerov1.GroupVersion.String(), Kind: "Backup", Name: backup, UID: backupUID, Controller: new(true),
			}},
		},
		Spec: v2alpha1.DataUploadSpec{
			SnapshotType: v2alpha1.SnapshotTypeCSI,
			CSISnapshot: &v2alpha1.CSISnapshotSpec{
				VolumeSnapshot: snapshot.Name,
				StorageClass:   *claim.Spec.StorageClassName,
				SnapshotClass:  *snapshot.Spec.VolumeSnapshotClassName,
				Driver:         localnode.Driver,
			},
			SourcePVC:             claim.Name,
			SourceNamespace:       claim.Namespace,
			BackupStorageLocation: LocationName,
			OperationTimeout:      metav1.Duration{Duration: snapshotTimeout},
		},
	}
}

// NewTarget builds the PVC that a Velero restore makes of one that was backed up, in another namespace. Its selector keeps all
// volumes from it but the one that the data is restored into.
func NewTarget(source *corev1.PersistentVolumeClaim, namespace, restore string) *corev1.PersistentVolumeClaim {
	const suffix = 5
	labels := map[string]string{"velero.io/restore-name": velerov1.LabelValue(restore)}
	maps.Copy(labels, source.Labels)
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: source.Name, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      source.Spec.AccessModes,
			StorageClassName: source.Spec.StorageClassName,
			VolumeMode:       source.Spec.VolumeMode,
			Resources:        source.Spec.Resources,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{
				v2alpha1.DynamicPVRestoreLabel: velerov1.LabelValue(namespace + "." + source.Name + "." + rand.String(suffix)),
			}},
		},
	}
}

// NewDataDownload builds the DataDownload that a Velero restore makes of a DataUpload that has completed.
func NewDataDownload(du *v2alpha1.DataUpload, target *corev1.PersistentVolumeClaim, volume, restore string) *v2alpha1.DataDownload {
	restoreUID := uuid.NewUUID()
	return &v2alpha1.DataDownload{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    VeleroNamespace,
			GenerateName: restore + "-",
			Labels: map[string]string{
				"velero.io/restore-name":       velerov1.LabelValue(restore),
				"velero.io/restore-uid":        string(restoreUID),
				v2alpha1.AsyncOperationIDLabel: velerov1.LabelValue("dd-" + string(restoreUID) + "." + string(target.UID)),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: velerov1.GroupVersion.String(), Kind: "Restore", Name: restore, UID: restoreUID, Controller: new(true),
			}},
		},
		Spec: v2alpha1.DataDownloadSpec{
			TargetVolume:          v2alpha1.TargetVolumeSpec{PVC: target.Name, PV: volume, Namespace: target.Namespace},
			BackupStorageLocation: du.Spec.BackupStorageLocation,
			SnapshotID:            du.Status.SnapshotID,
			SourceNamespace:       du.Spec.SourceNamespace,
			OperationTimeout:      metav1.Duration{Duration: resourceTimeout},
			NodeOS:                du.Status.NodeOS,
			SnapshotSize:          du.Status.Progress.TotalBytes,
		},
	}
}
