package engine

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/controller/queue"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/metrics"
)

// Indexes of the cache.
const (
	eventObjectIndex = "involvedObject.uid"
	nodeIndex        = "status.node"
	acceptedIndex    = "accepted"
	unstartedIndex   = "unstarted"
)

// concurrency is how many DataUploads, and how many DataDownloads, are looked at side by side. A pass takes milliseconds, so
// this is about slow API servers, not about how much data moves.
const concurrency = 8

// Controller builds a controller that calls Reconcile whenever something changes that a DataUpload or DataDownload may wait
// for. What only one kind waits for is added by its package.
func (e *Engine) Controller(mgr ctrl.Manager) *builder.Builder {
	metrics.Begin(e.Kind.Words.Kind, moverpod.Causes)
	byUser := handler.EnqueueRequestsFromMapFunc(user)
	onlyUpdates := func(matters func(event.UpdateEvent) bool) builder.WatchesOption {
		return builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(event.CreateEvent) bool { return false },
			UpdateFunc: matters,
		})
	}
	controlled := ctrl.NewControllerManagedBy(mgr).
		Named(strings.ToLower(e.Kind.Words.Kind)).
		For(e.Kind.New(), builder.WithPredicates(predicate.Funcs{UpdateFunc: matters})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(e.onNode),
			builder.WithPredicates(predicate.Or(predicate.LabelChangedPredicate{}, predicate.Funcs{UpdateFunc: changesReadiness}))).
		Watches(&corev1.Pod{}, byUser).
		Watches(&corev1.PersistentVolumeClaim{}, byUser).
		Watches(&corev1.Event{}, handler.EnqueueRequestsFromMapFunc(e.involved)).
		Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(e.AnnotatedOwner)).
		Watches(&velerov1.BackupRepository{}, handler.EnqueueRequestsFromMapFunc(e.allAccepted)).
		Watches(&velerov1.BackupStorageLocation{}, handler.EnqueueRequestsFromMapFunc(e.allAccepted)).
		Watches(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(e.allAccepted)).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency})
	// Both kinds wait in the same queues.
	for _, transfer := range []client.Object{&v2alpha1.DataUpload{}, &v2alpha1.DataDownload{}} {
		controlled.
			Watches(transfer, handler.EnqueueRequestsFromMapFunc(e.waitingForSlot), onlyUpdates(freesSlot)).
			Watches(transfer, handler.EnqueueRequestsFromMapFunc(e.nextToPrepare), onlyUpdates(leavesPreparation))
	}
	if e.ConfigChanges != nil {
		controlled.WatchesRawSource(source.Channel(e.ConfigChanges, handler.TypedEnqueueRequestsFromMapFunc(e.queued)))
	}
	return controlled
}

// AddIndexes adds the indexes that engines look things up by. It is called once, whatever the number of engines.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	eventObject := func(o client.Object) string { return string(o.(*corev1.Event).InvolvedObject.UID) }
	if err := AddIndex(ctx, indexer, &corev1.Event{}, eventObjectIndex, eventObject); err != nil {
		return err
	}
	for _, transfer := range []client.Object{&v2alpha1.DataUpload{}, &v2alpha1.DataDownload{}} {
		for field, value := range map[string]func(v2alpha1.Transfer) string{
			nodeIndex: queue.NodeOf, acceptedIndex: acceptedKey, unstartedIndex: unstartedKey,
		} {
			err := AddIndex(ctx, indexer, transfer, field, func(o client.Object) string { return value(o.(v2alpha1.Transfer)) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// AddIndex adds one index. Objects whose value is empty are not in it.
func AddIndex(
	ctx context.Context, indexer client.FieldIndexer, obj client.Object, field string, value func(client.Object) string,
) error {
	err := indexer.IndexField(ctx, obj, field, func(o client.Object) []string {
		if value := value(o); value != "" {
			return []string{value}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("indexing %T by %s: %w", obj, field, err)
	}
	return nil
}

func acceptedKey(transfer v2alpha1.Transfer) string {
	if transfer.TransferStatus().Phase != accepted {
		return ""
	}
	return "true"
}

// matters tells whether a change of a DataUpload or DataDownload can lead to anything: progress, which changes most often,
// cannot.
func matters(change event.UpdateEvent) bool {
	before, after := withoutProgress(change.ObjectOld), withoutProgress(change.ObjectNew)
	return !equality.Semantic.DeepEqual(before, after)
}

func withoutProgress(obj client.Object) client.Object {
	transfer := obj.DeepCopyObject().(v2alpha1.Transfer)
	transfer.TransferStatus().Progress = v2alpha1.DataMoveOperationProgress{}
	transfer.SetResourceVersion("")
	transfer.SetGeneration(0)
	transfer.SetManagedFields(nil)
	return transfer
}

// user leads from an object in Velero's namespace to what it was made for, and to what it stands in the way of, having its name.
func user(_ context.Context, obj client.Object) []reconcile.Request {
	key := client.ObjectKeyFromObject(obj)
	requests := []reconcile.Request{{NamespacedName: key}}
	if controller := metav1.GetControllerOf(obj); controller != nil && controller.Name != key.Name {
		key.Name = controller.Name
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

// AnnotatedOwner leads from a cluster-scoped object to what it was made for.
func (e *Engine) AnnotatedOwner(_ context.Context, obj client.Object) []reconcile.Request {
	owner, found := expose.Owner(obj, e.Kind.Words.Kind)
	if !found {
		return nil
	}
	return []reconcile.Request{{NamespacedName: owner}}
}

// involved leads from an Event to what the pod or PVC that it is about was made for.
func (e *Engine) involved(ctx context.Context, obj client.Object) []reconcile.Request {
	event := obj.(*corev1.Event).InvolvedObject
	key := client.ObjectKey{Namespace: event.Namespace, Name: event.Name}
	switch event.Kind {
	case "Pod":
		return []reconcile.Request{{NamespacedName: key}}
	case "PersistentVolumeClaim":
		pvc := &corev1.PersistentVolumeClaim{}
		if err := e.Client.Get(ctx, key, pvc); err != nil {
			return nil // what is not there is not waited for
		}
		return user(ctx, pvc)
	default:
		return nil
	}
}

func (e *Engine) allAccepted(ctx context.Context, _ client.Object) []reconcile.Request {
	return e.list(ctx, client.MatchingFields{acceptedIndex: "true"})
}

func (e *Engine) list(ctx context.Context, index client.MatchingFields) []reconcile.Request {
	transfers, err := e.transfers(ctx, index)
	if err != nil {
		e.Log.WithError(err).Warn("cannot find out whom to look at; all are looked at again within " + resync.String())
		return nil
	}
	return e.requestsFor(transfers)
}

// EventsAbout lists the Events about some objects, from the cache.
func (e *Engine) EventsAbout(ctx context.Context, objects ...client.Object) ([]corev1.Event, error) {
	var events []corev1.Event
	for _, obj := range objects {
		list := &corev1.EventList{}
		err := e.Client.List(ctx, list, client.InNamespace(e.Namespace), client.MatchingFields{eventObjectIndex: string(obj.GetUID())})
		if err != nil {
			return nil, fmt.Errorf("listing events about %s: %w", obj.GetName(), err)
		}
		events = append(events, list.Items...)
	}
	return events, nil
}
