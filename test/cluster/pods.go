package cluster

import (
	"context"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pod reads the backup pod, nil if there is none.
func (u *Upload) Pod(ctx context.Context) *corev1.Pod {
	pod := &corev1.Pod{}
	if !u.found(ctx, u.Key(), pod) {
		return nil
	}
	return pod
}

// RunPod does what scheduler and kubelet do. It tells whether it did.
func (u *Upload) RunPod(ctx context.Context, node string) bool {
	pod := u.Pod(ctx)
	if pod == nil || pod.Spec.NodeName != "" || !pod.DeletionTimestamp.IsZero() {
		return false
	}
	binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	if !tried(u.Client.SubResource("binding").Create(ctx, pod, binding)) {
		return false
	}
	return u.PodStatus(ctx, func(status *corev1.PodStatus) { status.Phase = corev1.PodRunning })
}

// EndPod lets the mover end with an exit code and a termination message.
func (u *Upload) EndPod(ctx context.Context, code int32, reason, message string) bool {
	pod := u.Pod(ctx)
	if pod == nil || metav1.GetControllerOf(pod) == nil {
		return false
	}
	name := string(metav1.GetControllerOf(pod).UID)
	return u.PodStatus(ctx, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodSucceeded
		if code != 0 {
			status.Phase = corev1.PodFailed
		}
		status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: name, State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
			},
		}}
	})
}

// PodStatus changes the status of the backup pod.
func (u *Upload) PodStatus(ctx context.Context, change func(*corev1.PodStatus)) bool {
	pod := u.Pod(ctx)
	if pod == nil {
		return false
	}
	change(&pod.Status)
	return tried(u.Client.Status().Update(ctx, pod))
}

// KillPod removes the backup pod at once, as somebody who deletes it by force does.
func (u *Upload) KillPod(ctx context.Context) {
	if pod := u.Pod(ctx); pod != nil {
		Expect(client.IgnoreNotFound(u.Client.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
	}
}

// Collect does what the cluster's controllers do about objects that are being deleted. It tells whether it did anything.
func (u *Upload) Collect(ctx context.Context) bool {
	did := false
	if pod := u.Pod(ctx); pod != nil && !pod.DeletionTimestamp.IsZero() {
		u.KillPod(ctx)
		did = true
	}
	did = u.collectPVC(ctx) || did
	for _, key := range []client.ObjectKey{u.Key(), u.SourceKey()} {
		did = u.collectSnapshot(ctx, key) || did
	}
	for _, name := range []string{u.Name, u.SourceContent()} {
		did = u.CollectContent(ctx, name) || did
	}
	return did
}

// isMounted tells whether the backup pod still holds the backupPVC.
func (u *Upload) isMounted(ctx context.Context) bool {
	pod := u.Pod(ctx)
	return pod != nil && len(pod.OwnerReferences) > 0
}
