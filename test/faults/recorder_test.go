package faults

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/cluster"
)

// recorder writes Events at once, where the real one would a moment later, so that they are counted and meet faults like
// other calls. Like the real one it tells nobody when it fails.
type recorder struct{ client client.Client }

// Eventf writes an Event.
func (r *recorder) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	about := regarding.(v2alpha1.Transfer)
	_ = r.client.Create(context.Background(), &eventsv1.Event{
		// As with the real one, the name is whole: the API server takes none that is to be generated behind a dot.
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Velero, Name: fmt.Sprintf("%s.%s", about.GetName(), uuid.NewUUID())},
		Regarding: corev1.ObjectReference{
			Kind: about.TransferKind(), Namespace: about.GetNamespace(), Name: about.GetName(), UID: about.GetUID(),
		},
		EventTime: metav1.NowMicro(), ReportingController: "node-agent", ReportingInstance: "node-agent-test",
		Type: kind, Reason: reason, Action: action, Note: fmt.Sprintf(note, args...),
	})
}
