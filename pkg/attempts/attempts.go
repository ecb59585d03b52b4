// Package attempts keeps on a DataUpload which attempts at moving its data were lost, and which snapshot the last one was
// about to save, so that neither a restart of the agent nor a change of leader forgets any. The CRD is Velero's and has no
// field for it, hence annotations.
package attempts

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Annotation holds the lost attempts as a JSON list, oldest first.
const Annotation = "node-agent.io/lost-attempts"

// SnapshotAnnotation holds the ID of the snapshot in the repository that the latest attempt was about to save. It is written
// before the snapshot is, so that there is none that nobody knows, and says nothing about whether it came about.
const SnapshotAnnotation = "node-agent.io/snapshot-id"

// Lost is an attempt whose backup pod did not come to an end of its own: nothing is wrong with the data.
type Lost struct {
	// Pod is the UID of the backup pod, empty if it was gone before anybody saw it.
	Pod types.UID `json:"pod,omitempty"`
	// Node is where the pod ran, empty if it never did.
	Node string `json:"node,omitempty"`
	// At is when the loss was noticed.
	At metav1.Time `json:"at"`
	// Ended says that its mover writes no more, for certain: the node has seen it end, or it never had its turn.
	Ended bool `json:"ended,omitempty"`
	// Reason says in words what happened to the pod.
	Reason string `json:"reason"`
}

// LostBy returns the lost attempts, oldest first. An annotation that cannot be read, since somebody edited it, counts
// as none.
func LostBy(obj metav1.Object) []Lost {
	var lost []Lost
	if err := json.Unmarshal([]byte(obj.GetAnnotations()[Annotation]), &lost); err != nil {
		return nil
	}
	return lost
}

// Number is the number of the attempt that runs or comes next, counted from 1.
func Number(obj metav1.Object) int {
	return len(LostBy(obj)) + 1
}

// IsLost tells whether a pod belongs to an attempt that was given up.
func IsLost(obj metav1.Object, pod types.UID) bool {
	return slices.ContainsFunc(LostBy(obj), func(l Lost) bool { return l.Pod == pod })
}

// Record adds a lost attempt.
func Record(obj metav1.Object, lost Lost) {
	list, err := json.Marshal(append(LostBy(obj), lost))
	if err != nil {
		panic(fmt.Sprintf("marshal lost attempts: %v", err)) // strings and a time can always be marshalled
	}
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[Annotation] = string(list)
	obj.SetAnnotations(annotations)
}

// About says which attempt a message is about, of how many there may be, and what became of those before. The first one is not
// mentioned.
func About(obj metav1.Object, most int, message string) string {
	number := Number(obj)
	if number == 1 {
		return message
	}
	head := fmt.Sprintf("attempt %d of %d", number, most)
	if message != "" {
		head += ": " + message
	}
	return head + "; " + History(obj)
}

// History says what became of the lost attempts.
func History(obj metav1.Object) string {
	var lines []string
	for i, lost := range LostBy(obj) {
		where := ""
		if lost.Node != "" {
			where = " on node " + lost.Node
		}
		lines = append(lines, fmt.Sprintf("attempt %d%s was lost: %s", i+1, where, lost.Reason))
	}
	return strings.Join(lines, "; ")
}
