// Package installation holds what the demo and the soak need around a control plane and a local node: the objects that an
// installation of Velero has, what its backups and restores make, and agents that run as the DaemonSet would run them.
package installation

import (
	"maps"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/test/localnode"
)

const (
	// VeleroNamespace is the namespace of the manifests.
	VeleroNamespace = "velero"
	// LocationName is the name of the only BackupStorageLocation.
	LocationName = "default"
	// SnapshotClass is the name of the VolumeSnapshotClass, whose policy is Delete.
	SnapshotClass = "snapshots"
)

// NewNamespace builds a namespace.
func NewNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// NewStorageClass builds a class of the local node that binds at once.
func NewStorageClass(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: name},
		Provisioner:       localnode.Driver,
		ReclaimPolicy:     new(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: new(storagev1.VolumeBindingImmediate),
	}
}

// NewSnapshotClass builds the VolumeSnapshotClass.
func NewSnapshotClass() *snapshotv1.VolumeSnapshotClass {
	return &snapshotv1.VolumeSnapshotClass{
		ObjectMeta:     metav1.ObjectMeta{Name: SnapshotClass},
		Driver:         localnode.Driver,
		DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
	}
}

// NewPasswordSecret builds the Secret with the password of all repositories.
func NewPasswordSecret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: InVelero(velerov1.RepositoryPasswordSecret),
		StringData: map[string]string{velerov1.RepositoryPasswordKey: "static-passw0rd"},
	}
}

// NewLocation builds the BackupStorageLocation, which is a directory.
func NewLocation(dir string) *velerov1.BackupStorageLocation {
	return &velerov1.BackupStorageLocation{
		ObjectMeta: InVelero(LocationName),
		Spec: velerov1.BackupStorageLocationSpec{
			Provider:    "velero.io/fs",
			Config:      map[string]string{"fspath": dir},
			StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "installation"}},
			Default:     true,
		},
	}
}

// NewConfigMap builds a node-agent ConfigMap.
func NewConfigMap(name, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: InVelero(name), Data: map[string]string{"node-agent-config.json": text}}
}

// InVelero names an object in Velero's namespace.
func InVelero(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: VeleroNamespace, Name: name}
}

// NewClaim builds the PVC of a workload.
func NewClaim(namespace, name, class, size string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": namespace}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			},
		},
	}
}

// NewSnapshot builds the VolumeSnapshot that a Velero backup takes of a PVC.
func NewSnapshot(claim *corev1.PersistentVolumeClaim, backup string) *snapshotv1.VolumeSnapshot {
	labels := map[string]string{"velero.io/backup-name": velerov1.LabelValue(backup)}
	maps.Copy(labels, claim.Labels)
	return &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, GenerateName: "velero-" + claim.Name + "-", Labels: labels},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &claim.Name},
			VolumeSnapshotClassName: new(SnapshotClass),
		},
	}
}
