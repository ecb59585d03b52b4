package transfer

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// waitingForPreparation is the code of waiting until prepareQueueLength lets something be accepted.
const waitingForPreparation = "WaitingForPreparation"

// preparation is the gate in front of being accepted.
var preparation = gate{waits: isUnaccepted, passed: isPreparing}

func isUnaccepted(transfer v2alpha1.Transfer) bool {
	return transfer.TransferStatus().Phase == "" || transfer.TransferStatus().Phase == isNew
}

// isPreparing tells whether a DataUpload or DataDownload takes up room in the cluster without moving data yet.
func isPreparing(transfer v2alpha1.Transfer) bool {
	return transfer.TransferStatus().Phase == accepted || transfer.TransferStatus().Phase == prepared
}

// AwaitPreparation holds back what is New while as many as the configuration allows are being prepared. The prepare timeout
// does not run meanwhile.
//
// Documented in Velero under "Node-agent Prepare Queue Length".
func (e *Engine) AwaitPreparation(ctx context.Context, s *Scope) error {
	limit := e.Config().LoadConcurrency.PrepareQueueLength
	if limit == 0 {
		return nil
	}
	unstarted, err := e.transfers(ctx, client.MatchingFields{unstartedIndex: "true"})
	if err != nil {
		return err
	}
	place := len(e.Queues.toPrepare.reserve(preparation, s.Object, unstarted, limit)) - limit + 1
	if place <= 0 {
		return nil
	}
	return Wait(waiting.Reason{
		Code: waitingForPreparation, Expected: true,
		Message: fmt.Sprintf("waiting to be prepared: %s in the queue, %d at a time (loadConcurrency.prepareQueueLength)",
			describePlace(place), limit),
	})
}

// describePlace is exact at the head of the queue only: a place that changed with every step of a long queue would be written
// to everyone in it each time.
func describePlace(place int) string {
	const exact = 10
	if place <= exact {
		return fmt.Sprintf("place %d", place)
	}
	least := exact
	for _, step := range []int{20, 50, 100, 200, 500, 1000} {
		if place > step {
			least = step
		}
	}
	return fmt.Sprintf("after place %d", least)
}

func unstartedKey(transfer v2alpha1.Transfer) string {
	if !isOurs(transfer) || !isUnaccepted(transfer) && !isPreparing(transfer) {
		return ""
	}
	return "true"
}

// leavesPreparation tells whether a change makes room for one that waits to be prepared.
func leavesPreparation(change event.UpdateEvent) bool {
	return unstartedKey(change.ObjectOld.(v2alpha1.Transfer)) != "" && unstartedKey(change.ObjectNew.(v2alpha1.Transfer)) == ""
}

// nextToPrepare leads from one that made room to those that fit in, and to no more: the queue may be long.
func (e *Engine) nextToPrepare(ctx context.Context, _ client.Object) []reconcile.Request {
	unstarted, err := e.transfers(ctx, client.MatchingFields{unstartedIndex: "true"})
	if err != nil {
		e.Log.WithError(err).Warn("cannot find out who is prepared next; all are looked at again within " + resync.String())
		return nil
	}
	return e.requestsFor(thatFitIn(unstarted, e.Config().LoadConcurrency.PrepareQueueLength))
}

// queued leads from a change of the configuration to those that may go on now: New ones if more may be prepared, and prepared
// ones if more may move data.
func (e *Engine) queued(ctx context.Context, changed *config.Config) []reconcile.Request {
	unstarted, err := e.transfers(ctx, client.MatchingFields{unstartedIndex: "true"})
	if err != nil {
		e.Log.WithError(err).Warn("cannot find out who waits; all are looked at again within " + resync.String())
		return nil
	}
	held := thatFitIn(unstarted, changed.LoadConcurrency.PrepareQueueLength)
	for _, transfer := range unstarted {
		if isPrepared(transfer) {
			held = append(held, transfer)
		}
	}
	return e.requestsFor(held)
}

// thatFitIn chooses those that wait and for which there is room, in their order. A limit of 0 is none.
func thatFitIn(unstarted []v2alpha1.Transfer, limit int) []v2alpha1.Transfer {
	room := limit
	var held []v2alpha1.Transfer
	for _, transfer := range unstarted {
		if isPreparing(transfer) {
			room--
		} else {
			held = append(held, transfer)
		}
	}
	if limit == 0 {
		return held
	}
	slices.SortFunc(held, compare)
	return held[:min(len(held), max(room, 0))]
}

// requestsFor are for those of the engine's kind. The engine of the other kind sees to the others.
func (e *Engine) requestsFor(transfers []v2alpha1.Transfer) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(transfers))
	for _, transfer := range transfers {
		if transfer.TransferKind() == e.kind.Words.Kind {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(transfer)})
		}
	}
	return requests
}
