package expose

import (
	"fmt"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
)

// Reason says what a DataUpload waits for.
type Reason struct {
	// Code is one CamelCase word, used as the reason of Events.
	Code string
	// Message is for people, in the words of the component that knows.
	Message string
	// Expected marks a wait that is part of a healthy run; it is mentioned only if it lasts.
	Expected bool
}

// Codes of reasons.
const (
	WaitingForVolumeSnapshot = "WaitingForVolumeSnapshot"
	VolumeSnapshotError      = "VolumeSnapshotError"
	VolumeSnapshotMissing    = "VolumeSnapshotMissing"
	WaitingForBackupPVC      = "WaitingForBackupPVC"
	StorageClassMissing      = "StorageClassMissing"
	ProvisioningFailed       = "ProvisioningFailed"
	WaitingForBackupPod      = "WaitingForBackupPod"
	Unschedulable            = "Unschedulable"
	ImagePullFailed          = "ImagePullFailed"
	ContainerNotStarting     = "ContainerNotStarting"
	MountFailed              = "MountFailed"
)

// Snapshot explains why a VolumeSnapshot is not ready.
func Snapshot(snapshot *snapshotv1.VolumeSnapshot) Reason {
	name := snapshot.Namespace + "/" + snapshot.Name
	if message := snapshotError(snapshot); message != "" {
		return Reason{Code: VolumeSnapshotError, Message: fmt.Sprintf("volumesnapshot %s: %s", name, message)}
	}
	if BoundContent(snapshot) == "" {
		return Reason{
			Code: WaitingForVolumeSnapshot, Expected: true,
			Message: fmt.Sprintf("volumesnapshot %s is not bound to a volumesnapshotcontent yet", name),
		}
	}
	return Reason{
		Code: WaitingForVolumeSnapshot, Expected: true,
		Message: fmt.Sprintf("volumesnapshot %s is not ready to use yet", name),
	}
}

func snapshotError(snapshot *snapshotv1.VolumeSnapshot) string {
	if snapshot.Status == nil || snapshot.Status.Error == nil || snapshot.Status.Error.Message == nil {
		return ""
	}
	return *snapshot.Status.Error.Message
}

// Exposed is what is known about a backupPVC and its backup pod that are not ready.
type Exposed struct {
	PVC *corev1.PersistentVolumeClaim
	Pod *corev1.Pod
	// StorageClassFound tells whether the backupPVC's storage class exists.
	StorageClassFound bool
	// Warnings are Warning Events about the PVC and the pod.
	Warnings []corev1.Event
	// DelayedBinding tells whether the storage class waits for the pod to be scheduled.
	DelayedBinding bool
}

// Explain says why the backup pod does not run yet: the cause, not the symptom, so the backupPVC is looked at before
// the pod that waits for it.
func Explain(e Exposed) Reason {
	if e.PVC.Status.Phase != corev1.ClaimBound {
		if reason := explainPVC(e); !reason.Expected {
			return reason
		}
	}
	if reason := explainPod(e); !reason.Expected {
		return reason
	}
	if e.PVC.Status.Phase != corev1.ClaimBound && !e.DelayedBinding {
		return explainPVC(e)
	}
	return explainPod(e)
}

func explainPVC(e Exposed) Reason {
	name := e.PVC.Namespace + "/" + e.PVC.Name
	class := ""
	if e.PVC.Spec.StorageClassName != nil {
		class = *e.PVC.Spec.StorageClassName
	}
	switch {
	case !e.StorageClassFound:
		return Reason{
			Code:    StorageClassMissing,
			Message: fmt.Sprintf("backupPVC %s: storage class %q not found", name, class),
		}
	case e.PVC.Status.Phase == corev1.ClaimLost:
		return Reason{
			Code:    ProvisioningFailed,
			Message: fmt.Sprintf("backupPVC %s has lost its persistent volume %s", name, e.PVC.Spec.VolumeName),
		}
	}
	if event := latest(e.Warnings, "PersistentVolumeClaim"); event != nil {
		return Reason{
			Code: ProvisioningFailed,
			Message: fmt.Sprintf("backupPVC %s (storage class %q, %s): %s: %s",
				name, class, accessModes(e.PVC), event.Reason, oneLine(event.Message)),
		}
	}
	return Reason{
		Code: WaitingForBackupPVC, Expected: true,
		Message: fmt.Sprintf("backupPVC %s (storage class %q, %s) is not bound yet", name, class, accessModes(e.PVC)),
	}
}

