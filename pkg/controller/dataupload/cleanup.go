package dataupload

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
)

// cleanUp removes everything that was made for a DataUpload that has ended: pod, backupPVC and its PV, alias and source
// snapshot, the copies of what the driver needed for them, in the end the finalizer. The PV goes before the snapshot, because
// a clone whose snapshot is deleted first makes some storage systems copy all of it.
func (r *Reconciler) cleanUp(ctx context.Context, s *scope) error {
	return transfer.CleanUp(ctx, r.Steps, s, append(r.removeVolume(),
		r.removeSnapshots, r.removeCopies, r.checkNothingMissed, r.leaveToVelero))
}

// removeVolume are the removals of the backupPVC and what uses it.
func (r *Reconciler) removeVolume() []transfer.Removal[*scope] {
	shared := transfer.SharedRemoval[*scope]
	return []transfer.Removal[*scope]{shared(r.RemovePod), shared(r.RemovePVC), shared(r.CheckPVGone)}
}

func (r *Reconciler) checkNothingMissed(ctx context.Context, s *scope) (string, error) {
	return r.CheckNothingMissed(ctx, s.Scope, map[string]client.Object{
		"volumesnapshot":        &snapshotv1.VolumeSnapshot{},
		"volumesnapshotcontent": &snapshotv1.VolumeSnapshotContent{},
	})
}
