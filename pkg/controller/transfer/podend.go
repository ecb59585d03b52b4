package transfer

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/mover/result"
)

// firstSignalCode is the lowest exit code of a container that was ended from outside: 128 is that of one which the runtime
// could not start, and above is 128 + the number of the signal.
const firstSignalCode = 128

// loss says how a pod was lost: it came to an end that says nothing about the data. The zero value is no loss.
type loss struct {
	// cause is one CamelCase word, bounded, for metrics.
	cause string
	// words are for people.
	words string
}

// podEnded tells whether the mover has ended. The pod as a whole may live on: an injected sidecar knows of no end.
func podEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || moverEnd(pod) != nil
}

// podSucceeded tells whether the mover of a pod that has ended was successful.
func podSucceeded(pod *corev1.Pod) bool {
	if ended := moverEnd(pod); ended != nil {
		return ended.ExitCode == 0
	}
	return pod.Status.Phase == corev1.PodSucceeded
}

// moverEnd is how the mover's container ended, or nil. It is named by the UID of the DataUpload or DataDownload, which the pod belongs to;
// injected containers do not count.
func moverEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return nil
	}
	for i := range pod.Status.ContainerStatuses {
		if status := &pod.Status.ContainerStatuses[i]; status.Name == string(owner.UID) {
			return status.State.Terminated
		}
	}
	return nil
}

// lossOf says how a pod that has ended without success was lost, if it was.
func lossOf(pod *corev1.Pod) loss {
	ended := moverEnd(pod)
	switch {
	case pod.Status.Reason != "":
		// The node or the cluster ended the pod, not the mover: Evicted, Preempted, NodeShutdown, NodeAffinity, OutOfmemory ...
		return loss{cause: "Evicted", words: join(pod.Status.Reason, pod.Status.Message)}
	case disruption(pod) != "":
		return loss{cause: "Evicted", words: disruption(pod)}
	case ended == nil:
		return loss{cause: "Unknown", words: fmt.Sprintf("pod phase is %s, and nothing says why", pod.Status.Phase)}
	case ended.Reason == "OOMKilled":
		return loss{cause: "OOMKilled", words: fmt.Sprintf("killed because it used more memory than allowed (%s)", exit(ended))}
	case ended.ExitCode == result.ExitRetryable:
		return loss{cause: "Retryable", words: moverWords(ended)}
	case ended.ExitCode >= firstSignalCode:
		return loss{cause: "Killed", words: moverWords(ended)}
	default:
		return loss{}
	}
}

// disruption says why the cluster is ending a pod, if it is.
func disruption(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return join(condition.Reason, condition.Message)
		}
	}
	return ""
}

// moverWords is what the mover left behind and how it ended; it never is empty. A killed mover leaves no words of its own:
// what is there is the end of its log, of which a line will do.
func moverWords(ended *corev1.ContainerStateTerminated) string {
	message := strings.TrimSpace(ended.Message)
	switch {
	case message == "":
		return "container ended with " + exit(ended)
	case ended.ExitCode >= firstSignalCode:
		return message[strings.LastIndexByte(message, '\n')+1:] + " (" + exit(ended) + ")"
	default:
		return message
	}
}

func exit(ended *corev1.ContainerStateTerminated) string {
	return strings.TrimSuffix(fmt.Sprintf("exit code %d, reason %s", ended.ExitCode, ended.Reason), ", reason ")
}

func join(reason, message string) string {
	return strings.TrimSuffix(reason+": "+message, ": ")
}
