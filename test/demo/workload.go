package main

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/demo/tree"
	"github.com/node-agent/node-agent/test/installation"
)

const (
	workloadClaim = "orders"
	workloadSize  = "1Gi"

	pollInterval = 50 * time.Millisecond
	waitTimeout  = 30 * time.Second
)

// workload is the volume that is backed up.
type workload struct {
	claim *corev1.PersistentVolumeClaim
	// dir is where the local node keeps its data.
	dir string
}

// createWorkload makes a PVC and fills its volume.
func (d *demo) createWorkload(ctx context.Context) (workload, error) {
	claim := installation.NewClaim(workloadNamespace, workloadClaim, workloadClass, workloadSize)
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
	d.workloads = append(d.workloads, claim)
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
	snapshot := installation.NewSnapshot(source.claim, backup)
	if err := d.client.Create(ctx, snapshot); err != nil {
		return storageSnapshot{}, fmt.Errorf("create VolumeSnapshot: %w", err)
	}
	d.out.begin("VolumeSnapshot " + snapshot.Name)
	taken := storageSnapshot{snapshot: snapshot}
	err := d.poll(ctx, "the storage snapshot", func(ctx context.Context) (_ bool, err error) {
		taken.handle, err = installation.SnapshotHandle(ctx, d.client, snapshot)
		return taken.handle != "", err
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
	du := installation.NewDataUpload(source.claim, taken.snapshot, backup)
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
