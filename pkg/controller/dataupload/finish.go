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
	switch {
	case s.pod == nil:
		gone, err := r.podGone(ctx, s)
		if err != nil || !gone {
			return outcome{waits: true, after: retry}, err
		}
		return r.lose(s, loss{cause: "Deleted", words: "backup pod is gone: it was deleted, or its node was"})
	case podEnded(s.pod):
		return r.takeResult(s)
	case isDeleting(s.pod) && s.phase() == prepared:
		return r.lose(s, loss{cause: "Deleted", words: "backup pod was deleted before its turn"})
	case isDeleting(s.pod):
		after, err := r.forceStuckPod(ctx, s, s.pod)
		return outcome{waits: true, after: after, reason: expose.Reason{
			Code: backupPodLost, Message: fmt.Sprintf("backup pod on node %s is being deleted", s.pod.Spec.NodeName),
		}}, err
	default:
		return wait(expose.Reason{})
	}
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
		s.end(failed, r.inAttempt(s.du, "backup pod failed: "+moverWords(moverEnd(s.pod))))
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
