package dataupload

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/metrics"
)

// Actions of Events, in the form that events.k8s.io asks for.
const (
	actionPrepare = "Prepare"
	actionMove    = "MoveData"
	actionCleanUp = "CleanUp"
)

// announce tells about what was just written: Events for the user at the DataUpload, metrics, one log line a phase.
func (r *Reconciler) announce(s *scope, before *v2alpha1.DataUpload) {
	status := &s.du.Status
	if s.lost != "" {
		r.announceLoss(s)
		if status.Phase == accepted {
			return
		}
	}
	if status.Phase == before.Status.Phase {
		if s.reason.Code != "" {
			r.announceWait(s)
		}
		return
	}
	log := s.log.WithField("phase", status.Phase)
	switch status.Phase {
	case accepted:
		if before.Status.Phase == "" || before.Status.Phase == isNew {
			r.Events.Eventf(s.du, nil, corev1.EventTypeNormal, "Accepted", actionPrepare, "%s", truncate(s.config.Summary()))
		}
		log.WithField("configuration", s.config.Source).Info("accepted")
	case prepared:
		log.WithField("node", status.Node).Info("backup pod is ready")
		metrics.ObservePrepared(s.now.Sub(acceptedAt(s.du)))
	case inProgress:
		r.Events.Eventf(s.du, s.pod, corev1.EventTypeNormal, "Started", actionMove, "moving data on node %s", status.Node)
		log.WithField("node", status.Node).Info("moving data")
	case canceling:
		log.Info("stopping the backup pod")
	case completed, canceled, failed:
		r.announceEnd(s)
	case isNew:
	}
}

func (r *Reconciler) announceEnd(s *scope) {
	status := &s.du.Status
	log := s.log.WithField("phase", status.Phase)
	kind, note := corev1.EventTypeWarning, status.Message
	if status.Phase == completed {
		kind, note = corev1.EventTypeNormal, completedNote(status)
		log.WithField("snapshotID", status.SnapshotID).Info("completed")
	} else {
		log.WithField("reason", status.Message).Warn("not completed")
	}
	r.Events.Eventf(s.du, nil, kind, string(status.Phase), actionMove, "%s", note)
	metrics.ObserveEnded(nodeOf(s.du), string(status.Phase), movedFor(s.du), status.Progress.BytesDone, status.IncrementalBytes)
}

// announceWait tells that the cause of waiting has changed. A healthy wait is not a warning.
func (r *Reconciler) announceWait(s *scope) {
	kind := corev1.EventTypeWarning
	if s.reason.Expected {
		kind = corev1.EventTypeNormal
	}
	r.Events.Eventf(s.du, nil, kind, s.reason.Code, actionPrepare, "%s", s.du.Status.Message)
	s.log.WithField("reason", s.reason.Code).Info("waiting: " + s.du.Status.Message)
}

// warn tells the user about something that is not as configured but does not stop the DataUpload.
func (r *Reconciler) warn(s *scope, code, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	r.Events.Eventf(s.du, nil, corev1.EventTypeWarning, code, actionPrepare, "%s", message)
	s.log.WithField("reason", code).Warn(message)
}

func completedNote(status *v2alpha1.DataUploadStatus) string {
	return fmt.Sprintf("snapshot %s: %d bytes, %d of them new or changed",
		status.SnapshotID, status.Progress.TotalBytes, status.IncrementalBytes)
}

func acceptedAt(du *v2alpha1.DataUpload) time.Time {
	if du.Status.AcceptedTimestamp == nil {
		return du.CreationTimestamp.Time
	}
	return du.Status.AcceptedTimestamp.Time
}

func movedFor(du *v2alpha1.DataUpload) time.Duration {
	return du.Status.CompletionTimestamp.Sub(du.Status.StartTimestamp.Time)
}

// nodeOf is the node that a DataUpload ran on, or would have been run from.
func nodeOf(du *v2alpha1.DataUpload) string {
	if du.Status.Node != "" {
		return du.Status.Node
	}
	return du.Status.AcceptedByNode
}
