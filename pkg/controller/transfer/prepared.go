package transfer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// AwaitPrepared ends preparing when the pod runs, which it cannot before its PVC is bound and mounted.
func (e *Engine) AwaitPrepared(ctx context.Context, s *Scope) error {
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
		s.Status().Message = e.inAttempt(s.Object, "")
		// It starts in another pass, when the cache shows it: who is not seen to wait on the node is not seen to have a slot there.
		return Wait(waiting.Reason{})
	}
	exposed := waiting.Exposed{Words: e.kind.Words, PVC: s.PVC, Pod: s.Pod, Class: s.Class}
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
	if exposed.Events, err = e.eventsAbout(ctx, s.PVC, s.Pod); err != nil {
		return err
	}
	return Wait(waiting.Explain(exposed))
}

// eventsAbout lists the Events about some objects, from the cache.
func (e *Engine) eventsAbout(ctx context.Context, objects ...client.Object) ([]corev1.Event, error) {
	var events []corev1.Event
	for _, obj := range objects {
		list := &corev1.EventList{}
		err := e.Client.List(ctx, list, client.InNamespace(e.Namespace), client.MatchingFields{eventObjectIndex: string(obj.GetUID())})
		if err != nil {
			return nil, fmt.Errorf("listing events about %s: %w", obj.GetName(), err)
		}
		events = append(events, list.Items...)
	}
	return events, nil
}
