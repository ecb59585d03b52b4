package dataupload

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// waitingForPreparation is the code of waiting until prepareQueueLength lets a DataUpload be accepted.
const waitingForPreparation = "WaitingForPreparation"

// preparation is the line in front of being accepted.
var preparation = line{waits: isUnaccepted, passed: isPreparing}

func isUnaccepted(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == "" || du.Status.Phase == isNew
}

// isPreparing tells whether a DataUpload takes up room in the cluster without moving data yet.
func isPreparing(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == accepted || du.Status.Phase == prepared
}

// awaitPreparation holds a New DataUpload back while as many as the configuration allows are being prepared. The prepare
// timeout does not run meanwhile.
//
// Documented in Velero under "Node-agent Prepare Queue Length".
func (r *Reconciler) awaitPreparation(ctx context.Context, s *scope) (outcome, error) {
	limit := r.Config().LoadConcurrency.PrepareQueueLength
	if limit == 0 {
		return outcome{}, nil
	}
	unstarted, err := r.unstarted(ctx)
	if err != nil {
		return outcome{}, err
	}
	place := r.toPrepare.claim(preparation, s.du, unstarted, limit) - limit + 1
	if place <= 0 {
		return outcome{}, nil
	}
	return wait(expose.Reason{
		Code: waitingForPreparation, Expected: true,
		Message: fmt.Sprintf("waiting to be prepared: %s in the queue, %d at a time (loadConcurrency.prepareQueueLength)",
			describePlace(place), limit),
	})
}

// unstarted lists the DataUploads that are New or being prepared. They must not be changed: with a thousand of them waiting,
// copies would be the greater part of the work.
func (r *Reconciler) unstarted(ctx context.Context) ([]v2alpha1.DataUpload, error) {
	list := &v2alpha1.DataUploadList{}
	err := r.Client.List(ctx, list, client.InNamespace(r.Namespace), client.MatchingFields{unstartedIndex: "true"},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing dataUploads that are not started: %w", err)
	}
	return list.Items, nil
}

// describePlace is exact at the head of the queue only: a place that changed with every step of a long queue would be written
// to every DataUpload in it each time.
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

func unstartedKey(du *v2alpha1.DataUpload) string {
	if !isOurs(du) || !isUnaccepted(du) && !isPreparing(du) {
		return ""
	}
	return "true"
}

// leavesPreparation tells whether a change makes room for one that waits to be prepared.
func leavesPreparation(e event.UpdateEvent) bool {
	return unstartedKey(e.ObjectOld.(*v2alpha1.DataUpload)) != "" && unstartedKey(e.ObjectNew.(*v2alpha1.DataUpload)) == ""
}

// nextToPrepare leads from a DataUpload that made room to those that fit in, and to no more: the queue may be long.
func (r *Reconciler) nextToPrepare(ctx context.Context, _ client.Object) []reconcile.Request {
	unstarted, err := r.unstarted(ctx)
	if err != nil {
		r.Log.WithError(err).Warn("cannot find out who is prepared next; all are looked at again within " + resync.String())
		return nil
	}
	return requestsFor(thatFitIn(unstarted, r.Config().LoadConcurrency.PrepareQueueLength))
}

// heldBack leads from a change of the configuration to those that may go on now: New ones if more may be prepared, and prepared
// ones if more may move data.
func (r *Reconciler) heldBack(ctx context.Context, changed *config.Config) []reconcile.Request {
	unstarted, err := r.unstarted(ctx)
	if err != nil {
		r.Log.WithError(err).Warn("cannot find out who waits; all are looked at again within " + resync.String())
		return nil
	}
	held := thatFitIn(unstarted, changed.LoadConcurrency.PrepareQueueLength)
	for i := range unstarted {
		if isPrepared(&unstarted[i]) {
			held = append(held, &unstarted[i])
		}
	}
	return requestsFor(held)
}

// thatFitIn chooses those that wait and for which there is room, the oldest first. A limit of 0 is none.
func thatFitIn(unstarted []v2alpha1.DataUpload, limit int) []*v2alpha1.DataUpload {
	room := limit
	var waiting []*v2alpha1.DataUpload
	for i := range unstarted {
		if isPreparing(&unstarted[i]) {
			room--
		} else {
			waiting = append(waiting, &unstarted[i])
		}
	}
	if limit == 0 {
		return waiting
	}
	slices.SortFunc(waiting, compareAge)
	return waiting[:min(len(waiting), max(room, 0))]
}

func requestsFor(dataUploads []*v2alpha1.DataUpload) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(dataUploads))
	for _, du := range dataUploads {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(du)})
	}
	return requests
}
