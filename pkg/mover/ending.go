package mover

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// endingError is why a move ended before its data was moved. It is the cause of the end of a context.
type endingError struct {
	error

	// retryable says that another attempt may come further.
	retryable bool
	// discard says that nobody wants what was moved, and that no attempt but this one can have been successful.
	discard bool
}

// Unwrap returns what the error was made of.
func (e *endingError) Unwrap() error { return e.error }

// assignment is what a mover works on: one attempt at one object, which is the first one of that name that it sees.
type assignment struct {
	kind    kind
	name    string
	attempt int

	mutex sync.Mutex
	uid   types.UID
}

func (a *assignment) String() string { return a.kind.name + " " + a.name }

// interruption is the ending of a move that the node stops, as for an eviction.
func (a *assignment) interruption() *endingError {
	return &endingError{error: fmt.Errorf("%s of %s was %w by SIGTERM", a.kind.verb, a, failure.ErrInterrupted), retryable: true}
}

// unheard is the ending of a move that has got no answer of the API server for too long. What was moved is kept for another attempt.
func (a *assignment) unheard() *endingError {
	return &endingError{
		error: fmt.Errorf("%s of %s was %w: the API server has not answered for %s, and another attempt may begin",
			a.kind.verb, a, failure.ErrInterrupted, stopAfter),
		retryable: true,
	}
}

// unknown is the ending of a move whose pod the API server no longer knows: its token ends with the pod.
func (a *assignment) unknown(err error) *endingError {
	return &endingError{
		error: fmt.Errorf("%s of %s was %w, because the API server no longer knows its pod: %w",
			a.kind.verb, a, failure.ErrInterrupted, err),
		retryable: true,
	}
}

// ending returns why the move must stop or not begin, and nil if it may go on. now is the object as it is now, nil if
// there is none.
func (a *assignment) ending(now v2alpha1.Transfer) *endingError {
	switch {
	case !a.is(now):
		// Whatever was made of it is none of ours any more.
		return canceled("%s is gone", a)
	case attempts.Number(now) > a.attempt:
		// Another mover goes on with what this one has moved.
		return &endingError{
			error:     fmt.Errorf("attempt %d at %s was given up, it is at attempt %d", a.attempt, a, attempts.Number(now)),
			retryable: true,
		}
	case now.TransferStatus().Phase == v2alpha1.PhaseCompleted:
		return canceled("%s is %s already", a, now.TransferStatus().Phase)
	}
	var unwanted *endingError
	switch {
	case now.TransferStatus().Phase.IsTerminal():
		unwanted = canceled("%s is %s already", a, now.TransferStatus().Phase)
	case now.GetDeletionTimestamp() != nil:
		unwanted = canceled("%s is being deleted", a)
	case now.TransferSpec().Cancel, now.TransferStatus().Phase == v2alpha1.PhaseCanceling:
		unwanted = canceled("%s was asked to cancel", a)
	default:
		return nil
	}
	unwanted.discard = true
	return unwanted
}

// is tells whether now is the object that is assigned.
func (a *assignment) is(now v2alpha1.Transfer) bool {
	if now == nil {
		return false
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.uid == "" {
		a.uid = now.GetUID()
	}
	return a.uid == now.GetUID()
}

// begins tells whether the turn of the attempt has come.
func (a *assignment) begins(now v2alpha1.Transfer) bool {
	return now.TransferStatus().Phase == v2alpha1.PhaseInProgress && attempts.Number(now) == a.attempt
}

// canceled is the ending of a move that its object no longer wants.
func canceled(format string, args ...any) *endingError {
	return &endingError{error: fmt.Errorf(format+": "+result.CanceledSuffix, args...)}
}
