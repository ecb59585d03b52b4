package transfer

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// AwaitBound waits, before the pod is made, until its PVC is bound.
func (e Steps) AwaitBound(ctx context.Context, s *engine.Scope) error {
	return e.AwaitVolume(ctx, s, e.Kind.Words, s.PVC)
}

// AwaitVolume waits for the volume of a PVC that the pod is to mount, and that words name. A scheduler that meets the pod before the
// volume may look again only minutes later. It does not wait where the volume comes with the pod: the class binds with the first
// consumer.
func (e Steps) AwaitVolume(ctx context.Context, s *engine.Scope, words expose.Words, pvc *corev1.PersistentVolumeClaim) error {
	if s.Pod != nil || IsBound(pvc) {
		return nil
	}
	exposed, err := e.exposed(ctx, s, words, pvc)
	if err != nil || exposed.DelayedBinding {
		return err
	}
	if exposed.Events, err = e.EventsAbout(ctx, pvc); err != nil {
		return err
	}
	return engine.Wait(waiting.Explain(exposed))
}

// IsBound tells whether a PVC has its volume.
func IsBound(pvc *corev1.PersistentVolumeClaim) bool { return pvc.Status.Phase == corev1.ClaimBound }

// exposed is what is known about a PVC, and the pod if there is one, but for their Events.
func (e Steps) exposed(
	ctx context.Context, s *engine.Scope, words expose.Words, pvc *corev1.PersistentVolumeClaim,
) (waiting.Exposed, error) {
	exposed := waiting.Exposed{Words: words, PVC: pvc, Pod: s.Pod, Class: s.Class}
	if pvc.Spec.StorageClassName == nil {
		return exposed, nil
	}
	class, err := e.StorageClass(ctx, *pvc.Spec.StorageClassName)
	if err != nil || class == nil {
		return exposed, err
	}
	exposed.StorageClassFound = true
	exposed.Provisioner = class.Provisioner
	exposed.DelayedBinding = DelaysBinding(class)
	return exposed, nil
}
