package pods

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const localhost = "127.0.0.1"

// setCondition sets a condition and tells whether that changed anything. The time of transition follows the status.
func setCondition(status *corev1.PodStatus, condition corev1.PodCondition) bool {
	i := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == condition.Type })
	if i < 0 {
		condition.LastTransitionTime = metav1.Now()
		status.Conditions = append(status.Conditions, condition)
		return true
	}
	old := &status.Conditions[i]
	condition.LastTransitionTime, condition.LastProbeTime = old.LastTransitionTime, old.LastProbeTime
	condition.ObservedGeneration = old.ObservedGeneration
	if *old == condition {
		return false
	}
	if old.Status != condition.Status {
		condition.LastTransitionTime = metav1.Now()
	}
	*old = condition
	return true
}

// waitingStatus is the status of a pod whose containers cannot start yet.
func waitingStatus(pod *corev1.Pod, waiting map[string]corev1.ContainerStateWaiting) corev1.PodStatus {
	status := baseStatus(pod)
	status.Phase = corev1.PodPending
	for _, container := range pod.Spec.Containers {
		state, found := waiting[container.Name]
		if !found {
			state = corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
		}
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Started: new(false),
			State: corev1.ContainerState{Waiting: &state},
		})
	}
	setReady(&status, corev1.ConditionFalse, "ContainersNotReady")
	return status
}

// rejectedStatus is the status of a pod that the kubelet refuses to run.
func rejectedStatus(pod *corev1.Pod, reason, message string) corev1.PodStatus {
	status := baseStatus(pod)
	status.Phase, status.Reason, status.Message = corev1.PodFailed, reason, "Pod was rejected: "+message
	return status
}

// runningStatus is the status of a pod whose processes were started. Succeeded and Failed are reached when all are done.
func runningStatus(pod *corev1.Pod, processes []*process) corev1.PodStatus {
	status := baseStatus(pod)
	status.PodIP, status.PodIPs = localhost, []corev1.PodIP{{IP: localhost}}
	done, failed := true, false
	for i, container := range pod.Spec.Containers {
		state := processes[i].state()
		done = done && state.Terminated != nil
		failed = failed || state.Terminated != nil && state.Terminated.ExitCode != 0
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image, ContainerID: processes[i].id(),
			State: state, Ready: state.Running != nil, Started: new(state.Running != nil),
		})
	}
	switch {
	case !done:
		status.Phase = corev1.PodRunning
		setReady(&status, corev1.ConditionTrue, "")
	case failed:
		status.Phase = corev1.PodFailed
		setReady(&status, corev1.ConditionFalse, "PodFailed")
	default:
		status.Phase = corev1.PodSucceeded
		setReady(&status, corev1.ConditionFalse, "PodCompleted")
	}
	return status
}

// lostStatus is the status of a pod whose processes did not survive a restart of the local node.
func lostStatus(pod *corev1.Pod) corev1.PodStatus {
	status := baseStatus(pod)
	status.Phase = corev1.PodFailed
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "ContainerStatusUnknown",
				Message: "The container could not be located when the pod was terminated",
			}},
		})
	}
	setReady(&status, corev1.ConditionFalse, "PodFailed")
	return status
}

// baseStatus keeps what others wrote into a pod's status, above all the scheduler's condition.
func baseStatus(pod *corev1.Pod) corev1.PodStatus {
	status := *pod.Status.DeepCopy()
	status.ContainerStatuses = nil
	status.HostIP, status.HostIPs = localhost, []corev1.HostIP{{IP: localhost}}
	if status.StartTime == nil {
		status.StartTime = new(metav1.NewTime(time.Now().Truncate(time.Second)))
	}
	setCondition(&status, corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue})
	return status
}

func setReady(status *corev1.PodStatus, ready corev1.ConditionStatus, reason string) {
	setCondition(status, corev1.PodCondition{Type: corev1.ContainersReady, Status: ready, Reason: reason})
	setCondition(status, corev1.PodCondition{Type: corev1.PodReady, Status: ready, Reason: reason})
}
