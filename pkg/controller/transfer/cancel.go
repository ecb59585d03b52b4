package transfer

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

const (
	// stopSeconds is how long the pod of what was canceled may take to stop.
	stopSeconds = 10
	// forceAfter is how long after that a pod which nobody stops, because its node is gone, is removed by force.
	forceAfter = 10 * time.Second
)

// Cancel ends what shall be canceled or is being deleted. Where data moves already, the pod is stopped first.
func (e Steps) Cancel(_ context.Context, s *engine.Scope) error {
	if !s.Object.TransferSpec().Cancel && !IsDeleting(s.Object) {
		return nil
	}
	message := e.cancelMessage(s)
	if s.Phase() == inProgress {
		s.Status().Phase = canceling
		s.Status().Message = message
		return nil
	}
	return engine.End(canceled, message)
}

// cancelMessage says who canceled, in which phase, and what was waited for.
func (e Steps) cancelMessage(s *engine.Scope) string {
	message := fmt.Sprintf("canceled by request while %s", s.Phase())
	if IsDeleting(s.Object) {
		message = fmt.Sprintf("canceled while %s, because the %s is being deleted", s.Phase(), e.Kind.Words.Kind)
	}
	if last := s.Status().Message; last != "" {
		message += "; last: " + last
	}
	return message
}

// Stop stops the pod of what was canceled while data moved.
func (e Steps) Stop(ctx context.Context, s *engine.Scope) error {
	if s.Pod == nil {
		return engine.End(canceled, s.Status().Message)
	}
	if moverpod.Ended(s.Pod) {
		// It may have been done before it heard of it. Then the data is there, and saying so keeps it findable.
		return e.takeResult(s)
	}
	reason := waiting.Reason{} // the message already says what is going on
	if !IsDeleting(s.Pod) {
		err := e.Client.Delete(ctx, s.Pod, asSeen(s.Pod), client.GracePeriodSeconds(stopSeconds))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s: %w", e.Kind.Words.Pod, err)
		}
		return engine.Wait(reason)
	}
	after, err := e.forceStuckPod(ctx, s, s.Pod)
	if err != nil {
		return err
	}
	return engine.WaitFor(after, reason)
}

// forceStuckPod removes a pod that should long have stopped, or that nobody is left to stop. It returns when to look again.
func (e Steps) forceStuckPod(ctx context.Context, s *engine.Scope, pod *corev1.Pod) (time.Duration, error) {
	gone, err := e.nodeGone(ctx, pod)
	if err != nil {
		return 0, err
	}
	// The deletion timestamp is when the grace period ends.
	if remaining := pod.DeletionTimestamp.Add(forceAfter).Sub(s.Now); remaining > 0 && !gone {
		return remaining, nil
	}
	s.Log.WithField("node", pod.Spec.NodeName).Warn(e.Kind.Words.Pod + " does not stop, its node may be gone: removing it by force")
	err = e.Client.Delete(ctx, pod, asSeen(pod), client.GracePeriodSeconds(0))
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("removing %s by force: %w", e.Kind.Words.Pod, err)
	}
	return 0, nil
}

// asSeen lets nothing be deleted but what was seen: a pod that the cache shows as running may have ended since, and what it
// has left behind must be read first.
func asSeen(pod *corev1.Pod) client.Preconditions {
	return client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion}
}
