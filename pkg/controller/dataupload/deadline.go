package dataupload

import (
	"fmt"
	"time"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// prepareDeadline is when a DataUpload that is still Accepted is canceled.
func (r *Reconciler) prepareDeadline(du *v2alpha1.DataUpload) time.Time {
	return acceptedAt(du).Add(r.PrepareTimeout)
}

// endPreparing cancels a DataUpload whose prepare timeout has passed, with the cause that this pass has seen, else the
// last one known.
//
// Documented in Velero under "CSI Snapshot Data Movement": canceled, although Velero's own code sets Failed.
func (r *Reconciler) endPreparing(s *scope, end outcome, err error) {
	cause := s.du.Status.Message
	switch {
	case err != nil:
		cause = r.inAttempt(s.du, err.Error())
	case cause == "", end.reason.Message != "" && end.reason.Code != notMade:
		cause = r.inAttempt(s.du, end.reason.Text())
	}
	s.end(canceled, fmt.Sprintf("not prepared within the prepare timeout of %s: %s", r.PrepareTimeout, cause))
}
