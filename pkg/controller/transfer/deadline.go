package transfer

import (
	"fmt"
	"time"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// prepareDeadline is when what is still Accepted is canceled.
func (e *Engine) prepareDeadline(move v2alpha1.Transfer) time.Time {
	return acceptedAt(move).Add(e.PrepareTimeout)
}

// endPreparing ends preparing when the prepare timeout has passed, with the cause that this pass has seen, else the
// last one known.
//
// Documented in Velero under "CSI Snapshot Data Movement": canceled, although Velero's own code sets Failed.
func (e *Engine) endPreparing(s *Scope, end Outcome, err error) {
	cause := s.Status().Message
	switch {
	case err != nil:
		cause = e.inAttempt(s.Object, err.Error())
	case cause == "", end.Reason.Message != "" && end.Reason.Code != NotMade:
		cause = e.inAttempt(s.Object, end.Reason.Text())
	}
	s.End(canceled, fmt.Sprintf("not prepared within the prepare timeout of %s: %s", e.PrepareTimeout, cause))
}
