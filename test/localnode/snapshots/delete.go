package snapshots

import (
	"context"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// finish lets a deleted snapshot go. With policy Delete its content goes first, and the storage snapshot with it; with
// policy Retain the content stays, marked, so that it can be deleted by itself later.
func (r *snapshotReconciler) finish(
	ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent,
) (reconcile.Result, error) {
	if content != nil && !pointsTo(content, snapshot) {
		content = nil
	}
	if content == nil {
		return reconcile.Result{}, setFinalizers(ctx, r.Client, snapshot, nil, []string{asSourceFinalizer, boundFinalizer})
	}
	inUse, err := r.isBeingRestored(ctx, snapshot)
	if err != nil {
		return reconcile.Result{}, err
	}
	if inUse {
		r.events.Event(snapshot, corev1.EventTypeWarning, "SnapshotDeletePending", "Snapshot is being used to restore a PVC")
		return reconcile.Result{}, nil
	}
	if err := markBeingDeleted(ctx, r.Client, content); err != nil {
		return reconcile.Result{}, err
	}
	if content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain {
		return reconcile.Result{}, setFinalizers(ctx, r.Client, snapshot, nil, []string{asSourceFinalizer, boundFinalizer})
	}
	if content.DeletionTimestamp.IsZero() {
		if err := r.Delete(ctx, content); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("delete content %s: %w", content.Name, err)
		}
	}
	return reconcile.Result{}, setFinalizers(ctx, r.Client, snapshot, nil, []string{asSourceFinalizer})
}

// isBeingRestored tells whether a claim is still being filled from the snapshot.
func (r *snapshotReconciler) isBeingRestored(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot) (bool, error) {
	claims := &corev1.PersistentVolumeClaimList{}
	if err := r.List(ctx, claims, client.InNamespace(snapshot.Namespace)); err != nil {
		return false, fmt.Errorf("list claims restored from snapshot %s: %w", snapshot.Name, err)
	}
	return slices.ContainsFunc(claims.Items, func(claim corev1.PersistentVolumeClaim) bool {
		source := claim.Spec.DataSource
		return source != nil && source.Kind == "VolumeSnapshot" && source.Name == snapshot.Name &&
			claim.Status.Phase == corev1.ClaimPending
	}), nil
}

func markBeingDeleted(ctx context.Context, c client.Client, content *snapshotv1.VolumeSnapshotContent) error {
	if _, marked := content.Annotations[beingDeleted]; marked {
		return nil
	}
	before := content.DeepCopy()
	if content.Annotations == nil {
		content.Annotations = map[string]string{}
	}
	content.Annotations[beingDeleted] = "yes"
	if err := c.Patch(ctx, content, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("mark content %s: %w", content.Name, err)
	}
	return nil
}
