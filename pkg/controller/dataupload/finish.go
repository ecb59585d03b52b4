package dataupload

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

// emptyVolume is Velero's message for a volume without data, documented by its code only.
const emptyVolume = "volume was empty so no data was upload"

// finish waits for the backup pod to end and takes over its result.
func (r *Reconciler) finish(ctx context.Context, s *scope) (outcome, error) {
	if s.pod == nil {
		return r.missPod(ctx, s)
	}
	if podEnded(s.pod) {
		return r.takeResult(s)
	}
	how, err := r.lostWithNode(ctx, s)
	switch {
	case err != nil:
		return outcome{}, err
	case how != loss{}:
		return r.lose(s, how)
	case isDeleting(s.pod):
		return r.awaitStop(ctx, s)
	}
	reason, err := r.silentNode(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	if reason.Message == "" {
		s.du.Status.Message = r.inAttempt(s.du, "") // the node is back
		delete(s.du.Annotations, waitingForAnnotation)
	}
	return wait(reason)
}

// missPod gives the attempt up if the backup pod is gone for sure. The cache may be behind, and data of an attempt that is
// given up for a pod that lives would be moved twice.
func (r *Reconciler) missPod(ctx context.Context, s *scope) (outcome, error) {
	pod, err := owned(ctx, r.Live, s.du, &corev1.Pod{})
	switch {
	case err != nil:
		return outcome{}, err
	case pod != nil:
		return waitFor(retry, expose.Reason{})
	default:
		return r.lose(s, loss{cause: "Deleted", words: "backup pod is gone: it was deleted, or its node was"})
	}
}

// awaitStop waits for a backup pod that somebody else deletes: it may still be done before it stops.
func (r *Reconciler) awaitStop(ctx context.Context, s *scope) (outcome, error) {
	after, err := r.forceStuckPod(ctx, s, s.pod)
	if err != nil {
		return outcome{}, err
	}
	return waitFor(after, expose.Reason{
		Code: backupPodLost, Message: fmt.Sprintf("backup pod on node %s is being deleted", s.pod.Spec.NodeName),
	})
}

// takeResult ends the DataUpload, or this attempt at it, as the backup pod has ended.
func (r *Reconciler) takeResult(s *scope) (outcome, error) {
	switch how := lossOf(s.pod); {
	case podSucceeded(s.pod):
		r.endSucceeded(s)
	case s.phase() == canceling:
		s.end(canceled, s.du.Status.Message)
	case how != loss{}:
		return r.lose(s, how)
	default:
		failure := moverWords(moverEnd(s.pod))
		if hint := expose.FailureHint(s.pod, s.du.Spec.CSISnapshot.StorageClass, failure); hint != "" {
			failure += "; " + hint
		}
		s.end(failed, r.inAttempt(s.du, "backup pod failed: "+failure))
	}
	return outcome{}, nil
}

func (r *Reconciler) endSucceeded(s *scope) {
	moved, err := result.Parse(terminationMessage(s.pod))
	if err != nil {
		s.end(failed, fmt.Sprintf("backup pod succeeded, but left no usable result: %v", err))
		return
	}
	message := ""
	if moved.EmptySnapshot {
		message = emptyVolume
	}
	s.end(completed, r.inAttempt(s.du, message))
	s.du.Status.Path = expose.VolumePath(s.du)
	s.du.Status.SnapshotID = moved.SnapshotID
	s.du.Status.IncrementalBytes = moved.IncrementalBytes
	s.du.Status.Progress = v2alpha1.DataMoveOperationProgress{TotalBytes: moved.TotalBytes, BytesDone: moved.TotalBytes}
}

// terminationMessage is what the mover left.
func terminationMessage(pod *corev1.Pod) string {
	if ended := moverEnd(pod); ended != nil {
		return strings.TrimSpace(ended.Message)
	}
	return ""
}
