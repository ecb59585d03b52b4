package agent

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

// vacancy is how long a lease may go without being renewed before it counts as nobody's. After a crash of the leader
// another one has taken over by then.
const vacancy = healthGrace

// watchedLock is the lock of the election, which remembers what the election got to see. So it costs no request to know
// whether anybody can lead.
type watchedLock struct {
	resourcelock.Interface

	clock clock.PassiveClock
	mutex sync.Mutex
	// raw is the lease as last read, renewed when it was last seen to change.
	raw     []byte
	renewed time.Time
	// failure is what the API server said to the last try; nil if it was fine, or says nothing about other agents.
	failure *leaseError
}

// leaseError is why this agent cannot lead.
type leaseError struct {
	error
	// unread is set when the lease cannot even be read: another agent may still be renewing it.
	unread bool
}

func newWatchedLock(lock resourcelock.Interface, clock clock.PassiveClock) *watchedLock {
	return &watchedLock{Interface: lock, clock: clock, renewed: clock.Now()}
}

// Get reads the lease.
func (w *watchedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := w.Interface.Get(ctx)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.failure = nil
	switch {
	case err == nil && !bytes.Equal(raw, w.raw):
		w.raw, w.renewed = raw, w.clock.Now()
	case err != nil && !apierrors.IsNotFound(err) && concernsAll(err):
		w.failure = &leaseError{error: err, unread: true}
	}
	return record, raw, err
}

// Create makes the lease.
func (w *watchedLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return w.written(w.Interface.Create(ctx, record))
}

// Update takes or renews the lease.
func (w *watchedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return w.written(w.Interface.Update(ctx, record))
}

func (w *watchedLock) written(err error) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.failure = nil
	switch {
	case err == nil, apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		w.renewed = w.clock.Now() // by this agent or another
	case concernsAll(err):
		w.failure = &leaseError{error: err}
	}
	return err
}

// vacant is why nobody can lead; nil while somebody does, or soon may.
func (w *watchedLock) vacant() *leaseError {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.clock.Since(w.renewed) < vacancy {
		return nil
	}
	return w.failure
}

// concernsAll tells whether other agents, which have the same rights, would get the same answer. Trouble that passes, or
// that this agent alone may have, such as no connection, does not count.
func concernsAll(err error) bool {
	if _, answered := errors.AsType[*apierrors.StatusError](err); !answered {
		return false
	}
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonTooManyRequests, metav1.StatusReasonServiceUnavailable,
		metav1.StatusReasonTimeout, metav1.StatusReasonServerTimeout:
		return false
	default:
		return true
	}
}
