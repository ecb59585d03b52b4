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
func (r *Reconciler) finish(_ context.Context, s *scope) (outcome, error) {
	if s.pod != nil && !podEnded(s.pod) {
		return wait(expose.Reason{})
	}
	s.endWithPod()
	return outcome{}, nil
}

// endWithPod ends the DataUpload as its backup pod has ended.
func (s *scope) endWithPod() {
	switch {
	case s.pod == nil:
		s.end(failed, fmt.Sprintf("backup pod is gone: it was deleted, or its node %s was, while the DataUpload was %s",
			s.du.Status.Node, s.phase()))
	case s.pod.Status.Phase == corev1.PodSucceeded:
		s.endSucceeded()
	case !podEnded(s.pod):
		s.end(failed, fmt.Sprintf("backup pod on node %s is being deleted while the DataUpload was %s", s.pod.Spec.NodeName, s.phase()))
	case s.phase() == canceling:
		s.end(canceled, s.du.Status.Message)
	default:
		s.end(failed, "backup pod failed: "+podFailure(s.pod, string(s.du.UID)))
	}
}

func (s *scope) endSucceeded() {
	moved, err := result.Parse(terminationMessage(s.pod, string(s.du.UID)))
	if err != nil {
		s.end(failed, fmt.Sprintf("backup pod succeeded, but left no usable result: %v", err))
		return
	}
	message := ""
	if moved.EmptySnapshot {
		message = emptyVolume
	}
	s.end(completed, message)
	s.du.Status.Path = expose.VolumePath(s.du)
	s.du.Status.SnapshotID = moved.SnapshotID
	s.du.Status.IncrementalBytes = moved.IncrementalBytes
	s.du.Status.Progress = v2alpha1.DataMoveOperationProgress{TotalBytes: moved.TotalBytes, BytesDone: moved.TotalBytes}
}

func podEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// podFailure says why a pod failed; it never is empty. An evicted or killed mover leaves no message of its own.
func podFailure(pod *corev1.Pod, mover string) string {
	var parts []string
	if pod.Status.Reason != "" {
		parts = append(parts, strings.TrimSuffix(pod.Status.Reason+": "+pod.Status.Message, ": "))
	}
	if message := terminationMessage(pod, mover); message != "" {
		parts = append(parts, message)
	}
	for _, status := range pod.Status.ContainerStatuses {
		ended := status.State.Terminated
		if ended == nil || ended.ExitCode == 0 {
			continue
		}
		if len(parts) == 0 || ended.Reason != "Error" {
			parts = append(parts, fmt.Sprintf("container ended with exit code %d, reason %s", ended.ExitCode, ended.Reason))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("pod phase is %s on node %s, and nothing says why", pod.Status.Phase, pod.Spec.NodeName)
	}
	return strings.Join(parts, "; ")
}

// terminationMessage is what the mover left. Its container is named by the DataUpload's UID; injected ones do not count.
func terminationMessage(pod *corev1.Pod, mover string) string {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == mover && status.State.Terminated != nil {
			return strings.TrimSpace(status.State.Terminated.Message)
		}
	}
	return ""
}
