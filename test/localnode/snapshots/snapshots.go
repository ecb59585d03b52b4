// Package snapshots plays the snapshot controller and the csi-snapshotter sidecar (external-snapshotter v8) for the
// local node's driver: who is bound to whom, which finalizers hold what, and when a storage snapshot is deleted. Group
// snapshots are left out.
package snapshots

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/events"
	"github.com/node-agent/node-agent/test/localnode/storage"
)

// Finalizers and annotations of external-snapshotter.
const (
	contentFinalizer  = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"
	boundFinalizer    = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"
	asSourceFinalizer = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"
	// beingDeleted on a content says that its snapshot is going. Without it the sidecar keeps a deleted content.
	beingDeleted = "snapshot.storage.kubernetes.io/volumesnapshot-being-deleted"
)

// Setup adds the controllers to a manager. They serve contents of the driver only.
func Setup(mgr manager.Manager, disks *storage.Storage, recorders *events.Recorders, driver string) error {
	snapshots := &snapshotReconciler{
		Client: mgr.GetClient(), live: mgr.GetAPIReader(), events: recorders.Core("snapshot-controller", ""),
	}
	if err := builder.ControllerManagedBy(mgr).Named("volumesnapshot").
		For(&snapshotv1.VolumeSnapshot{}).
		Watches(&snapshotv1.VolumeSnapshotContent{}, handler.EnqueueRequestsFromMapFunc(snapshotOfContent)).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(snapshotOfClaim)).
		Complete(reconcile.AsReconciler(mgr.GetClient(), snapshots)); err != nil {
		return err
	}
	contents := &contentReconciler{
		Client: mgr.GetClient(), live: mgr.GetAPIReader(), disks: disks, driver: driver,
		events: recorders.Core("csi-snapshotter "+driver, ""),
	}
	return builder.ControllerManagedBy(mgr).Named("volumesnapshotcontent").
		For(&snapshotv1.VolumeSnapshotContent{}).
		Watches(&snapshotv1.VolumeSnapshot{}, handler.EnqueueRequestsFromMapFunc(contentOfSnapshot)).
		Complete(reconcile.AsReconciler(mgr.GetClient(), contents))
}

func snapshotOfContent(_ context.Context, content client.Object) []reconcile.Request {
	ref := content.(*snapshotv1.VolumeSnapshotContent).Spec.VolumeSnapshotRef
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}}}
}

func snapshotOfClaim(_ context.Context, claim client.Object) []reconcile.Request {
	source := claim.(*corev1.PersistentVolumeClaim).Spec.DataSource
	if source == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: claim.GetNamespace(), Name: source.Name}}}
}

func contentOfSnapshot(_ context.Context, snapshot client.Object) []reconcile.Request {
	if name := contentName(snapshot.(*snapshotv1.VolumeSnapshot)); name != "" {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	}
	return nil
}

// contentName is the name of the content that a snapshot has, or will have.
func contentName(snapshot *snapshotv1.VolumeSnapshot) string {
	switch {
	case snapshot.Status != nil && snapshot.Status.BoundVolumeSnapshotContentName != nil:
		return *snapshot.Status.BoundVolumeSnapshotContentName
	case snapshot.Spec.Source.VolumeSnapshotContentName != nil:
		return *snapshot.Spec.Source.VolumeSnapshotContentName
	default:
		return "snapcontent-" + string(snapshot.UID)
	}
}

// pointsTo tells whether a content is bound to this very snapshot.
func pointsTo(content *snapshotv1.VolumeSnapshotContent, snapshot *snapshotv1.VolumeSnapshot) bool {
	ref := content.Spec.VolumeSnapshotRef
	return ref.Name == snapshot.Name && ref.Namespace == snapshot.Namespace && ref.UID == snapshot.UID
}

// setFinalizers patches with a resource version: a merge patch replaces the list, and others add to it.
func setFinalizers(ctx context.Context, c client.Client, object client.Object, add, remove []string) error {
	before := object.DeepCopyObject().(client.Object)
	changed := false
	for _, finalizer := range add {
		changed = controllerutil.AddFinalizer(object, finalizer) || changed
	}
	for _, finalizer := range remove {
		changed = controllerutil.RemoveFinalizer(object, finalizer) || changed
	}
	if !changed {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, object, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("change finalizers of %s: %w", object.GetName(), err)
	}
	return nil
}
