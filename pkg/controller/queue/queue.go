// Package queue lets DataUploads and DataDownloads wait for each other: to be prepared, and for a slot on a node. It says who is
// before whom, from what the caller has read, and remembers only whom it has let through until that shows.
package queue

import (
	"cmp"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// Short names of the phases.
const (
	isNew      = v2alpha1.PhaseNew
	accepted   = v2alpha1.PhaseAccepted
	prepared   = v2alpha1.PhasePrepared
	inProgress = v2alpha1.PhaseInProgress
	canceling  = v2alpha1.PhaseCanceling
)

// Queues are where DataUploads and DataDownloads wait for each other: the one in front of being accepted, and the one in
// front of the slots of each node.
type Queues struct {
	toPrepare, toStart queue
}

// Drop drops what is known of a DataUpload or DataDownload that is gone.
func (q *Queues) Drop(kind string, name types.NamespacedName) {
	q.toPrepare.release(member{kind, name})
	q.toStart.release(member{kind, name})
}

// queue lets DataUploads and DataDownloads pass in their order, a limited number at a time. Who waits and who has passed are
// facts of the cluster; what is kept here only bridges the moment until the cache shows what this process has just written.
type queue struct {
	mutex        sync.Mutex
	reservations map[member]reservation
}

// member is who stands in a queue.
type member struct {
	kind string
	name types.NamespacedName
}

func memberOf(transfer v2alpha1.Transfer) member {
	return member{transfer.TransferKind(), types.NamespacedName{Namespace: transfer.GetNamespace(), Name: transfer.GetName()}}
}

// reservation is for one attempt of one DataUpload or DataDownload: neither a later attempt nor a namesake has that of an earlier
// one.
type reservation struct {
	uid     types.UID
	attempt int
}

func reservationOf(transfer v2alpha1.Transfer) reservation {
	return reservation{uid: transfer.GetUID(), attempt: attempts.Number(transfer)}
}

// gate is what a queue stands in front of: who waits there, and who has passed and still counts against the limit.
type gate struct {
	waits, passed func(v2alpha1.Transfer) bool
}

// reserve tells who is before a transfer. If they are fewer than limit, it passes and is remembered until the cache shows it. Who
// could not write it keeps the reservation: if it had to queue again, it and an older one that came since would wait for each other.
func (q *queue) reserve(g gate, transfer v2alpha1.Transfer, all []v2alpha1.Transfer, limit int) []v2alpha1.Transfer {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.reserved(g, transfer) {
		return nil
	}
	var before []v2alpha1.Transfer
	for _, other := range all {
		switch {
		case other.GetUID() == transfer.GetUID():
		case q.reserved(g, other), g.passed(other), g.waits(other) && compare(other, transfer) < 0:
			before = append(before, other)
		}
	}
	if len(before) < limit {
		if q.reservations == nil {
			q.reservations = map[member]reservation{}
		}
		q.reservations[memberOf(transfer)] = reservationOf(transfer)
	}
	return before
}

// reserved tells whether a transfer has passed although what is known of it does not show that yet.
func (q *queue) reserved(g gate, transfer v2alpha1.Transfer) bool {
	who := memberOf(transfer)
	if held, found := q.reservations[who]; !found || held != reservationOf(transfer) {
		return false
	}
	if !g.waits(transfer) {
		delete(q.reservations, who)
		return false
	}
	return true
}

func (q *queue) release(who member) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.reservations, who)
}

// compare orders by who goes first: DataDownloads, for which an application waits, then by creation; the name decides
// between those of one second.
func compare(a, b v2alpha1.Transfer) int {
	aTime, bTime := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	return cmp.Or(cmp.Compare(urgency(a), urgency(b)), aTime.Compare(bTime.Time), cmp.Compare(a.GetName(), b.GetName()))
}

func urgency(transfer v2alpha1.Transfer) int {
	if transfer.TransferKind() == v2alpha1.KindDataDownload {
		return 0
	}
	return 1
}
