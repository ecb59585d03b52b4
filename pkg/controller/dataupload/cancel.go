package dataupload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

const (
	// stopSeconds is how long a canceled backup pod may take to stop.
	stopSeconds = 10
	// forceAfter is how long after that a pod which nobody stops, because its node is gone, is removed by force.
	forceAfter = 10 * time.Second
)

// cancel ends a DataUpload whose cancel flag is set or that is being deleted. Where data moves already, the backup pod
// is stopped first.
func (r *Reconciler) cancel(_ context.Context, s *scope) (outcome, error) {
	if !s.du.Spec.Cancel && !isDeleting(s.du) {
		return outcome{}, nil
	}
	message := cancelMessage(s)
	if s.phase() == inProgress {
		s.du.Status.Phase = canceling
		s.du.Status.Message = message
		return outcome{}, nil
	}
	if s.phase() == isNew {
		guard(s)
	}
	s.end(canceled, message)
	return outcome{}, nil
}

// cancelMessage says who canceled, in which phase, and what the DataUpload was waiting for.
func cancelMessage(s *scope) string {
	message := fmt.Sprintf("canceled by request while %s", s.phase())
	if isDeleting(s.du) {
		message = fmt.Sprintf("canceled while %s, because the DataUpload is being deleted", s.phase())
	}
	if last := s.du.Status.Message; last != "" {
		message += "; last: " + last
	}
	return message
}

// stop stops the backup pod of a DataUpload that was canceled while data moved.
func (r *Reconciler) stop(ctx context.Context, s *scope) (outcome, error) {
	if s.pod == nil {
		s.end(canceled, s.du.Status.Message)
		return outcome{}, nil
	}
	if podEnded(s.pod) {
		// It may have been done before it heard of it. Then the data is there, and saying so keeps it findable.
		return r.takeResult(s)
	}
	reason := expose.Reason{} // the message already says what is going on
	if !isDeleting(s.pod) {
		err := r.Client.Delete(ctx, s.pod, asSeen(s.pod), client.GracePeriodSeconds(stopSeconds))
		if client.IgnoreNotFound(err) != nil {
			return outcome{}, fmt.Errorf("deleting backup pod: %w", err)
		}
		return wait(reason)
	}
	after, err := r.forceStuckPod(ctx, s, s.pod)
	if err != nil {
		return outcome{}, err
	}
	return waitFor(after, reason)
}

// forceStuckPod removes a pod that should long have stopped, or that nobody is left to stop. It returns when to look again.
func (r *Reconciler) forceStuckPod(ctx context.Context, s *scope, pod *corev1.Pod) (time.Duration, error) {
	gone, err := r.nodeGone(ctx, pod)
	if err != nil {
		return 0, err
	}
	// The deletion timestamp is when the grace period ends.
	if remaining := pod.DeletionTimestamp.Add(forceAfter).Sub(s.now); remaining > 0 && !gone {
		return remaining, nil
	}
	s.log.WithField("node", pod.Spec.NodeName).Warn("backup pod does not stop, its node may be gone: removing it by force")
	err = r.Client.Delete(ctx, pod, asSeen(pod), client.GracePeriodSeconds(0))
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("removing backup pod by force: %w", err)
	}
	return 0, nil
}

// asSeen lets nothing be deleted but what was seen: a pod that the cache shows as running may have ended since, and what it
// has left behind must be read first.
func asSeen(pod *corev1.Pod) client.Preconditions {
	return client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion}
}
