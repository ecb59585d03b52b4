package waiting_test

import (
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// uploading are the words for what is made for DataUploads.
var uploading = expose.WordsFor(v2alpha1.KindDataUpload)

// exposed is a healthy backupPVC and pod that were made a moment ago.
func exposed(changes ...func(*waiting.Exposed)) waiting.Exposed {
	e := waiting.Exposed{Words: uploading, Class: "gold", StorageClassFound: true, Provisioner: "disks.example.com"}
	remake(&e, config.BackupPVC{})
	for _, change := range changes {
		change(&e)
	}
	return e
}

func bound(e *waiting.Exposed) { e.PVC.Status.Phase = corev1.ClaimBound }

func unschedulable(message string) func(*waiting.Exposed) {
	return func(e *waiting.Exposed) {
		e.Pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message,
		}}
	}
}

func containerWaiting(reason, message string) func(*waiting.Exposed) {
	return func(e *waiting.Exposed) {
		e.Pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: uid, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	}
}

// event was seen for the first time at, and for the last time some minutes later.
func event(kind, reason, message string, at, last time.Duration) func(*waiting.Exposed) {
	return func(e *waiting.Exposed) {
		start := time.Unix(1_800_000_000, 0)
		e.Events = append(e.Events, corev1.Event{
			InvolvedObject: corev1.ObjectReference{Kind: kind}, Type: corev1.EventTypeNormal, Reason: reason, Message: message,
			FirstTimestamp: metav1.NewTime(start.Add(at)), LastTimestamp: metav1.NewTime(start.Add(last)),
		})
	}
}

func warning(kind, reason, message string, at time.Duration) func(*waiting.Exposed) {
	return repeated(kind, reason, message, at, at)
}

// repeated is a warning that was seen again.
func repeated(kind, reason, message string, at, last time.Duration) func(*waiting.Exposed) {
	return func(e *waiting.Exposed) {
		event(kind, reason, message, at, last)(e)
		e.Events[len(e.Events)-1].Type = corev1.EventTypeWarning
	}
}

func withoutPod(e *waiting.Exposed) { e.Pod = nil }

func late(e *waiting.Exposed) { e.DelayedBinding = true }

// readOnly makes backupPVC and pod as readOnly: true does.
func readOnly(e *waiting.Exposed) {
	section := config.BackupPVC{ReadOnly: true}
	remake(e, section)
}

func onePod(e *waiting.Exposed) {
	remake(e, config.BackupPVC{ReadWriteOncePod: true})
}

func readOnlySPC(e *waiting.Exposed) {
	remake(e, config.BackupPVC{ReadOnly: true, SPCNoRelabeling: true})
}

func remake(e *waiting.Exposed, section config.BackupPVC) {
	e.PVC, e.Pod = backup(section)
	e.PVC.Status.Phase, e.Pod.Status.Phase = corev1.ClaimPending, corev1.PodPending
}

// relabel is what containerd says where SELinux is on and the volume is mounted read-only.
const relabel = `failed to generate spec: relabel "/var/lib/kubelet/pods/86e8ad89/volumes/kubernetes.io~csi/pvc/mount" with ` +
	`"system_u:object_r:container_file_t:s0:c442,c843" failed: lsetxattr /var/lib/kubelet/pods/86e8ad89: read-only file system`

const unboundClaims = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: not helpful"

