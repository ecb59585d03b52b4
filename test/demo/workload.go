package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/demo/tree"
	"github.com/node-agent/node-agent/test/localnode"
)

const (
	workloadClaim = "orders"
	workloadSize  = "1Gi"

	pollInterval = 50 * time.Millisecond
	waitTimeout  = 30 * time.Second
	// snapshotTimeout is csiSnapshotTimeout of a Backup, Velero's default.
	snapshotTimeout = 10 * time.Minute
)

// workload is the volume that is backed up.
type workload struct {
	claim *corev1.PersistentVolumeClaim
	// dir is where the local node keeps its data.
	dir string
}

// createWorkload makes a PVC and fills its volume.
func (d *demo) createWorkload(ctx context.Context) (workload, error) {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: workloadNamespace, Name: workloadClaim, Labels: map[string]string{"app": "shop"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: new(workloadClass),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(workloadSize)},
			},
		},
	}
	if err := d.client.Create(ctx, claim); err != nil {
		return workload{}, fmt.Errorf("create PVC: %w", err)
	}
	d.out.begin(fmt.Sprintf("PVC %s/%s, class %s, and data in it", workloadNamespace, workloadClaim, workloadClass))
	err := d.poll(ctx, "the workload's PVC to be bound", func(ctx context.Context) (bool, error) {
		err := d.client.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		return claim.Status.Phase == corev1.ClaimBound, err
	})
	if err != nil {
		return workload{}, err
	}
	source := workload{claim: claim, dir: d.node.Storage.VolumePath(claim.Spec.VolumeName)}
	if err := tree.Fill(source.dir); err != nil {
		return workload{}, err
	}
	d.out.done()
	return source, nil
}

// storageSnapshot is what a VolumeSnapshot stands for in the storage system.
type storageSnapshot struct {
	snapshot *snapshotv1.VolumeSnapshot
	handle   string
}

// takeSnapshot makes a VolumeSnapshot as a Velero backup does: it waits for the handle, not for readiness.
func (d *demo) takeSnapshot(ctx context.Context, source workload, backup string) (storageSnapshot, error) {
	labels := map[string]string{"velero.io/backup-name": velerov1.LabelValue(backup)}
	maps.Copy(labels, source.claim.Labels)
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: source.claim.Namespace, GenerateName: "velero-" + source.claim.Name + "-", Labels: labels,
		},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &source.claim.Name},
			VolumeSnapshotClassName: new(snapshotClass),
		},
	}
	if err := d.client.Create(ctx, snapshot); err != nil {
		return storageSnapshot{}, fmt.Errorf("create VolumeSnapshot: %w", err)
	}
	d.out.begin("VolumeSnapshot " + snapshot.Name)
	taken := storageSnapshot{snapshot: snapshot}
	err := d.poll(ctx, "the storage snapshot", func(ctx context.Context) (bool, error) {
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot); err != nil {
			return false, err
		}
		if snapshot.Status == nil || snapshot.Status.BoundVolumeSnapshotContentName == nil {
			return false, nil
		}
		content := &snapshotv1.VolumeSnapshotContent{}
		err := d.client.Get(ctx, types.NamespacedName{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content)
		if err != nil || content.Status == nil || content.Status.SnapshotHandle == nil {
			return false, err
		}
		taken.handle = *content.Status.SnapshotHandle
		return true, nil
	})
	if err != nil {
		return storageSnapshot{}, err
	}
	d.out.done()
	return taken, nil
}

// createDataUpload makes a DataUpload as a Velero backup does.
func (d *demo) createDataUpload(
	ctx context.Context, source workload, taken storageSnapshot, backup string,
) (*v2alpha1.DataUpload, error) {
	backupUID, claimUID := uuid.NewUUID(), source.claim.UID
	operation := fmt.Sprintf("du-%s.%s", backupUID, claimUID)
	du := &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    veleroNamespace,
			GenerateName: backup + "-",
			Labels: map[string]string{
				"velero.io/backup-name":        velerov1.LabelValue(backup),
				"velero.io/backup-uid":         string(backupUID),
				"velero.io/pvc-uid":            string(claimUID),
				v2alpha1.AsyncOperationIDLabel: velerov1.LabelValue(operation),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: velerov1.GroupVersion.String(), Kind: "Backup", Name: backup, UID: backupUID, Controller: new(true),
			}},
		},
		Spec: v2alpha1.DataUploadSpec{
			SnapshotType: v2alpha1.SnapshotTypeCSI,
			CSISnapshot: &v2alpha1.CSISnapshotSpec{
				VolumeSnapshot: taken.snapshot.Name,
				StorageClass:   *source.claim.Spec.StorageClassName,
				SnapshotClass:  *taken.snapshot.Spec.VolumeSnapshotClassName,
				Driver:         localnode.Driver,
			},
			SourcePVC:             source.claim.Name,
			SourceNamespace:       source.claim.Namespace,
			BackupStorageLocation: locationName,
			OperationTimeout:      metav1.Duration{Duration: snapshotTimeout},
		},
	}
	if err := d.client.Create(ctx, du); err != nil {
		return nil, fmt.Errorf("create DataUpload: %w", err)
	}
	return du, nil
}

// poll waits until a condition holds, for at most waitTimeout.
func (d *demo) poll(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	if err := wait.PollUntilContextTimeout(ctx, pollInterval, waitTimeout, true, condition); err != nil {
		return fmt.Errorf("wait for %s: %w", what, err)
	}
	return nil
}
