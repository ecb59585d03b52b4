package mover

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

// endingError is why a move ended before its upload did. As the cause of a context it is told apart from a signal, which ends
// the context from outside.
type endingError struct {
	error
}

// cancellation is the ending of a move that its DataUpload no longer wants.
func cancellation(reason string) *endingError {
	return &endingError{fmt.Errorf("%s: %s", reason, result.CanceledSuffix)}
}

// interruption is the ending of a move that the node stops, as for an eviction.
func interruption(name string) *endingError {
	return &endingError{fmt.Errorf("upload of DataUpload %s was %s", name, result.InterruptedSuffix)}
}

// stopReason returns why the move of the DataUpload of this UID must stop or not begin, and "" if it may go on. du is the
// DataUpload as it is now, nil if there is none.
func stopReason(name string, uid types.UID, du *v2alpha1.DataUpload) string {
	switch {
	case du == nil || du.UID != uid:
		return fmt.Sprintf("DataUpload %s is gone", name)
	case du.Status.Phase.IsTerminal():
		return fmt.Sprintf("DataUpload %s is %s already", name, du.Status.Phase)
	case du.DeletionTimestamp != nil:
		return fmt.Sprintf("DataUpload %s is being deleted", name)
	case du.Spec.Cancel, du.Status.Phase == v2alpha1.DataUploadPhaseCanceling:
		return fmt.Sprintf("DataUpload %s was asked to cancel", name)
	default:
		return ""
	}
}
