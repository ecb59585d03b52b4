package dataupload

import (
	"fmt"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/metrics"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/notice"
)

// emptyVolume is Velero's message for a volume without data, documented by its code only.
const emptyVolume = "volume was empty so no data was upload"

// succeed takes the result of the backup pod over.
func (r *Reconciler) succeed(s *engine.Scope, terminationMessage string) error {
	moved, err := result.Parse(terminationMessage)
	if err != nil {
		return engine.Failf("backup pod succeeded, but left no usable result: %v", err)
	}
	s.Notices = moved.Notices
	message := notice.Text(s.Notices)
	if moved.EmptySnapshot {
		message = emptyVolume
	}
	du := s.Object.(*v2alpha1.DataUpload)
	du.Status.Path = expose.VolumePath(du)
	du.Status.SnapshotID = moved.SnapshotID
	du.Status.IncrementalBytes = moved.IncrementalBytes
	du.Status.Progress = v2alpha1.DataMoveOperationProgress{TotalBytes: moved.TotalBytes, BytesDone: moved.TotalBytes}
	return engine.End(v2alpha1.PhaseCompleted, r.InAttempt(s, message))
}

// completed tells about a success.
func completed(s *engine.Scope) string {
	status := s.Object.(*v2alpha1.DataUpload).Status
	s.Log.WithField("phase", status.Phase).WithField("snapshotID", status.SnapshotID).Info("completed")
	metrics.ObserveIncremental(status.IncrementalBytes)
	return fmt.Sprintf("snapshot %s: %d bytes, %d of them new or changed",
		status.SnapshotID, status.Progress.TotalBytes, status.IncrementalBytes)
}
