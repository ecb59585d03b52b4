package mover

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
)

// endingError is why a move ended before its upload did. It is the cause of the end of a context.
type endingError struct {
	error

	// retryable says that another attempt may come further.
	retryable bool
	// discard says that nobody wants what was uploaded, and that no attempt but this one can have been successful.
	discard bool
}

// Unwrap returns what the error was made of.
func (e *endingError) Unwrap() error { return e.error }

// interruption is the ending of a move that the node stops, as for an eviction.
func interruption(name string) *endingError {
	return &endingError{error: fmt.Errorf("upload of DataUpload %s was %w by SIGTERM", name, repository.ErrInterrupted), retryable: true}
}

// claim is what a mover works on: one attempt at one DataUpload, which is the first one of that name that it sees.
type claim struct {
	name    string
	attempt int

	mutex sync.Mutex
	uid   types.UID
}

// ending returns why the move must stop or not begin, and nil if it may go on. du is the DataUpload as it is now, nil if
// there is none.
func (c *claim) ending(du *v2alpha1.DataUpload) *endingError {
	switch {
	case !c.is(du):
		// Whatever was made of it is none of ours any more.
		return canceled("DataUpload %s is gone", c.name)
	case attempts.Number(du) > c.attempt:
		// Another mover goes on with what this one has uploaded.
		return &endingError{
			error:     fmt.Errorf("attempt %d at DataUpload %s was given up, it is at attempt %d", c.attempt, c.name, attempts.Number(du)),
			retryable: true,
		}
	case du.Status.Phase == v2alpha1.DataUploadPhaseCompleted:
		return canceled("DataUpload %s is %s already", c.name, du.Status.Phase)
	}
	var unwanted *endingError
	switch {
	case du.Status.Phase.IsTerminal():
		unwanted = canceled("DataUpload %s is %s already", c.name, du.Status.Phase)
	case du.DeletionTimestamp != nil:
		unwanted = canceled("DataUpload %s is being deleted", c.name)
	case du.Spec.Cancel, du.Status.Phase == v2alpha1.DataUploadPhaseCanceling:
		unwanted = canceled("DataUpload %s was asked to cancel", c.name)
	default:
		return nil
	}
	unwanted.discard = true
	return unwanted
}

// is tells whether du is the DataUpload that is claimed.
func (c *claim) is(du *v2alpha1.DataUpload) bool {
	if du == nil {
		return false
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.uid == "" {
		c.uid = du.UID
	}
	return c.uid == du.UID
}

// begins tells whether the turn of the attempt has come.
func (c *claim) begins(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == v2alpha1.DataUploadPhaseInProgress && attempts.Number(du) == c.attempt
}

// canceled is the ending of a move that its DataUpload no longer wants.
func canceled(format string, args ...any) *endingError {
	return &endingError{error: fmt.Errorf(format+": "+result.CanceledSuffix, args...)}
}
