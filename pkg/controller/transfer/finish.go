package transfer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Finish waits for the pod to end and takes over its result.
func (e *Engine) Finish(ctx context.Context, s *Scope) error {
	if s.Pod == nil {
		return e.missPod(ctx, s)
	}
	if moverpod.Ended(s.Pod) {
		return e.takeResult(s)
	}
	how, err := e.lostWithNode(ctx, s)
	switch {
	case err != nil:
		return err
	case how != moverpod.Loss{}:
		return e.lose(s, how)
	case IsDeleting(s.Pod):
		return e.awaitStop(ctx, s)
	}
	reason, err := e.silentNode(ctx, s)
	if err != nil {
		return err
	}
	if reason.Message == "" {
		s.Status().Message = e.inAttempt(s.Object, "") // the node is back
		delete(s.Object.GetAnnotations(), waitingForAnnotation)
	}
	return Wait(reason)
}

// missPod gives the attempt up if the pod is gone for sure. The cache may be behind, and data of an attempt that is
// given up for a pod that lives would be moved twice.
func (e *Engine) missPod(ctx context.Context, s *Scope) error {
	pod, err := Owned(ctx, e.Live, s.Object, &corev1.Pod{})
	switch {
	case err != nil:
		return err
	case pod != nil:
		return WaitFor(retry, waiting.Reason{})
	default:
		return e.lose(s, moverpod.Gone(e.kind.Words.Pod))
	}
}

// awaitStop waits for a pod that somebody else deletes: it may still be done before it stops.
func (e *Engine) awaitStop(ctx context.Context, s *Scope) error {
	after, err := e.forceStuckPod(ctx, s, s.Pod)
	if err != nil {
		return err
	}
	return WaitFor(after, waiting.Reason{
		Code: e.kind.Words.PodLostCode, Message: fmt.Sprintf("%s on node %s is being deleted", e.kind.Words.Pod, s.Pod.Spec.NodeName),
	})
}

// takeResult ends the DataUpload or DataDownload, or this attempt at it, as the pod has ended.
func (e *Engine) takeResult(s *Scope) error {
	switch how := moverpod.LossOf(s.Pod); {
	case moverpod.Succeeded(s.Pod):
		return e.kind.Succeed(s, moverpod.Message(s.Pod))
	case s.Phase() == canceling:
		return End(canceled, s.Status().Message)
	case how != moverpod.Loss{}:
		return e.lose(s, how)
	default:
		failure := moverpod.Failure(s.Pod)
		if hint := e.kind.FailureHint(s, failure); hint != "" {
			failure += "; " + hint
		}
		return Failf("%s", e.inAttempt(s.Object, e.kind.Words.Pod+" failed: "+failure))
	}
}

// InAttempt says which attempt a message is about, and what became of those before.
func (e *Engine) InAttempt(s *Scope, message string) string { return e.inAttempt(s.Object, message) }
