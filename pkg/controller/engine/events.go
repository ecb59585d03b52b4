package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/metrics"
	"github.com/node-agent/node-agent/pkg/text"
)

// Actions of Events, in the form that events.k8s.io asks for.
const (
	actionPrepare = "Prepare"
	actionMove    = "MoveData"
)

// announce tells about what was just written: Events for the user, metrics, one log line a phase.
func (e *Engine) announce(ctx context.Context, s *Scope, before v2alpha1.Transfer) {
	status := s.Status()
	if s.lost != "" {
		e.announceLoss(s)
		if status.Phase == accepted {
			return
		}
	}
	if status.Phase == before.TransferStatus().Phase {
		if s.reason.Code != "" {
			e.announceWait(s)
		}
		return
	}
	log := s.Log.WithField("phase", status.Phase)
	switch status.Phase {
	case accepted:
		if before.TransferStatus().Phase == "" || before.TransferStatus().Phase == isNew {
			e.Events.Eventf(s.Object, nil, corev1.EventTypeNormal, "Accepted", actionPrepare, "%s", text.Shorten(s.Configured, maxMessage))
			e.announceLocation(ctx, s)
		}
		log.WithField("configuration", s.ConfiguredBy).Info("accepted")
	case prepared:
		log.WithField("node", status.Node).Info(e.Kind.Words.Pod + " is ready")
		metrics.ObservePrepared(e.Kind.Words.Kind, s.Now.Sub(acceptedAt(s.Object)))
	case inProgress:
		e.Events.Eventf(s.Object, s.Pod, corev1.EventTypeNormal, "Started", actionMove, "moving data on node %s", status.Node)
		log.WithField("node", status.Node).Info("moving data")
	case canceling:
		log.Info("stopping the " + e.Kind.Words.Pod)
	case completed, canceled, failed:
		e.announceEnd(s)
	case isNew:
	}
}

func (e *Engine) announceEnd(s *Scope) {
	status := s.Status()
	metrics.ObserveEnded(e.Kind.Words.Kind, nodeOf(status), string(status.Phase), movedFor(status), status.Progress.BytesDone)
	if status.Phase == completed {
		e.Events.Eventf(s.Object, nil, corev1.EventTypeNormal, string(status.Phase), actionMove, "%s", e.Kind.Completed(s))
		for _, n := range s.Notices {
			metrics.ObserveNotice(e.Kind.Words.Kind, n)
			e.Events.Eventf(s.Object, nil, corev1.EventTypeWarning, n.Label(), actionMove, "%s", n)
		}
		return
	}
	e.Events.Eventf(s.Object, nil, corev1.EventTypeWarning, string(status.Phase), actionMove, "%s", status.Message)
	s.Log.WithFields(logrus.Fields{"phase": status.Phase, "reason": status.Message}).Warn("not completed")
}

// announceWait tells that the cause of waiting has changed. A healthy wait is not a warning.
func (e *Engine) announceWait(s *Scope) {
	kind := corev1.EventTypeWarning
	if s.reason.Expected {
		kind = corev1.EventTypeNormal
	}
	e.Events.Eventf(s.Object, nil, kind, s.reason.Code, actionPrepare, "%s", s.Status().Message)
	s.Log.WithField("reason", s.reason.Code).Info("waiting: " + s.Status().Message)
}

// Warn tells the user about something that is not as configured but stops nothing.
func (e *Engine) Warn(s *Scope, code, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	e.Events.Eventf(s.Object, nil, corev1.EventTypeWarning, code, actionPrepare, "%s", message)
	s.Log.WithField("reason", code).Warn(message)
}

func acceptedAt(transfer v2alpha1.Transfer) time.Time {
	if at := transfer.TransferStatus().AcceptedTimestamp; at != nil {
		return at.Time
	}
	return transfer.GetCreationTimestamp().Time
}

func movedFor(status *v2alpha1.TransferStatus) time.Duration {
	return status.CompletionTimestamp.Sub(status.StartTimestamp.Time)
}

// nodeOf is the node that data moved on, or that of the agent which accepted the move.
func nodeOf(status *v2alpha1.TransferStatus) string {
	if status.Node != "" {
		return status.Node
	}
	return status.AcceptedByNode
}
