package moverpod

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podOf is a pod whose mover has ended.
func podOf(ended corev1.ContainerStateTerminated, limits corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{UID: "uid", Controller: new(true)}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "sidecar", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}}},
			{Name: "uid", Resources: corev1.ResourceRequirements{Limits: limits}},
		}},
		Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "uid", State: corev1.ContainerState{Terminated: &ended}},
		}},
	}
}

var _ = DescribeTable("a mover that was ended", func(ended corev1.ContainerStateTerminated, limits corev1.ResourceList, cause, words string) {
	Expect(LossOf(podOf(ended, limits))).To(Equal(Loss{Cause: cause, Words: words}))
},
	Entry("by SIGKILL", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error", Message: "level=info msg=one\nlevel=info msg=\"Opening the repository\"\n"}, nil,
		"Killed", `killed by signal SIGKILL (exit code 137, reason Error), not by itself; the last line of its log: "level=info msg=\"Opening the repository\""`),
	Entry("by SIGTERM, before it could tell", corev1.ContainerStateTerminated{ExitCode: 143, Reason: "Error"}, nil,
		"Killed", "killed by signal SIGTERM (exit code 143, reason Error), not by itself"),
	Entry("in a way that is no signal", corev1.ContainerStateTerminated{ExitCode: 255}, nil, "Killed", "container ended with exit code 255"),
	Entry("before it started", corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: "no such file"}, nil,
		"Killed", "container did not start (exit code 128, reason StartError): no such file"),
	Entry("for its memory", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", Message: "uploading"},
		corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}, "OOMKilled",
		"killed because it used more memory than its limit of 512Mi (exit code 137, reason OOMKilled): raise podResources.memoryLimit in the ConfigMap"),
	Entry("for the memory of its node", corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}, nil, "OOMKilled",
		"killed because its node had no memory left (exit code 137, reason OOMKilled): set podResources.memoryRequest in the ConfigMap"),
	Entry("by itself, for want of its store", corev1.ContainerStateTerminated{ExitCode: 75, Message: "the store does not answer"}, nil,
		"Retryable", "the store does not answer"),
)

var _ = DescribeTable("a pod that was ended by its node or the cluster", func(status corev1.PodStatus, words string) {
	Expect(LossOf(&corev1.Pod{Status: status})).To(Equal(Loss{Cause: causeEvicted, Words: words}))
},
	Entry("short of something", corev1.PodStatus{Reason: "Evicted", Message: "The node was low on resource: memory."},
		"evicted, because its node ran short of a resource (Evicted: The node was low on resource: memory.)"),
	Entry("shut down", corev1.PodStatus{Reason: "Terminated", Message: "Pod was terminated in response to imminent node shutdown."},
		"ended, because its node is being shut down (Terminated: Pod was terminated in response to imminent node shutdown.)"),
	Entry("for another pod", disrupted("PreemptionByScheduler", "preempting to accommodate a higher priority pod"),
		"preempted by a pod of higher priority (PreemptionByScheduler: preempting to accommodate a higher priority pod)"),
	Entry("drained", disrupted("EvictionByEvictionAPI", "Eviction API: evicting"),
		"evicted by somebody, as when its node is drained (EvictionByEvictionAPI: Eviction API: evicting)"),
	Entry("for a reason that is new", corev1.PodStatus{Reason: "Rescheduled"}, "Rescheduled"),
)

func disrupted(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, Message: message,
	}}}
}

var _ = DescribeTable("a mover that has ended for certain", func(pod *corev1.Pod, want bool) {
	Expect(Stopped(pod)).To(Equal(want))
},
	Entry("as its node has seen", podOf(corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"}, nil), true),
	Entry("not if its node only misses it", podOf(corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}, nil), false),
	Entry("not if the pod alone is called failed", &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}}, false),
)
