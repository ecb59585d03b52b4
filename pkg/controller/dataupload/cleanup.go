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
func (r *Reconciler) cleanUp(ctx context.Context, s *scope) (transfer.Outcome, error) {
	return r.CleanUp(ctx, s.Scope, r.RemovePod, r.RemovePVC, r.CheckPVGone,
		transfer.With(s, r.removeSnapshots), transfer.With(s, r.removeCopies), r.checkNothingMissed,
		transfer.With(s, r.leaveToVelero))
}

func (r *Reconciler) checkNothingMissed(ctx context.Context, s *transfer.Scope) (string, error) {
	return r.CheckNothingMissed(ctx, s, map[string]client.Object{
		"volumesnapshot":        &snapshotv1.VolumeSnapshot{},
		"volumesnapshotcontent": &snapshotv1.VolumeSnapshotContent{},
	})
}