var _ = DescribeTable("why the backup pod does not run yet", func(e waiting.Exposed, code string, expected bool, words ...string) {
	reason := waiting.Explain(e)
	Expect(reason.Code).To(Equal(code))
	Expect(reason.Expected).To(Equal(expected), reason.Message)
	for _, word := range words {
		Expect(reason.Text()).To(ContainSubstring(word))
	}
	Expect(reason.Text()).NotTo(ContainSubstring("\n"))
	if e.PVC.Status.Phase == corev1.ClaimBound {
		Expect(reason.Text()).NotTo(ContainSubstring("unbound"))
	}
},
	Entry("nothing wrong, backupPVC on its way", exposed(),
		uploading.WaitingForPVCCode, true, `velero/backup-1-x7k2p (storage class "fast", ReadWriteOnce) is not bound yet`,
		"provisioner disks.example.com has not made its volume"),
	Entry("nothing wrong, pod on its way", exposed(bound), uploading.WaitingForPodCode, true, "is not running yet"),
	Entry("nothing wrong, pod on its node", exposed(bound, func(e *waiting.Exposed) { e.Pod.Spec.NodeName = "node-7" }),
		uploading.WaitingForPodCode, true, "is not running yet on node node-7"),
	Entry("nothing wrong, class waits for the pod", exposed(late),
		waiting.WaitingForFirstConsumer, true, "is provisioned when the scheduler has chosen a node"),
	Entry("nothing wrong, node chosen", exposed(late, func(e *waiting.Exposed) {
		e.PVC.Annotations = map[string]string{"volume.kubernetes.io/selected-node": "node-7"}
	}), uploading.WaitingForPVCCode, true, "is being provisioned for node node-7"),
	Entry("storage class missing", exposed(func(e *waiting.Exposed) { e.StorageClassFound = false }, unschedulable(unboundClaims)),
		waiting.StorageClassMissing, false, `storage class "fast" not found`),
	Entry("no pod yet, backupPVC on its way", exposed(withoutPod), uploading.WaitingForPVCCode, true, "is not bound yet"),
	Entry("no pod yet, and the provisioner complains",
		exposed(withoutPod, warning("PersistentVolumeClaim", "ProvisioningFailed", "no space left", 0)),
		waiting.ProvisioningFailed, false, "no space left"),
	Entry("no storage class, as of a restorePVC", exposed(unschedulable(unboundClaims), func(e *waiting.Exposed) {
		e.PVC.Spec.StorageClassName, e.StorageClassFound = new(""), false
	}), waiting.StorageClassMissing, false, "velero/backup-1-x7k2p has no storage class, so nobody makes a volume for it; make a PersistentVolume"),
	Entry("a volume without storage class that is lost", exposed(func(e *waiting.Exposed) {
		e.PVC.Spec.StorageClassName, e.StorageClassFound, e.PVC.Status.Phase = new(""), false, corev1.ClaimLost
	}), waiting.ProvisioningFailed, false, "has lost its persistent volume"),
	Entry("a class that is gone after the backupPVC was bound does not matter",
		exposed(bound, func(e *waiting.Exposed) { e.StorageClassFound = false }), uploading.WaitingForPodCode, true),
	Entry("provisioner error, in its own words, and not the scheduler's complaint about it",
		exposed(unschedulable(unboundClaims), warning("PersistentVolumeClaim", "ProvisioningFailed", "rpc error:\n  no space left", 0)),
		waiting.ProvisioningFailed, false, "ProvisioningFailed: rpc error: no space left", "ReadWriteOnce"),
	Entry("the newest of several errors",
		exposed(warning("PersistentVolumeClaim", "ProvisioningFailed", "new", 2*time.Minute),
			warning("PersistentVolumeClaim", "ProvisioningFailed", "old", time.Minute)),
		waiting.ProvisioningFailed, false, "new"),
	Entry("backupPVC lost its volume", exposed(func(e *waiting.Exposed) {
		e.PVC.Status.Phase, e.PVC.Spec.VolumeName = corev1.ClaimLost, "pv-7"
	}), waiting.ProvisioningFailed, false, "pv-7"),
	Entry("scheduler waits for the backupPVC: no news", exposed(unschedulable(unboundClaims)), uploading.WaitingForPVCCode, true),
	Entry("scheduler has not seen yet that the backupPVC is bound", exposed(bound, unschedulable(unboundClaims)),
		uploading.WaitingForPodCode, true, "is not scheduled yet"),
	Entry("no node fits", exposed(bound, unschedulable("0/3 nodes are available: 3 Insufficient cpu.")),
		waiting.Unschedulable, false, "3 Insufficient cpu."),
	Entry("no node fits, and the class waits for one",
		exposed(late, unschedulable("0/3 nodes are available: 3 Insufficient cpu.")),
		waiting.Unschedulable, false, "3 Insufficient cpu."),
	Entry("the autoscaler starts a node", exposed(late, unschedulable("0/3 nodes are available: 3 Insufficient cpu."),
		event("Pod", "NotTriggerScaleUp", "in backoff", 0, 0),
		event("Pod", "TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 8)}]", 0, time.Minute)),
		waiting.WaitingForAutoscaler, true, "waits for a node", "pool 1->2 (max: 8)"),
	Entry("Karpenter starts a node", exposed(bound, unschedulable("0/3 nodes are available: 3 Insufficient cpu."),
		event("Pod", "Nominated", "Pod should schedule on: nodeclaim/default-cvkcv", 0, 0)),
		waiting.WaitingForAutoscaler, true, "nodeclaim/default-cvkcv"),
	Entry("the autoscaler does not help", exposed(bound, unschedulable("0/3 nodes are available: 3 Insufficient cpu."),
		event("Pod", "TriggeredScaleUp", "pod triggered scale-up", 0, 0),
		event("Pod", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", 0, time.Minute)),
		waiting.Unschedulable, false, "3 Insufficient cpu.", "autoscaler: pod didn't trigger scale-up: 1 max node group size reached"),
	Entry("Karpenter does not help", exposed(bound, unschedulable("0/3 nodes are available: 3 Insufficient cpu."),
		warning("Pod", "FailedScheduling", "of the scheduler", time.Minute),
		warning("Pod", "FailedScheduling", "incompatible with nodepool", 0), func(e *waiting.Exposed) {
			e.Events[1].ReportingController = "karpenter"
		}),
		waiting.Unschedulable, false, "3 Insufficient cpu.", "autoscaler: incompatible with nodepool"),
	Entry("what the autoscaler did for a pod that has a node by now", exposed(bound, event("Pod", "TriggeredScaleUp", "x", 0, 0)),
		uploading.WaitingForPodCode, true),
	Entry("image cannot be pulled, and nothing says why",
		exposed(bound, containerWaiting("ImagePullBackOff", `Back-off pulling image "registry/agent:v1"`)),
		waiting.ImagePullFailed, false, `cannot pull image registry/agent:v1: Back-off pulling image`),
	Entry("secret of a container is missing", exposed(bound, containerWaiting("CreateContainerConfigError", "")),
		waiting.ContainerNotStarting, false, "does not start: CreateContainerConfigError"),
	Entry("container cannot be made", exposed(bound, containerWaiting("CreateContainerConfigError", `secret "x" not found`)),
		waiting.ContainerNotStarting, false, `secret "x" not found`),
	Entry("container is being made", exposed(bound, containerWaiting("ContainerCreating", "")), uploading.WaitingForPodCode, true),
	Entry("volume cannot be mounted", exposed(bound, warning("Pod", "FailedMount", "permission denied", 0)),
		waiting.MountFailed, false, "FailedMount: permission denied"),
	Entry("volume cannot be attached, and the kubelet only says that it waits", exposed(bound,
		warning("Pod", "FailedAttachVolume", "Multi-Attach error for volume", 0),
		warning("Pod", "FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition", time.Minute)),
		waiting.MountFailed, false, "FailedAttachVolume: Multi-Attach error for volume"),
	Entry("two complaints in turn: the one that came up last",
		exposed(bound, repeated("Pod", "FailedMount", "new", time.Minute, 9*time.Minute), repeated("Pod", "FailedMount", "old", 0, 10*time.Minute)),
		waiting.MountFailed, false, "FailedMount: new"),
	Entry("a complaint that is long over",
		exposed(bound, repeated("Pod", "FailedMount", "over", time.Minute, 2*time.Minute), repeated("Pod", "FailedMount", "again", 0, 10*time.Minute)),
		waiting.MountFailed, false, "FailedMount: again"),
	Entry("many complaints that client-go has made one", exposed(bound, warning("Pod", "FailedMount", "(combined from similar events): denied", 0)),
		waiting.MountFailed, false, "FailedMount: denied"),
	Entry("no network for the pod", exposed(bound, warning("Pod", "FailedCreatePodSandBox", "plugin type calico failed", 0)),
		waiting.ContainerNotStarting, false, "FailedCreatePodSandBox: plugin type calico failed"),
	Entry("a warning of no consequence", exposed(bound, warning("Pod", "DNSConfigForming", "Nameserver limits were exceeded", 0)),
		uploading.WaitingForPodCode, true),
	Entry("driver without ReadOnlyMany, at provisioning", exposed(readOnly, warning("PersistentVolumeClaim", "ProvisioningFailed",
		"rpc error: code = InvalidArgument desc = Volume capabilities MULTI_NODE_READER_ONLY not supported", 0)),
		waiting.ReadOnlyManyUnsupported, false, "MULTI_NODE_READER_ONLY not supported", "readOnly needs a CSI driver", "remove backupPVC.gold.readOnly"),
	Entry("driver without ReadWriteOncePod", exposed(onePod, warning("PersistentVolumeClaim", "ProvisioningFailed",
		"CSI driver does not support access mode SINGLE_NODE_SINGLE_WRITER", 0)),
		waiting.ReadWriteOncePodRefused, false, "ReadWriteOncePod): ProvisioningFailed", "remove backupPVC.gold.readWriteOncePod"),
	Entry("the same words about a volume that is not ReadOnlyMany", exposed(warning("PersistentVolumeClaim", "ProvisioningFailed",
		"Volume capabilities not supported", 0)), waiting.ProvisioningFailed, false),
	Entry("another error of a driver that was asked for ReadOnlyMany", exposed(readOnly, warning("PersistentVolumeClaim", "ProvisioningFailed",
		"no space left", 0)), waiting.ProvisioningFailed, false, "ReadOnlyMany): ProvisioningFailed: no space left"),
	Entry("driver without ReadOnlyMany, at mounting", exposed(readOnly, bound, warning("Pod", "FailedMount",
		"MountVolume.SetUp failed: rpc error: code = InvalidArgument desc = Volume capability not supported", 0)),
		waiting.MountFailed, false, "Volume capability not supported", "remove backupPVC.gold.readOnly"),
	Entry("file system that wants to be repaired", exposed(readOnly, bound, warning("Pod", "FailedMount",
		"mount failed: recovery required on readonly filesystem", 0)), waiting.MountFailed, false, "remove backupPVC.gold.readOnly"),
	Entry("a complaint about a class that has come to be", exposed(warning("PersistentVolumeClaim", "ProvisioningFailed",
		`storageclass.storage.k8s.io "fast" not found`, 0)), uploading.WaitingForPVCCode, true),
	Entry("label of a read-only volume", exposed(readOnly, bound, containerWaiting("CreateContainerError", relabel)),
		waiting.SELinuxRelabelFailed, false, "read-only file system", "backupPVC.gold.spcNoRelabeling: true"),
	Entry("label of a read-only volume with spc_t", exposed(readOnlySPC, bound, containerWaiting("CreateContainerError", relabel)),
		waiting.ContainerNotStarting, false, "read-only file system"),
	Entry("label of a volume that may be written", exposed(bound, containerWaiting("CreateContainerError", relabel)),
		waiting.ContainerNotStarting, false, "read-only file system"),
	Entry("an old word of the scheduler is no mount failure", exposed(bound, warning("Pod", "FailedScheduling", "earlier", 0)),
		uploading.WaitingForPodCode, true),
)

var _ = DescribeTable("the setting that a hint names", func(class, prefix string) {
	of := func(changes ...func(*waiting.Exposed)) string {
		return waiting.Explain(exposed(append(changes, func(e *waiting.Exposed) { e.Class = class })...)).Text()
	}
	refused := warning("PersistentVolumeClaim", "ProvisioningFailed", "access mode not supported", 0)
	Expect(of(readOnly, refused)).To(ContainSubstring("remove " + prefix + ".readOnly from"))
	Expect(of(onePod, refused)).To(ContainSubstring("remove " + prefix + ".readWriteOncePod from"))
	Expect(of(readOnly, bound, containerWaiting("CreateContainerError", relabel))).To(ContainSubstring(prefix + ".spcNoRelabeling: true"))
	Expect(waiting.Refused("backup pod", class, `violates PodSecurity "baseline:latest": type "spc_t"`).Text()).
		To(ContainSubstring(prefix + ".spcNoRelabeling asks for"))
},
	Entry("is that of the class", "gold", "backupPVC.gold"),
	Entry("is in quotes where it would not be one word", "gold.example.com", `backupPVC["gold.example.com"]`),
	Entry("is that of volumes without a class", "", `backupPVC[""]`),
)

var _ = DescribeTable("why a VolumeSnapshot is not ready", func(status *snapshotv1.VolumeSnapshotStatus, code string, words string) {
	snapshot := &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}, Status: status}
	Expect(expose.IsReady(snapshot)).To(BeFalse())
	reason := waiting.ForSnapshot(snapshot)
	Expect(reason.Code).To(Equal(code))
	Expect(reason.Text()).To(And(ContainSubstring("shop/s"), ContainSubstring(words)))
	Expect(reason.Expected).To(Equal(code == waiting.WaitingForVolumeSnapshot))
},
	Entry("new", nil, waiting.WaitingForVolumeSnapshot, "not bound"),
	Entry("not bound", &snapshotv1.VolumeSnapshotStatus{ReadyToUse: new(true)}, waiting.WaitingForVolumeSnapshot, "not bound"),
	Entry("bound", &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: new("c")},
		waiting.WaitingForVolumeSnapshot, "not ready to use"),
	Entry("failed", &snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("quota")}},
		waiting.VolumeSnapshotError, "quota"),
)

var _ = Describe("an image that cannot be pulled", func() {
	const cause = "rpc error: code = NotFound desc = registry/agent:v1: not found"

	It("has one cause, whatever the kubelet is doing about it", func() {
		pulled := warning("Pod", "Failed", `Failed to pull image "registry/agent:v1": `+cause, 0)
		for _, state := range [][2]string{
			{"ErrImagePull", cause},
			{"ImagePullBackOff", `Back-off pulling image "registry/agent:v1"`},
			{"ImagePullBackOff", `Back-off pulling image "registry/agent:v1": ErrImagePull: ` + cause},
		} {
			reason := waiting.Explain(exposed(bound, pulled, warning("Pod", "Failed", "Error: ErrImagePull", time.Second), containerWaiting(state[0], state[1])))
			Expect(reason.Code).To(Equal(waiting.ImagePullFailed))
			Expect(reason.Text()).To(Equal("backup pod velero/backup-1-x7k2p cannot pull image registry/agent:v1: "+cause), state[1])
		}
	})
})
