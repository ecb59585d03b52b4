package dataupload

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/datamovement"
)

// cleanUp removes everything that was made for a DataUpload that has ended: pod, backupPVC and its PV, alias and source
// snapshot, the copies of what the driver needed for them, in the end the finalizer. The PV goes before the snapshot, because
// a clone whose snapshot is deleted first makes some storage systems copy all of it.
func (r *Reconciler) cleanUp(ctx context.Context, s *scope) (datamovement.Outcome, error) {
	return r.CleanUp(ctx, s.Scope, r.RemovePod, r.RemovePVC, r.CheckPVGone,
		own(s, r.removeSnapshots), own(s, r.removeCopies), r.checkNothingMissed, own(s, r.leaveToVelero))
}

// own makes a removal of one that needs more than what DataUploads and DataDownloads share.
func own(s *scope, remove func(context.Context, *scope) (string, error)) datamovement.Removal {
	return func(ctx context.Context, _ *datamovement.Scope) (string, error) { return remove(ctx, s) }
}

func (r *Reconciler) checkNothingMissed(ctx context.Context, s *datamovement.Scope) (string, error) {
	return r.CheckNothingMissed(ctx, s, map[string]client.Object{
		"volumesnapshot":        &snapshotv1.VolumeSnapshot{},
		"volumesnapshotcontent": &snapshotv1.VolumeSnapshotContent{},
	})
}
