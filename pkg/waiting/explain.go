package waiting

import (
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

// ForSnapshot explains why a VolumeSnapshot is not ready.
func ForSnapshot(snapshot *snapshotv1.VolumeSnapshot) Reason {
	name := snapshot.Namespace + "/" + snapshot.Name
	if message := snapshotError(snapshot); message != "" {
		return Reason{Code: VolumeSnapshotError, Message: "volumesnapshot " + name, Quote: message}
	}
	if expose.BoundContent(snapshot) == "" {
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

// Exposed is what is known about a PVC made for a DataUpload or DataDownload and its pod that are not ready.
type Exposed struct {
	// Words name both.
	Words expose.Words
	PVC   *corev1.PersistentVolumeClaim
	// Pod is nil until it is made.
	Pod *corev1.Pod
	// Class is the storage class of the source PVC, under which section backupPVC of the configuration has the settings. Empty
	// for a DataDownload.
	Class string
	// StorageClassFound tells whether the storage class of PVC exists.
	StorageClassFound bool
	// Provisioner is who makes volumes of that class.
	Provisioner string
	// DelayedBinding tells whether that class waits for the pod to be scheduled.
	DelayedBinding bool
	// Events are about the PVC and the pod.
	Events []corev1.Event
}

// Explain says why the pod does not run yet, or is not made: the cause, not the symptom, so the PVC is looked at before the pod
// that waits for it.
func Explain(e Exposed) Reason {
	if e.Pod == nil {
		return explainPVC(e)
	}
	bound := e.PVC.Status.Phase == corev1.ClaimBound
	pvc, pod := explainPVC(e), explainPod(e)
	switch {
	case !bound && !pvc.Expected:
		return pvc
	case bound || !pod.Expected || e.DelayedBinding && pod.Code == WaitingForAutoscaler:
		return pod
	default:
		return pvc
	}
}
