package transfer

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// Queues are where DataUploads and DataDownloads wait for each other: the one in front of being accepted, and the one in
// front of the slots of each node.
type Queues struct {
	toPrepare, toStart queue
}

// forget drops what is known of a DataUpload or DataDownload that is gone.
func (q *Queues) forget(kind string, name types.NamespacedName) {
	q.toPrepare.release(place{kind, name})
	q.toStart.release(place{kind, name})
}

// queue lets DataUploads and DataDownloads pass in their order, a limited number at a time. Who waits and who has passed are
// facts of the cluster; what is kept here only bridges the moment until the cache shows what this process has just written.
type queue struct {
	mutex  sync.Mutex
	claims map[place]claim
}

// place is whose claim it is.
type place struct {
	kind string
	name types.NamespacedName
}

func placeOf(move v2alpha1.Transfer) place {
	return place{move.TransferKind(), client.ObjectKeyFromObject(move)}
}

// claim is one attempt of one DataUpload or DataDownload: neither a later attempt nor a namesake has the place of an earlier
// one.
type claim struct {
	uid     types.UID
	attempt int
}

func claimOf(move v2alpha1.Transfer) claim {
	return claim{uid: move.GetUID(), attempt: attempts.Number(move)}
}

// line tells of a queue who stands in it, and who has passed it and still counts against the limit.
type line struct {
	waits, passed func(v2alpha1.Transfer) bool
}

// claim tells who is before move. If they are fewer than limit, move passes and is remembered until the cache shows it. Who
// could not write it keeps the claim: if it had to queue again, it and an older one that came since would wait for each other.
func (q *queue) claim(l line, move v2alpha1.Transfer, all []v2alpha1.Transfer, limit int) []v2alpha1.Transfer {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.claimed(l, move) {
		return nil
	}
	var before []v2alpha1.Transfer
	for _, other := range all {
		switch {
		case other.GetUID() == move.GetUID():
		case q.claimed(l, other), l.passed(other), l.waits(other) && compare(other, move) < 0:
			before = append(before, other)
		}
	}
	if len(before) < limit {
		if q.claims == nil {
			q.claims = map[place]claim{}
		}
		q.claims[placeOf(move)] = claimOf(move)
	}
	return before
}

// claimed tells whether move has passed although what is known of it does not show that yet.
func (q *queue) claimed(l line, move v2alpha1.Transfer) bool {
	key := placeOf(move)
	if held, found := q.claims[key]; !found || held != claimOf(move) {
		return false
	}
	if !l.waits(move) {
		delete(q.claims, key)
		return false
	}
	return true
}

func (q *queue) release(key place) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.claims, key)
}

// compare orders by who goes first: DataDownloads, for which an application waits, then by creation; the name decides
// between those of one second.
func compare(a, b v2alpha1.Transfer) int {
	aTime, bTime := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	return cmp.Or(cmp.Compare(urgency(a), urgency(b)), aTime.Compare(bTime.Time), cmp.Compare(a.GetName(), b.GetName()))
}

func urgency(move v2alpha1.Transfer) int {
	if move.TransferKind() == v2alpha1.KindDataDownload {
		return 0
	}
	return 1
}

// moves lists DataUploads and DataDownloads from the cache, by one of its indexes. They must not be changed: with a thousand of
// them waiting, copies would be the greater part of the work.
func (e *Engine) moves(ctx context.Context, index client.MatchingFields) ([]v2alpha1.Transfer, error) {
	uploads, downloads := &v2alpha1.DataUploadList{}, &v2alpha1.DataDownloadList{}
	for _, list := range []client.ObjectList{uploads, downloads} {
		if err := e.Client.List(ctx, list, client.InNamespace(e.Namespace), index, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing dataUploads and dataDownloads: %w", err)
		}
	}
	return allMoves(uploads, downloads), nil
}

func allMoves(uploads *v2alpha1.DataUploadList, downloads *v2alpha1.DataDownloadList) []v2alpha1.Transfer {
	moves := make([]v2alpha1.Transfer, 0, len(uploads.Items)+len(downloads.Items))
	for i := range uploads.Items {
		moves = append(moves, &uploads.Items[i])
	}
	for i := range downloads.Items {
		moves = append(moves, &downloads.Items[i])
	}
	return moves
}
