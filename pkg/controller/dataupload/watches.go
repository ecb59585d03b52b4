package dataupload

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
)

// sourceSnapshotIndex finds DataUploads by the VolumeSnapshot that they name.
const sourceSnapshotIndex = "spec.csiSnapshot.volumeSnapshot"

// SetupWithManager lets the manager call Reconcile whenever something changes that a DataUpload may wait for.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	err := r.Controller(mgr).
		Watches(&snapshotv1.VolumeSnapshotContent{}, handler.EnqueueRequestsFromMapFunc(r.AnnotatedOwner)).
		Watches(&snapshotv1.VolumeSnapshot{}, handler.EnqueueRequestsFromMapFunc(r.ofSnapshot)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the dataupload controller: %w", err)
	}
	return nil
}

// AddIndexes adds the indexes that only DataUploads are looked up by.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	return engine.AddIndex(ctx, indexer, &v2alpha1.DataUpload{}, sourceSnapshotIndex,
		func(o client.Object) string { return sourceKey(o.(*v2alpha1.DataUpload)) })
}

func sourceKey(du *v2alpha1.DataUpload) string {
	settled := du.Status.Phase.IsTerminal() && !controllerutil.ContainsFinalizer(du, v2alpha1.Finalizer)
	if du.Spec.CSISnapshot == nil || settled {
		return ""
	}
	return du.Spec.SourceNamespace + "/" + du.Spec.CSISnapshot.VolumeSnapshot
}

// ofSnapshot leads from a VolumeSnapshot, alias or source, to its DataUpload.
func (r *Reconciler) ofSnapshot(ctx context.Context, obj client.Object) []reconcile.Request {
	list := &v2alpha1.DataUploadList{}
	index := client.MatchingFields{sourceSnapshotIndex: obj.GetNamespace() + "/" + obj.GetName()}
	if err := r.Client.List(ctx, list, client.InNamespace(r.Namespace), index); err != nil {
		r.Log.WithError(err).Warn("cannot find out whose volumesnapshot it is; all DataUploads are looked at again soon")
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	if obj.GetNamespace() == r.Namespace {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	}
	return requests
}
