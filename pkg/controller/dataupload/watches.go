package dataupload

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Indexes of the cache.
const (
	eventObjectIndex    = "involvedObject.uid"
	nodeIndex           = "status.node"
	sourceSnapshotIndex = "spec.csiSnapshot.volumeSnapshot"
	acceptedIndex       = "accepted"
	unstartedIndex      = "unstarted"
)

// concurrency is how many DataUploads are looked at side by side. A pass takes milliseconds, so this is about slow API
// servers, not about how much data moves.
const concurrency = 8

// SetupWithManager lets the manager call Reconcile whenever something changes that a DataUpload may wait for.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	byName := handler.EnqueueRequestsFromMapFunc(r.sameName)
	byAnnotation := handler.EnqueueRequestsFromMapFunc(annotatedOwner)
	controlled := ctrl.NewControllerManagedBy(mgr).
		Named("dataupload").
		For(&v2alpha1.DataUpload{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: matters})).
		Watches(&v2alpha1.DataUpload{}, handler.EnqueueRequestsFromMapFunc(r.waitingForSlot),
			builder.WithPredicates(predicate.Funcs{
				CreateFunc: func(event.CreateEvent) bool { return false },
				UpdateFunc: freesSlot,
			})).
		Watches(&v2alpha1.DataUpload{}, handler.EnqueueRequestsFromMapFunc(r.nextToPrepare),
			builder.WithPredicates(predicate.Funcs{
				CreateFunc: func(event.CreateEvent) bool { return false },
				UpdateFunc: leavesPreparation,
			})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.onNode),
			builder.WithPredicates(predicate.Or(predicate.LabelChangedPredicate{}, predicate.Funcs{UpdateFunc: changesReadiness}))).
		Watches(&corev1.Pod{}, byName).
		Watches(&corev1.PersistentVolumeClaim{}, byName).
		Watches(&corev1.Event{}, handler.EnqueueRequestsFromMapFunc(r.involved)).
		Watches(&corev1.PersistentVolume{}, byAnnotation).
		Watches(&snapshotv1.VolumeSnapshotContent{}, byAnnotation).
		Watches(&snapshotv1.VolumeSnapshot{}, handler.EnqueueRequestsFromMapFunc(r.ofSnapshot)).
		Watches(&velerov1.BackupRepository{}, handler.EnqueueRequestsFromMapFunc(r.allAccepted)).
		Watches(&velerov1.BackupStorageLocation{}, handler.EnqueueRequestsFromMapFunc(r.allAccepted)).
		Watches(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(r.allAccepted)).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	if r.ConfigChanges != nil {
		controlled.WatchesRawSource(source.Channel(r.ConfigChanges, handler.TypedEnqueueRequestsFromMapFunc(r.heldBack)))
	}
	if err := controlled.Complete(r); err != nil {
		return fmt.Errorf("setting up the dataupload controller: %w", err)
	}
	return nil
}

// AddIndexes adds the indexes that Reconcile looks things up by.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		obj   client.Object
		field string
		value func(client.Object) string
	}{
		{&corev1.Event{}, eventObjectIndex, func(o client.Object) string { return string(o.(*corev1.Event).InvolvedObject.UID) }},
		{&v2alpha1.DataUpload{}, nodeIndex, func(o client.Object) string { return unsettledNode(o.(*v2alpha1.DataUpload)) }},
		{&v2alpha1.DataUpload{}, sourceSnapshotIndex, func(o client.Object) string { return sourceKey(o.(*v2alpha1.DataUpload)) }},
		{&v2alpha1.DataUpload{}, acceptedIndex, func(o client.Object) string { return acceptedKey(o.(*v2alpha1.DataUpload)) }},
		{&v2alpha1.DataUpload{}, unstartedIndex, func(o client.Object) string { return unstartedKey(o.(*v2alpha1.DataUpload)) }},
	} {
		err := indexer.IndexField(ctx, index.obj, index.field, func(o client.Object) []string {
			if value := index.value(o); value != "" {
				return []string{value}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("indexing %T by %s: %w", index.obj, index.field, err)
		}
	}
	return nil
}

// unsettledNode is the node of a DataUpload that is not done; thousands of old ones need not be looked through.
func unsettledNode(du *v2alpha1.DataUpload) string {
	if du.Status.Phase.IsTerminal() {
		return ""
	}
	return du.Status.Node
}

func sourceKey(du *v2alpha1.DataUpload) string {
	if du.Spec.CSISnapshot == nil || isSettled(du) {
		return ""
	}
	return du.Spec.SourceNamespace + "/" + du.Spec.CSISnapshot.VolumeSnapshot
}

func acceptedKey(du *v2alpha1.DataUpload) string {
	if du.Status.Phase != accepted {
		return ""
	}
	return "true"
}

// matters tells whether a change of a DataUpload can lead to anything: progress, which changes most often, cannot.
func matters(e event.UpdateEvent) bool {
	before, after := withoutProgress(e.ObjectOld), withoutProgress(e.ObjectNew)
	return !equality.Semantic.DeepEqual(before, after)
}

func withoutProgress(obj client.Object) *v2alpha1.DataUpload {
	du := obj.(*v2alpha1.DataUpload).DeepCopy()
	du.Status.Progress = v2alpha1.DataMoveOperationProgress{}
	du.ResourceVersion, du.Generation, du.ManagedFields = "", 0, nil
	return du
}

// freesSlot tells whether a DataUpload left the queue of its node: it has ended, or its attempt was lost.
func freesSlot(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*v2alpha1.DataUpload), e.ObjectNew.(*v2alpha1.DataUpload)
	return unsettledNode(before) != "" && unsettledNode(after) != unsettledNode(before)
}

// sameName leads from an object in the DataUploads' namespace to the DataUpload that it is named after.
func (r *Reconciler) sameName(_ context.Context, obj client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(obj)}}
}

func annotatedOwner(_ context.Context, obj client.Object) []reconcile.Request {
	owner, found := expose.Owner(obj)
	if !found {
		return nil
	}
	return []reconcile.Request{{NamespacedName: owner}}
}

func (r *Reconciler) involved(_ context.Context, obj client.Object) []reconcile.Request {
	about := obj.(*corev1.Event).InvolvedObject
	if about.Kind != "Pod" && about.Kind != "PersistentVolumeClaim" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: about.Namespace, Name: about.Name}}}
}

// ofSnapshot leads from a VolumeSnapshot, alias or source, to its DataUpload.
func (r *Reconciler) ofSnapshot(ctx context.Context, obj client.Object) []reconcile.Request {
	requests := r.list(ctx, client.MatchingFields{sourceSnapshotIndex: obj.GetNamespace() + "/" + obj.GetName()})
	if obj.GetNamespace() == r.Namespace {
		requests = append(requests, r.sameName(ctx, obj)...)
	}
	return requests
}

// waitingForSlot leads from a DataUpload that gave its slot back to those that may want it.
func (r *Reconciler) waitingForSlot(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.list(ctx, client.MatchingFields{nodeIndex: obj.(*v2alpha1.DataUpload).Status.Node})
}

func (r *Reconciler) allAccepted(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.list(ctx, client.MatchingFields{acceptedIndex: "true"})
}

func (r *Reconciler) list(ctx context.Context, selector client.ListOption) []reconcile.Request {
	list := &v2alpha1.DataUploadList{}
	if err := r.Client.List(ctx, list, client.InNamespace(r.Namespace), selector); err != nil {
		r.Log.WithError(err).Warn("cannot list dataUploads to look at; they are looked at again within " + resync.String())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}
