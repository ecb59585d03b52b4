package dataupload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

// awaitPrepared ends preparing when the backup pod runs, which it cannot before the backupPVC is bound and mounted.
func (r *Reconciler) awaitPrepared(ctx context.Context, s *scope) (outcome, error) {
	if s.pvc.Status.Phase == corev1.ClaimBound {
		// From now on the volume goes with the PVC, also if garbage collection removes that behind our back.
		if _, err := r.claimPV(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	switch {
	case podEnded(s.pod):
		return r.takeResult(s)
	case s.pod.Status.Phase == corev1.PodRunning && s.pvc.Status.Phase == corev1.ClaimBound:
		s.du.Status.Phase = prepared
		s.du.Status.Node = s.pod.Spec.NodeName
		s.du.Status.Message = r.inAttempt(s.du, "")
		// It starts in another pass, when the cache shows it: who is not seen to wait on the node is not seen to have a slot there.
		return wait(expose.Reason{})
	}
	exposed := expose.Exposed{PVC: s.pvc, Pod: s.pod, Class: s.du.Spec.CSISnapshot.StorageClass}
	if name := s.pvc.Spec.StorageClassName; name != nil {
		class, err := r.storageClass(ctx, *name)
		if err != nil {
			return outcome{}, err
		}
		exposed.StorageClassFound = class != nil
		if class != nil {
			exposed.Provisioner = class.Provisioner
		}
		exposed.DelayedBinding = class != nil && delaysBinding(class)
	}
	var err error
	if exposed.Events, err = r.eventsAbout(ctx, s.pvc, s.pod); err != nil {
		return outcome{}, err
	}
	return wait(expose.Explain(exposed))
}

// eventsAbout lists the Events about some objects, from the cache.
func (r *Reconciler) eventsAbout(ctx context.Context, objects ...client.Object) ([]corev1.Event, error) {
	var events []corev1.Event
	for _, obj := range objects {
		list := &corev1.EventList{}
		err := r.Client.List(ctx, list, client.InNamespace(r.Namespace), client.MatchingFields{eventObjectIndex: string(obj.GetUID())})
		if err != nil {
			return nil, fmt.Errorf("listing events about %s: %w", obj.GetName(), err)
		}
		events = append(events, list.Items...)
	}
	return events, nil
}
