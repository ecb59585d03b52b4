package attempts

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A mover has a lease on what it moves: it goes on only as long as the API server tells it that its attempt is the one that
// counts. One that is cut off is not told that it was given up, and two that write into one volume at the same time would leave
// neither's data. So it ends by itself, and whoever lets the volume be written by another, or be used, waits until it has.
const (
	// Lease is how long at most a mover writes after it has asked for the last time whether its attempt still counts, and got the
	// answer that it does. It is measured by the mover's own clock, which nobody sets.
	Lease = 2 * time.Minute

	// LeaseOver is how long after an attempt was lost nothing of its mover can reach the volume any more.
	LeaseOver = Lease + clockSkew + writeBack

	// clockSkew is how far two clocks of a cluster may be apart: one agent writes down a time, and another reads it.
	clockSkew = time.Minute
	// writeBack is how long a node may take to send on what was written: Linux begins with it after 30 seconds.
	writeBack = time.Minute
)

// FreeFrom is when no mover of a lost attempt can write any more, whatever became of it. It is the zero time if all have ended
// for certain.
func FreeFrom(obj metav1.Object) time.Time {
	var last time.Time
	for _, lost := range LostBy(obj) {
		if over := lost.At.Add(LeaseOver); !lost.Ended && over.After(last) {
			last = over
		}
	}
	return last
}
