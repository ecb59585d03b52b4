package soak

import (
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

const (
	kill   = syscall.SIGKILL
	freeze = syscall.SIGSTOP
	resume = syscall.SIGCONT
)

// signalMover sends a signal to the process of a backup pod, and tells whether there is one.
func signalMover(pod *corev1.Pod, signal syscall.Signal) bool {
	pid := processOf(pod)
	return pid > 0 && syscall.Kill(-pid, signal) == nil
}

// processOf is the process that the local node runs for a pod, or 0.
func processOf(pod *corev1.Pod) int {
	if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Running == nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "process://"))
	if err != nil {
		return 0
	}
	return pid
}
