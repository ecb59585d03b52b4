package installation

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SnapshotHandle returns the storage's name of a VolumeSnapshot, empty if there is none yet. A Velero backup waits for it
// before it makes a DataUpload; it does not wait until the snapshot is ready.
func SnapshotHandle(ctx context.Context, c client.Client, snapshot *snapshotv1.VolumeSnapshot) (string, error) {
	if err := c.Get(ctx, client.ObjectKeyFromObject(snapshot), snapshot); err != nil {
		return "", err
	}
	if snapshot.Status == nil || snapshot.Status.BoundVolumeSnapshotContentName == nil {
		return "", nil
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	err := c.Get(ctx, client.ObjectKey{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content)
	if err != nil || content.Status == nil || content.Status.SnapshotHandle == nil {
		return "", err
	}
	return *content.Status.SnapshotHandle, nil
}
