// Package moverpod reads from the pod of a mover, and from its node, how it has ended: with an answer, or lost, which says nothing
// about the data. It also keeps the log of one that has failed.
package moverpod

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/text"
)

// firstSignalCode is the lowest exit code of a container that was ended from outside: 128 is that of one which the runtime
// could not start, and above is 128 + the number of the signal.
const firstSignalCode = 128

// Causes of a loss, for the metric.
const (
	causeDeleted   = "Deleted"
	causeEvicted   = "Evicted"
	causeKilled    = "Killed"
	causeNodeGone  = "NodeGone"
	causeOOMKilled = "OOMKilled"
	causeRetryable = "Retryable"
	causeUnknown   = "Unknown"
)

// Causes are all that a Loss may have.
var Causes = []string{causeDeleted, causeEvicted, causeKilled, causeNodeGone, causeOOMKilled, causeRetryable, causeUnknown}

// Loss says how a pod was lost: it came to an end that says nothing about the data. The zero value is no loss.
type Loss struct {
	// Cause is one of Causes.
	Cause string
	// Words are for people.
	Words string
}

// Ended tells whether the mover has ended. The pod as a whole may live on: an injected sidecar knows of no end.
func Ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || moverEnd(pod) != nil
}

// Succeeded tells whether the mover of a pod that has ended was successful.
func Succeeded(pod *corev1.Pod) bool {
	if ended := moverEnd(pod); ended != nil {
		return ended.ExitCode == 0
	}
	return pod.Status.Phase == corev1.PodSucceeded
}

// Message is what the mover left.
func Message(pod *corev1.Pod) string {
	if ended := moverEnd(pod); ended != nil {
		return strings.TrimSpace(ended.Message)
	}
	return ""
}

// Failure says why a mover has failed whose pod was not lost.
func Failure(pod *corev1.Pod) string { return moverWords(moverEnd(pod)) }

// moverEnd is how the mover's container ended, or nil.
func moverEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for i := range pod.Status.ContainerStatuses {
		if status := &pod.Status.ContainerStatuses[i]; isMover(pod, status.Name) {
			return status.State.Terminated
		}
	}
	return nil
}

// isMover tells whether a container of that name is the mover's. It is named by the UID of the DataUpload or DataDownload, which the
// pod belongs to; injected containers do not count.
func isMover(pod *corev1.Pod, container string) bool {
	owner := metav1.GetControllerOfNoCopy(pod)
	return owner != nil && container == string(owner.UID)
}

// Stopped tells whether the mover has ended for certain: its node says so, and does not only miss it.
func Stopped(pod *corev1.Pod) bool {
	ended := moverEnd(pod)
	return ended != nil && ended.Reason != "ContainerStatusUnknown"
}

// LossOf says how a pod that has ended without success was lost, if it was.
func LossOf(pod *corev1.Pod) Loss {
	ended := moverEnd(pod)
	switch {
	case pod.Status.Reason != "":
		// The node or the cluster ended the pod, not the mover.
		return Loss{Cause: causeEvicted, Words: inPlainWords(pod.Status.Reason, pod.Status.Message)}
	case disruption(pod) != "":
		return Loss{Cause: causeEvicted, Words: disruption(pod)}
	case ended == nil:
		return Loss{Cause: causeUnknown, Words: fmt.Sprintf("pod phase is %s, and nothing says why", pod.Status.Phase)}
	case ended.Reason == "OOMKilled":
		return Loss{Cause: causeOOMKilled, Words: outOfMemory(pod, ended)}
	case ended.ExitCode == result.ExitRetryable:
		return Loss{Cause: causeRetryable, Words: moverWords(ended)}
	case ended.ExitCode >= firstSignalCode:
		return Loss{Cause: causeKilled, Words: moverWords(ended)}
	default:
		return Loss{}
	}
}

// Gone is the loss of a pod that is no longer there. what is what it is called.
func Gone(what string) Loss {
	return Loss{Cause: causeDeleted, Words: what + " is gone: it was deleted, or its node was"}
}

// disruption says why the cluster is ending a pod, if it is.
func disruption(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return inPlainWords(condition.Reason, condition.Message)
		}
	}
	return ""
}

// byOthers says what the reasons mean with which a node or the cluster ends a pod.
var byOthers = map[string]string{
	"Evicted":                "evicted, because its node ran short of a resource",
	"Terminated":             "ended, because its node is being shut down",
	"NodeShutdown":           "ended, because its node is being shut down",
	"TerminationByKubelet":   "ended by its node",
	"Preempting":             "preempted by a pod of higher priority",
	"PreemptionByScheduler":  "preempted by a pod of higher priority",
	"EvictionByEvictionAPI":  "evicted by somebody, as when its node is drained",
	"DeletionByTaintManager": "evicted because of a taint of its node",
	"DeletionByPodGC":        "removed, because its node is gone",
}

func inPlainWords(reason, message string) string {
	if meaning := byOthers[reason]; meaning != "" {
		return meaning + " (" + join(reason, message) + ")"
	}
	return join(reason, message)
}

// outOfMemory says how much memory the mover was allowed, and which setting gives it more.
func outOfMemory(pod *corev1.Pod, ended *corev1.ContainerStateTerminated) string {
	for i := range pod.Spec.Containers {
		container := &pod.Spec.Containers[i]
		if limit := container.Resources.Limits.Memory(); isMover(pod, container.Name) && !limit.IsZero() {
			return fmt.Sprintf("killed because it used more memory than its limit of %s (%s): "+
				"raise podResources.memoryLimit in the ConfigMap", limit, exit(ended))
		}
	}
	return fmt.Sprintf("killed because its node had no memory left (%s): set podResources.memoryRequest in the ConfigMap", exit(ended))
}

// maxLastLine limits how much of the last line of a log is repeated.
const maxLastLine = 300

// moverWords is what the mover left behind and how it ended; it never is empty. A killed mover leaves no words of its own: what
// is there is the end of its log, which explains nothing.
func moverWords(ended *corev1.ContainerStateTerminated) string {
	message := strings.TrimSpace(ended.Message)
	switch {
	case message == "" || ended.ExitCode > firstSignalCode:
		words := endedBy(ended)
		if message != "" {
			last := message[strings.LastIndexByte(message, '\n')+1:]
			words += fmt.Sprintf("; the last line of its log: %q", text.Shorten(last, maxLastLine))
		}
		return words
	case ended.ExitCode == firstSignalCode:
		return fmt.Sprintf("container did not start (%s): %s", exit(ended), message)
	default:
		return message
	}
}

// endedBy says how a container ended that cannot tell itself.
func endedBy(ended *corev1.ContainerStateTerminated) string {
	if signal := unix.SignalName(unix.Signal(ended.ExitCode - firstSignalCode)); signal != "" {
		return fmt.Sprintf("killed by signal %s (%s), not by itself", signal, exit(ended))
	}
	return "container ended with " + exit(ended)
}

func exit(ended *corev1.ContainerStateTerminated) string {
	return strings.TrimSuffix(fmt.Sprintf("exit code %d, reason %s", ended.ExitCode, ended.Reason), ", reason ")
}

func join(reason, message string) string {
	return strings.TrimSuffix(reason+": "+message, ": ")
}
