package waiting

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func explainPod(e Exposed) Reason {
	name := e.Words.Pod + " " + e.Pod.Namespace + "/" + e.Pod.Name
	for _, status := range slices.Concat(e.Pod.Status.InitContainerStatuses, e.Pod.Status.ContainerStatuses) {
		if reason, found := e.explainContainer(name, status); found {
			return reason
		}
	}
	if words := unscheduled(e.Pod); words != "" {
		if e.PVC.Status.Phase == corev1.ClaimBound && strings.Contains(words, unboundClaims) {
			// That was so when the scheduler looked last.
			return Reason{Code: e.Words.WaitingForPodCode, Expected: true, Message: name + " is not scheduled yet"}
		}
		return e.explainUnscheduled(name, words)
	}
	if event := e.complaint("Pod"); event != nil {
		return e.explainNode(name, event)
	}
	reason := Reason{Code: e.Words.WaitingForPodCode, Expected: true, Message: fmt.Sprintf("%s is not running yet", name)}
	if node := e.Pod.Spec.NodeName; node != "" {
		reason.Message += " on node " + node
	}
	return reason
}

// pullStates are how the kubelet says that it has no image. It goes to and fro between trying and waiting to try again.
var pullStates = []string{
	"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable",
	"SignatureValidationFailed",
}

func (e Exposed) explainContainer(pod string, status corev1.ContainerStatus) (Reason, bool) {
	state := status.State.Waiting
	switch {
	case state == nil || slices.Contains([]string{"", "ContainerCreating", "PodInitializing"}, state.Reason):
		return Reason{}, false
	case slices.Contains(pullStates, state.Reason):
		return Reason{
			Code:    ImagePullFailed,
			Message: fmt.Sprintf("%s cannot pull image %s", pod, imageOf(e.Pod, status.Name)),
			Quote:   e.pullError(state),
		}, true
	}
	return e.withHint(Reason{
		Code:    ContainerNotStarting,
		Message: fmt.Sprintf("%s: container does not start", pod),
		Quote:   strings.TrimSuffix(state.Reason+": "+state.Message, ": "),
	}), true
}

// pullPrefix is what status and Events say before the cause, in the one way while the kubelet tries to pull an image, in
// others while it waits to try again.
var pullPrefix = regexp.MustCompile(`^(ImagePullBackOff: |ErrImagePull: )?` +
	`((Back-off pulling|Failed to pull) image "[^"]*": )?(ErrImagePull: )?`)

// pullError is why an image cannot be pulled. The status of a kubelet that waits may not tell; its last Event does.
func (e Exposed) pullError(state *corev1.ContainerStateWaiting) string {
	cause := pullPrefix.ReplaceAllString(state.Reason+": "+state.Message, "")
	if state.Reason != "ImagePullBackOff" || !strings.HasPrefix(cause, "Back-off") {
		return cause
	}
	event := e.newest(func(event *corev1.Event) bool {
		return event.InvolvedObject.Kind == "Pod" && strings.HasPrefix(textOf(event), "Failed to pull image ")
	})
	if event == nil {
		return cause
	}
	return pullPrefix.ReplaceAllString(textOf(event), "")
}

func imageOf(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

func unscheduled(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}

func (e Exposed) explainUnscheduled(name, words string) Reason {
	reason := Reason{
		Code:    Unschedulable,
		Message: fmt.Sprintf("%s cannot be scheduled", name),
		Quote:   words,
		// The scheduler's complaint about a backupPVC on its way is no news, and it stands for a moment longer.
		Expected: mentionsClaim(words),
	}
	event := e.newest(isAutoscaler)
	switch {
	case event == nil || reason.Expected:
	case event.Reason == "TriggeredScaleUp" || event.Reason == "Nominated":
		return Reason{
			Code: WaitingForAutoscaler, Expected: true,
			Message: fmt.Sprintf("%s waits for a node that the autoscaler is starting", name),
			Quote:   event.Reason + ": " + textOf(event),
		}
	default:
		reason.Quote += "; autoscaler: " + textOf(event)
	}
	return reason
}

// unboundClaims is what the scheduler says of a pod whose PVC is not bound, and of a class that binds at once.
const unboundClaims = "unbound immediate PersistentVolumeClaims"

// mentionsClaim recognises what the scheduler says of a pod whose PVC is not bound.
func mentionsClaim(message string) bool {
	return strings.Contains(message, unboundClaims) || strings.Contains(message, "persistentvolumeclaim")
}

// explainNode is about what happens to the pod on its node.
func (e Exposed) explainNode(name string, event *corev1.Event) Reason {
	reason := Reason{
		Code:    ContainerNotStarting,
		Message: name,
		Quote:   event.Reason + ": " + textOf(event),
	}
	if slices.Contains([]string{"FailedMount", "FailedAttachVolume", "FailedMapVolume"}, event.Reason) {
		reason.Code = MountFailed
	}
	return e.withHint(reason)
}
