package engine

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/metrics"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// An attempt is one pod. One that is lost, because its node is gone say, says nothing about the data, so another one goes on
// with the same PVC from the start of preparing on, and does not do again what is done already.

// Back-off before another attempt: the first after a loss, doubled with every further one, up to the last.
const (
	minBackOff = 10 * time.Second
	maxBackOff = 5 * time.Minute
)

// Lose gives the attempt up. In one write the loss is recorded and the next attempt is Accepted, so that it is neither
// forgotten nor counted twice; the pod is removed after that.
func (e *Engine) Lose(s *Scope, how moverpod.Loss) error {
	number := attempts.Number(s.Object)
	status := s.Status()
	lost := attempts.Lost{
		Node: status.Node, At: metav1.Time{Time: s.Now}, Reason: how.Words,
		// Before it is InProgress no mover does anything.
		Ended: s.Phase() != inProgress || s.Pod != nil && moverpod.Stopped(s.Pod),
	}
	if s.Pod != nil {
		lost.Pod, lost.Node = s.Pod.UID, s.Pod.Spec.NodeName
	}
	attempts.Record(s.Object, lost)
	s.lost = how.Cause
	if number >= e.MaxAttempts {
		return End(failed, e.Kind.Words.Pod+" failed: "+attempts.History(s.Object))
	}
	if s.Phase() != accepted {
		// The prepare timeout counts anew: the attempt is prepared anew.
		status.Phase = accepted
		status.AcceptedTimestamp = &metav1.Time{Time: s.Now}
		status.Node = ""
		status.Progress = v2alpha1.DataMoveOperationProgress{}
		setLabel(s.Object, v2alpha1.ExposeOnGoingLabel, "true")
	}
	_, s.reason = e.NextAttempt(s.Object)
	record(s.Object, s.reason, e.InAttempt(s, s.reason.Text()))
	return Again()
}

// NextAttempt is when the next attempt may start, and why not before. It is the zero time if none was lost.
func (e *Engine) NextAttempt(transfer v2alpha1.Transfer) (time.Time, waiting.Reason) {
	lost := attempts.LostBy(transfer)
	if len(lost) == 0 {
		return time.Time{}, waiting.Reason{}
	}
	pause := backOff(len(lost))
	from, message := lost[len(lost)-1].At.Add(pause), fmt.Sprintf("starts after a back-off of %s", pause)
	if free := e.freeFrom(transfer); free.After(from) {
		from, message = free, fmt.Sprintf("starts %s after the loss, because its mover may write until then", attempts.LeaseOver)
	}
	return from, waiting.Reason{Code: e.Kind.Words.PodLostCode, Message: message}
}

// freeFrom is when no mover of a lost attempt can write to the volume any more. Those that upload only read it.
func (e *Engine) freeFrom(transfer v2alpha1.Transfer) time.Time {
	if e.Kind.WritesRepository {
		return time.Time{}
	}
	return attempts.FreeFrom(transfer)
}

// backOff is how long to wait after a number of lost attempts.
func backOff(lost int) time.Duration {
	pause := minBackOff
	for range lost - 1 {
		pause = min(2*pause, maxBackOff)
	}
	return pause
}

// InAttempt says which attempt a message is about, and what became of those before.
func (e *Engine) InAttempt(s *Scope, message string) string {
	return attempts.About(s.Object, e.MaxAttempts, message)
}

// announceLoss tells about a lost attempt.
func (e *Engine) announceLoss(s *Scope) {
	metrics.ObserveLostAttempt(e.Kind.Words.Kind, s.lost)
	if s.Phase() == accepted {
		e.announceWait(s)
	}
	s.lost = ""
}
