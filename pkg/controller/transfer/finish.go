package transfer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Finish waits for the pod to end and takes over its result.
func (e Steps) Finish(ctx context.Context, s *engine.Scope) error {
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
		return e.Lose(s, how)
	case IsDeleting(s.Pod):
		return e.awaitStop(ctx, s)
	}
	reason, err := e.silentNode(ctx, s)
	if err != nil {
		return err
	}
	if reason.Message == "" {
		e.GoOn(s) // the node is back
	}
	return engine.Wait(reason)
}

// missPod gives the attempt up if the pod is gone for sure. The cache may be behind, and data of an attempt that is
// given up for a pod that lives would be moved twice.
func (e Steps) missPod(ctx context.Context, s *engine.Scope) error {
	pod, err := engine.Owned(ctx, e.Live, s.Object, &corev1.Pod{})
	switch {
	case err != nil:
		return err
	case pod != nil:
		return engine.WaitFor(engine.Retry, waiting.Reason{})
	default:
		return e.Lose(s, moverpod.Gone(e.Kind.Words.Pod))
	}
}

// awaitStop waits for a pod that somebody else deletes: it may still be done before it stops.
func (e Steps) awaitStop(ctx context.Context, s *engine.Scope) error {
	after, err := e.forceStuckPod(ctx, s, s.Pod)
	if err != nil {
		return err
	}
	return engine.WaitFor(after, waiting.Reason{
		Code: e.Kind.Words.PodLostCode, Message: fmt.Sprintf("%s on node %s is being deleted", e.Kind.Words.Pod, s.Pod.Spec.NodeName),
	})
}

// takeResult ends the DataUpload or DataDownload, or this attempt at it, as the pod has ended.
func (e Steps) takeResult(s *engine.Scope) error {
	switch how := moverpod.LossOf(s.Pod); {
	case moverpod.Succeeded(s.Pod):
		return e.Kind.Succeed(s, moverpod.Message(s.Pod))
	case s.Phase() == canceling:
		return engine.End(canceled, s.Status().Message)
	case how != moverpod.Loss{}:
		return e.Lose(s, how)
	default:
		failure := moverpod.Failure(s.Pod)
		if hint := e.Kind.FailureHint(s, failure); hint != "" {
			failure += "; " + hint
		}
		return engine.Failf("%s", e.InAttempt(s, e.Kind.Words.Pod+" failed: "+failure))
	}
}
