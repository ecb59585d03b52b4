package main

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/test/localnode"
)

// Names of the demo's cluster.
const (
	veleroNamespace   = "velero"
	workloadNamespace = "shop"
	locationName      = "default"

	workloadClass = "standard"
	backupClass   = "backup-read-only"
	snapshotClass = "snapshots"

	// The ConfigMaps of the two parts.
	goodConfig   = "node-agent-config"
	brokenConfig = "node-agent-config-typo"
)

const goodText = `{
  "backupPVC": {
    "standard": {
      "storageClass": "backup-read-only",
      "readOnly": true,
      "spcNoRelabeling": true
    }
  }
}`

const brokenText = `{
  "backupPVC": {
    "standard": {
      "storageClass": "backup-raed-only",
      "readOnly": true
    }
  }
}`

// install creates what is there before a backup begins.
func (d *demo) install(ctx context.Context) error {
	objects := []client.Object{
		namespace(veleroNamespace), namespace(workloadNamespace),
		storageClass(workloadClass), storageClass(backupClass),
		&snapshotv1.VolumeSnapshotClass{
			ObjectMeta:     metav1.ObjectMeta{Name: snapshotClass},
			Driver:         localnode.Driver,
			DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
		},
		&corev1.Secret{
			ObjectMeta: inVelero(location.PasswordSecret),
			StringData: map[string]string{location.PasswordKey: "static-passw0rd"},
		},
		&velerov1.BackupStorageLocation{
			ObjectMeta: inVelero(locationName),
			Spec: velerov1.BackupStorageLocationSpec{
				Provider:    "velero.io/fs",
				Config:      map[string]string{"fspath": d.repositoryDir()},
				StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "demo"}},
				Default:     true,
			},
		},
		configMap(goodConfig, goodText), configMap(brokenConfig, brokenText),
	}
	for _, object := range append(objects, d.manifests.objects...) {
		if err := d.client.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

func inVelero(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: veleroNamespace, Name: name}
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func storageClass(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: name},
		Provisioner:       localnode.Driver,
		ReclaimPolicy:     new(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: new(storagev1.VolumeBindingImmediate),
	}
}

// configMap makes a node-agent ConfigMap.
func configMap(name, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: inVelero(name), Data: map[string]string{"node-agent-config.json": text}}
}
