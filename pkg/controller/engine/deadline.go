package engine

import (
	"fmt"
	"time"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// prepareDeadline is when what is still Accepted is canceled. The time in which a lost mover may still write does not count.
func (e *Engine) prepareDeadline(transfer v2alpha1.Transfer) time.Time {
	begin := acceptedAt(transfer)
	if free := e.freeFrom(transfer); free.After(begin) {
		begin = free
	}
	return begin.Add(e.PrepareTimeout)
}

// late tells whether it is still Accepted at its deadline.
func (s *Scope) late() bool { return s.Phase() == accepted && s.Expired }

// endPreparing ends preparing when the prepare timeout has passed, with the cause that this pass has seen, else the
// last one known. That somebody else has just written is no cause if another one is known.
func (e *Engine) endPreparing(s *Scope, wait *waitError, err error) {
	cause := s.Status().Message
	switch {
	case err != nil && (cause == "" || !isOutdated(err)):
		cause = e.InAttempt(s, err.Error())
	case wait != nil && wait.reason.Message != "":
		cause = e.InAttempt(s, wait.reason.Text())
	case cause == "":
		cause = e.InAttempt(s, "")
	}
	s.end(e.tooLate(cause))
}

// NotMade ends preparing where the next thing would be to make an object: the last cause known says more than what comes
// after it.
func (e *Engine) NotMade(s *Scope, format string, args ...any) error {
	cause := s.Status().Message
	if cause == "" {
		cause = e.InAttempt(s, fmt.Sprintf(format, args...))
	}
	return e.tooLate(cause)
}

// tooLate is the end of what is still Accepted at its deadline.
//
// Documented in Velero under "CSI Snapshot Data Movement": canceled, although Velero's own code sets Failed.
func (e *Engine) tooLate(cause string) *endError {
	return &endError{
		phase: canceled, message: fmt.Sprintf("not prepared within the prepare timeout of %s: %s", e.PrepareTimeout, cause),
	}
}
