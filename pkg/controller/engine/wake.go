package engine

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/queue"
)

// What happens to one DataUpload or DataDownload wakes others that wait in a queue with it.

func unstartedKey(transfer v2alpha1.Transfer) string {
	if !isOurs(transfer) || !queue.Unstarted(transfer) {
		return ""
	}
	return "true"
}

// leavesPreparation tells whether a change makes room for one that waits to be prepared.
func leavesPreparation(change event.UpdateEvent) bool {
	return unstartedKey(change.ObjectOld.(v2alpha1.Transfer)) != "" && unstartedKey(change.ObjectNew.(v2alpha1.Transfer)) == ""
}

// freesSlot tells whether a change makes room for one that waits for a slot.
func freesSlot(change event.UpdateEvent) bool {
	return queue.FreesSlot(change.ObjectOld.(v2alpha1.Transfer), change.ObjectNew.(v2alpha1.Transfer))
}

// nextToPrepare leads from one that made room to those that fit in, and to no more: the queue may be long.
func (e *Engine) nextToPrepare(ctx context.Context, _ client.Object) []reconcile.Request {
	unstarted, err := e.Unstarted(ctx)
	if err != nil {
		e.Log.WithError(err).Warn("cannot find out who is prepared next; all are looked at again within " + resync.String())
		return nil
	}
	return e.requestsFor(queue.FitIn(unstarted, e.Config().LoadConcurrency.PrepareQueueLength))
}

// queued leads from a change of the configuration to those that may go on now: New ones if more may be prepared, and prepared
// ones if more may move data.
func (e *Engine) queued(ctx context.Context, changed *config.Config) []reconcile.Request {
	unstarted, err := e.Unstarted(ctx)
	if err != nil {
		e.Log.WithError(err).Warn("cannot find out who waits; all are looked at again within " + resync.String())
		return nil
	}
	held := queue.FitIn(unstarted, changed.LoadConcurrency.PrepareQueueLength)
	for _, transfer := range unstarted {
		if queue.IsPrepared(transfer) {
			held = append(held, transfer)
		}
	}
	return e.requestsFor(held)
}

// waitingForSlot leads from one that gave its slot back to those that may want it.
func (e *Engine) waitingForSlot(ctx context.Context, obj client.Object) []reconcile.Request {
	return e.list(ctx, client.MatchingFields{nodeIndex: obj.(v2alpha1.Transfer).TransferStatus().Node})
}

// requestsFor are for those of the engine's kind. The engine of the other kind sees to the others.
func (e *Engine) requestsFor(transfers []v2alpha1.Transfer) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(transfers))
	for _, transfer := range transfers {
		if transfer.TransferKind() == e.Kind.Words.Kind {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(transfer)})
		}
	}
	return requests
}

// Unstarted lists all that are New or being prepared. They must not be changed.
func (e *Engine) Unstarted(ctx context.Context) ([]v2alpha1.Transfer, error) {
	return e.transfers(ctx, client.MatchingFields{unstartedIndex: "true"})
}

// OnNode lists all on a node that have not ended. They must not be changed.
func (e *Engine) OnNode(ctx context.Context, node string) ([]v2alpha1.Transfer, error) {
	return e.transfers(ctx, client.MatchingFields{nodeIndex: node})
}

// transfers lists DataUploads and DataDownloads from the cache, by one of its indexes. They must not be changed: with a thousand of
// them waiting, copies would be the greater part of the work.
func (e *Engine) transfers(ctx context.Context, index client.MatchingFields) ([]v2alpha1.Transfer, error) {
	return listTransfers(ctx, e.Client, e.Namespace, index, client.UnsafeDisableDeepCopy)
}

func listTransfers(ctx context.Context, reader client.Reader, namespace string, options ...client.ListOption) ([]v2alpha1.Transfer, error) {
	uploads, downloads := &v2alpha1.DataUploadList{}, &v2alpha1.DataDownloadList{}
	for _, list := range []client.ObjectList{uploads, downloads} {
		if err := reader.List(ctx, list, append(options, client.InNamespace(namespace))...); err != nil {
			return nil, fmt.Errorf("listing dataUploads and dataDownloads: %w", err)
		}
	}
	return v2alpha1.Transfers(uploads, downloads), nil
}
