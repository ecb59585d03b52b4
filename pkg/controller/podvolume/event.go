package podvolume

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// reason is that of the Event, action what is not done.
	reason = "NotSupported"
	action = "MoveData"

	// component is the source of Events, as in those on DataUploads.
	component = "node-agent"
)

// notes say what to do, for each kind.
var notes = map[string]string{
	kindBackup: "this node-agent does not move file-system backups, so nobody serves this PodVolumeBackup, and its backup waits " +
		"until its timeout. Put Velero's own image back into DaemonSet node-agent for file-system backups, or back the volume up " +
		"by snapshot (velero backup create --snapshot-move-data)",
	kindRestore: "this node-agent does not move file-system backups, so nobody serves this PodVolumeRestore, and its pod waits " +
		"for its data. Put Velero's own image back into DaemonSet node-agent, and this restore goes on",
}

// notSupported builds the Event. Its name follows from the object, so that there is one only.
func notSupported(about *unstructured.Unstructured, node string, now time.Time) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: about.GetNamespace(), Name: "not-supported." + string(about.GetUID())},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: component,
		ReportingInstance:   component + "-" + node,
		Action:              action,
		Reason:              reason,
		Type:                corev1.EventTypeWarning,
		Note:                notes[about.GetKind()],
		Regarding: corev1.ObjectReference{
			APIVersion: about.GetAPIVersion(), Kind: about.GetKind(),
			Namespace: about.GetNamespace(), Name: about.GetName(), UID: about.GetUID(),
		},
	}
}