func explainPod(e Exposed) Reason {
	name := e.Pod.Namespace + "/" + e.Pod.Name
	for _, status := range slices.Concat(e.Pod.Status.InitContainerStatuses, e.Pod.Status.ContainerStatuses) {
		if reason, found := explainContainer(name, e.Pod, status); found {
			return reason
		}
	}
	if message := unscheduled(e.Pod); message != "" {
		return Reason{
			Code: Unschedulable,
			// The scheduler's complaint about a backupPVC on its way is no news, and it stands for a moment longer.
			Expected: mentionsClaim(message),
			Message:  fmt.Sprintf("backup pod %s cannot be scheduled: %s", name, oneLine(message)),
		}
	}
	if event := latest(e.Warnings, "Pod"); event != nil && event.Reason != "FailedScheduling" {
		return Reason{
			Code:    MountFailed,
			Message: fmt.Sprintf("backup pod %s: %s: %s", name, event.Reason, oneLine(event.Message)),
		}
	}
	return Reason{
		Code: WaitingForBackupPod, Expected: true,
		Message: fmt.Sprintf("backup pod %s is not running yet", name),
	}
}

func explainContainer(pod string, spec *corev1.Pod, status corev1.ContainerStatus) (Reason, bool) {
	waiting := status.State.Waiting
	if waiting == nil {
		return Reason{}, false
	}
	text := waiting.Reason
	if waiting.Message != "" {
		text += ": " + oneLine(waiting.Message)
	}
	switch waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable":
		return Reason{
			Code:    ImagePullFailed,
			Message: fmt.Sprintf("backup pod %s cannot pull image %s: %s", pod, imageOf(spec, status.Name), text),
		}, true
	case "", "ContainerCreating", "PodInitializing":
		return Reason{}, false
	default:
		return Reason{
			Code:    ContainerNotStarting,
			Message: fmt.Sprintf("backup pod %s: container does not start: %s", pod, text),
		}, true
	}
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

// mentionsClaim recognises what the scheduler says of a pod whose PVC is not bound.
func mentionsClaim(message string) bool {
	return strings.Contains(message, "unbound immediate PersistentVolumeClaims") ||
		strings.Contains(message, "persistentvolumeclaim")
}

func accessModes(pvc *corev1.PersistentVolumeClaim) string {
	modes := make([]string, 0, len(pvc.Spec.AccessModes))
	for _, mode := range pvc.Spec.AccessModes {
		modes = append(modes, string(mode))
	}
	return strings.Join(modes, ",")
}

// latest is the newest of the events about objects of a kind.
func latest(events []corev1.Event, kind string) *corev1.Event {
	var newest *corev1.Event
	for i := range events {
		event := &events[i]
		if event.InvolvedObject.Kind == kind && (newest == nil || eventTime(newest) < eventTime(event)) {
			newest = event
		}
	}
	return newest
}

func eventTime(event *corev1.Event) int64 {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.UnixMicro()
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.UnixMicro()
	case !event.EventTime.IsZero():
		return event.EventTime.UnixMicro()
	default:
		return event.CreationTimestamp.UnixMicro()
	}
}

// oneLine keeps a message of another component readable in a status column.
func oneLine(message string) string {
	return strings.Join(strings.Fields(message), " ")
}
