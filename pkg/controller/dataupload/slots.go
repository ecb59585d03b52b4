package dataupload

import (
	"cmp"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// placeInQueue is how many DataUploads are before this one on its node: those that move data, and those that wait for
// longer, first come first served. It may start if the place is below the number of slots.
func placeInQueue(du *v2alpha1.DataUpload, onNode []v2alpha1.DataUpload) int {
	before := 0
	for i := range onNode {
		other := &onNode[i]
		switch {
		case other.UID == du.UID || other.Status.Node != du.Status.Node:
		case holdsSlot(other), other.Status.Phase == prepared && compareAge(other, du) < 0:
			before++
		}
	}
	return before
}

func holdsSlot(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == inProgress || du.Status.Phase == canceling
}

// compareAge orders DataUploads by creation; the name decides between those of one second.
func compareAge(a, b *v2alpha1.DataUpload) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// slots hands out slots one at a time. The slots themselves are facts of the cluster; what is kept here only bridges the
// moment until the cache shows a start that this process has just written.
type slots struct {
	mutex   sync.Mutex
	started map[types.NamespacedName]start
}

// start is one attempt of one DataUpload: neither a later attempt nor a namesake has the slot of an earlier one.
type start struct {
	uid     types.UID
	attempt int
}

func startOf(du *v2alpha1.DataUpload) start {
	return start{uid: du.UID, attempt: attempts.Number(du)}
}

// claim tells how many are before du, and remembers du as started if that is below limit. Who has claimed a slot and
// could not write it keeps the claim: if it had to queue again, it and an older one that came since would wait for each other.
func (q *slots) claim(du *v2alpha1.DataUpload, onNode []v2alpha1.DataUpload, limit int) int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	onNode = slices.Clone(onNode)
	for i := range onNode {
		key := client.ObjectKeyFromObject(&onNode[i])
		if q.started[key] != startOf(&onNode[i]) {
			continue
		}
		if onNode[i].Status.Phase == prepared {
			onNode[i].Status.Phase = inProgress // written, but not in the cache yet
		} else {
			delete(q.started, key)
		}
	}
	key := client.ObjectKeyFromObject(du)
	if q.started[key] == startOf(du) {
		return 0
	}
	place := placeInQueue(du, onNode)
	if place < limit {
		if q.started == nil {
			q.started = map[types.NamespacedName]start{}
		}
		q.started[key] = startOf(du)
	}
	return place
}

// release forgets the start of a DataUpload that is gone.
func (q *slots) release(key types.NamespacedName) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.started, key)
}
