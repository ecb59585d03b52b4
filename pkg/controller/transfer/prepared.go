package transfer

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// AwaitPrepared ends preparing when the pod runs, which it cannot before its PVC is bound and mounted.
func (e Steps) AwaitPrepared(ctx context.Context, s *engine.Scope) error {
	switch {
	case moverpod.Ended(s.Pod):
		return e.takeResult(s)
	case s.Pod.Status.Phase == corev1.PodRunning && IsBound(s.PVC):
		s.Status().Phase = prepared
		s.Status().Node = s.Pod.Spec.NodeName
		s.Status().Message = e.InAttempt(s, "")
		// It starts in another pass, when the cache shows it: who is not seen to wait on the node is not seen to have a slot there.
		return engine.Wait(waiting.Reason{})
	}
	exposed, err := e.exposed(ctx, s, e.Kind.Words, s.PVC)
	if err != nil {
		return err
	}
	if exposed.Events, err = e.EventsAbout(ctx, s.PVC, s.Pod); err != nil {
		return err
	}
	return engine.Wait(waiting.Explain(exposed))
}
