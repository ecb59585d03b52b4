package moverpod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/attempts"
)

// SilenceLimit is how long a node may be silent before its pods are given up, whatever taints they tolerate. It is as long as
// the cluster waits by default before it evicts them, and their movers have ended themselves if they are cut off, too.
const SilenceLimit = 5*time.Minute + attempts.Lease

// LossWith says how a pod that has been given to a node is lost with it, if it is. node is nil if there is none any more.
func LossWith(node *corev1.Node, pod *corev1.Pod, now time.Time) Loss {
	name := pod.Spec.NodeName
	switch {
	case node == nil:
		return Loss{Cause: causeNodeGone, Words: fmt.Sprintf("node %s is gone", name)}
	case !pod.DeletionTimestamp.IsZero() && NotReady(node) != "":
		words := fmt.Sprintf("node %s is not ready (%s), and the cluster deletes its pods", name, NotReady(node))
		return Loss{Cause: causeNodeGone, Words: words}
	case !now.Before(givenUpAt(node, now)):
		words := fmt.Sprintf("node %s has not been ready for %s (%s)", name, SilenceLimit, NotReady(node))
		return Loss{Cause: causeNodeGone, Words: words}
	default:
		return Loss{}
	}
}

// NotReady says why a node is not ready, or nothing if it is. One without the condition has not been judged yet.
func NotReady(node *corev1.Node) string {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return join(condition.Reason, condition.Message)
		}
	}
	return ""
}

// givenUpAt is when pods are given up whose node does not become ready: after now if it is, or nobody has said since when it is not.
func givenUpAt(node *corev1.Node, now time.Time) time.Time {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue && !condition.LastTransitionTime.IsZero() {
			return condition.LastTransitionTime.Add(SilenceLimit)
		}
	}
	return now.Add(SilenceLimit)
}
