package dataupload

import (
	"cmp"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// queue lets DataUploads pass in the order of their age, a limited number at a time. Who waits and who has passed are facts
// of the cluster; what is kept here only bridges the moment until the cache shows what this process has just written.
type queue struct {
	mutex  sync.Mutex
	claims map[types.NamespacedName]claim
}

// claim is one attempt of one DataUpload: neither a later attempt nor a namesake has the place of an earlier one.
type claim struct {
	uid     types.UID
	attempt int
}

func claimOf(du *v2alpha1.DataUpload) claim {
	return claim{uid: du.UID, attempt: attempts.Number(du)}
}

// line tells of a queue who stands in it, and who has passed it and still counts against the limit.
type line struct {
	waits, passed func(*v2alpha1.DataUpload) bool
}

// claim tells how many are before du. If that is below limit, du passes and is remembered until the cache shows it. Who could
// not write it keeps the claim: if it had to queue again, it and an older one that came since would wait for each other.
func (q *queue) claim(l line, du *v2alpha1.DataUpload, all []v2alpha1.DataUpload, limit int) int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.claimed(l, du) {
		return 0
	}
	before := 0
	for i := range all {
		other := &all[i]
		switch {
		case other.UID == du.UID:
		case q.claimed(l, other), l.passed(other), l.waits(other) && compareAge(other, du) < 0:
			before++
		}
	}
	if before < limit {
		if q.claims == nil {
			q.claims = map[types.NamespacedName]claim{}
		}
		q.claims[client.ObjectKeyFromObject(du)] = claimOf(du)
	}
	return before
}

// claimed tells whether du has passed although what is known of it does not show that yet.
func (q *queue) claimed(l line, du *v2alpha1.DataUpload) bool {
	key := client.ObjectKeyFromObject(du)
	if held, found := q.claims[key]; !found || held != claimOf(du) {
		return false
	}
	if !l.waits(du) {
		delete(q.claims, key)
		return false
	}
	return true
}

// release forgets a DataUpload that is gone.
func (q *queue) release(key types.NamespacedName) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	delete(q.claims, key)
}

// compareAge orders DataUploads by creation; the name decides between those of one second.
func compareAge(a, b *v2alpha1.DataUpload) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}
