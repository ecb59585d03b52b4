package expose_test

import (
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// exposed is a healthy backupPVC and pod that were made a moment ago.
func exposed(changes ...func(*expose.Exposed)) expose.Exposed {
	du, section, volume := dataUpload(), config.BackupPVC{}, volumeOf(corev1.PersistentVolumeFilesystem)
	e := expose.Exposed{
		PVC:               expose.BackupPVC(du, section, volume),
		Pod:               expose.BackupPod(du, config.Upload{BackupPVC: section}, volume, expose.AgentTemplate{Image: "registry/agent:v1"}),
		StorageClassFound: true,
	}
	e.PVC.Status.Phase = corev1.ClaimPending
	e.Pod.Status.Phase = corev1.PodPending
	for _, change := range changes {
		change(&e)
	}
	return e
}

func bound(e *expose.Exposed) { e.PVC.Status.Phase = corev1.ClaimBound }

func unschedulable(message string) func(*expose.Exposed) {
	return func(e *expose.Exposed) {
		e.Pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message,
		}}
	}
}

func containerWaiting(reason, message string) func(*expose.Exposed) {
	return func(e *expose.Exposed) {
		e.Pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: uid, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	}
}

func warning(kind, reason, message string, at time.Duration) func(*expose.Exposed) {
	return func(e *expose.Exposed) {
		e.Warnings = append(e.Warnings, corev1.Event{
			InvolvedObject: corev1.ObjectReference{Kind: kind}, Reason: reason, Message: message,
			LastTimestamp: metav1.NewTime(time.Unix(1_800_000_000, 0).Add(at)),
		})
	}
}

const unboundClaims = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: not helpful"

var _ = DescribeTable("why the backup pod does not run yet", func(e expose.Exposed, code string, expected bool, words ...string) {
	reason := expose.Explain(e)
	Expect(reason.Code).To(Equal(code))
	Expect(reason.Expected).To(Equal(expected), reason.Message)
	for _, word := range words {
		Expect(reason.Message).To(ContainSubstring(word))
	}
	Expect(reason.Message).NotTo(ContainSubstring("\n"))
},
	Entry("nothing wrong, backupPVC on its way", exposed(),
		expose.WaitingForBackupPVC, true, `velero/backup-1-x7k2p (storage class "fast", ReadWriteOnce) is not bound yet`),
	Entry("nothing wrong, pod on its way", exposed(bound), expose.WaitingForBackupPod, true, "is not running yet"),
	Entry("nothing wrong, class waits for the pod", exposed(func(e *expose.Exposed) { e.DelayedBinding = true }),
		expose.WaitingForBackupPod, true, "is not running yet"),
	Entry("storage class missing", exposed(func(e *expose.Exposed) { e.StorageClassFound = false }, unschedulable(unboundClaims)),
		expose.StorageClassMissing, false, `storage class "fast" not found`),
	Entry("a class that is gone after the backupPVC was bound does not matter",
		exposed(bound, func(e *expose.Exposed) { e.StorageClassFound = false }), expose.WaitingForBackupPod, true),
	Entry("provisioner error, in its own words, and not the scheduler's complaint about it",
		exposed(unschedulable(unboundClaims), warning("PersistentVolumeClaim", "ProvisioningFailed", "rpc error:\n  no space left", 0)),
		expose.ProvisioningFailed, false, "ProvisioningFailed: rpc error: no space left", "ReadWriteOnce"),
	Entry("the newest of several errors",
		exposed(warning("PersistentVolumeClaim", "ProvisioningFailed", "new", 2*time.Minute),
			warning("PersistentVolumeClaim", "ProvisioningFailed", "old", time.Minute)),
		expose.ProvisioningFailed, false, "new"),
	Entry("backupPVC lost its volume", exposed(func(e *expose.Exposed) {
		e.PVC.Status.Phase, e.PVC.Spec.VolumeName = corev1.ClaimLost, "pv-7"
	}), expose.ProvisioningFailed, false, "pv-7"),
	Entry("scheduler waits for the backupPVC: no news", exposed(unschedulable(unboundClaims)), expose.WaitingForBackupPVC, true),
	Entry("scheduler has not seen yet that the backupPVC is bound", exposed(bound, unschedulable(unboundClaims)),
		expose.Unschedulable, true, "unbound immediate PersistentVolumeClaims"),
	Entry("no node fits", exposed(bound, unschedulable("0/3 nodes are available: 3 Insufficient cpu.")),
		expose.Unschedulable, false, "3 Insufficient cpu."),
	Entry("no node fits, and the class waits for one",
		exposed(func(e *expose.Exposed) { e.DelayedBinding = true }, unschedulable("0/3 nodes are available: 3 Insufficient cpu.")),
		expose.Unschedulable, false, "3 Insufficient cpu."),
	Entry("image cannot be pulled", exposed(bound, containerWaiting("ImagePullBackOff", "Back-off pulling image")),
		expose.ImagePullFailed, false, "registry/agent:v1", "Back-off pulling image"),
	Entry("container cannot be made", exposed(bound, containerWaiting("CreateContainerConfigError", `secret "x" not found`)),
		expose.ContainerNotStarting, false, `secret "x" not found`),
	Entry("container is being made", exposed(bound, containerWaiting("ContainerCreating", "")), expose.WaitingForBackupPod, true),
	Entry("volume cannot be mounted", exposed(bound, warning("Pod", "FailedMount", "permission denied", 0)),
		expose.MountFailed, false, "FailedMount: permission denied"),
	Entry("an old word of the scheduler is no mount failure", exposed(bound, warning("Pod", "FailedScheduling", "earlier", 0)),
		expose.WaitingForBackupPod, true),
)

var _ = DescribeTable("why a VolumeSnapshot is not ready", func(status *snapshotv1.VolumeSnapshotStatus, code string, words string) {
	snapshot := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}, Status: status}
	Expect(expose.IsReady(snapshot)).To(BeFalse())
	reason := expose.Snapshot(snapshot)
	Expect(reason.Code).To(Equal(code))
	Expect(reason.Message).To(And(ContainSubstring("shop/s"), ContainSubstring(words)))
	Expect(reason.Expected).To(Equal(code == expose.WaitingForVolumeSnapshot))
},
	Entry("new", nil, expose.WaitingForVolumeSnapshot, "not bound"),
	Entry("not bound", &snapshotv1.VolumeSnapshotStatus{ReadyToUse: new(true)}, expose.WaitingForVolumeSnapshot, "not bound"),
	Entry("bound", &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("c")},
		expose.WaitingForVolumeSnapshot, "not ready to use"),
	Entry("failed", &snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("quota")}},
		expose.VolumeSnapshotError, "quota"),
)
