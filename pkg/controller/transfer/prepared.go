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
	if s.PVC.Status.Phase == corev1.ClaimBound {
		// From now on the volume goes with the PVC, also if garbage collection removes that behind our back.
		if _, err := e.adoptVolume(ctx, s); err != nil {
			return err
		}
	}
	switch {
	case moverpod.Ended(s.Pod):
		return e.takeResult(s)
	case s.Pod.Status.Phase == corev1.PodRunning && s.PVC.Status.Phase == corev1.ClaimBound:
		s.Status().Phase = prepared
		s.Status().Node = s.Pod.Spec.NodeName
		s.Status().Message = e.InAttempt(s, "")
		// It starts in another pass, when the cache shows it: who is not seen to wait on the node is not seen to have a slot there.
		return engine.Wait(waiting.Reason{})
	}
	exposed := waiting.Exposed{Words: e.Kind.Words, PVC: s.PVC, Pod: s.Pod, Class: s.Class}
	if name := s.PVC.Spec.StorageClassName; name != nil {
		class, err := e.StorageClass(ctx, *name)
		if err != nil {
			return err
		}
		exposed.StorageClassFound = class != nil
		if class != nil {
			exposed.Provisioner = class.Provisioner
		}
		exposed.DelayedBinding = class != nil && DelaysBinding(class)
	}
	var err error
	if exposed.Events, err = e.EventsAbout(ctx, s.PVC, s.Pod); err != nil {
		return err
	}
	return engine.Wait(waiting.Explain(exposed))
}
