package transfer

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// nodeNotReady is the code of waiting for a node whose kubelet is silent.
const nodeNotReady = "NodeNotReady"

// silenceLimit is how long a node may be silent before its pods are given up, whatever taints they tolerate. It is as long as
// the cluster waits by default before it evicts them, and their movers have ended themselves if they are cut off, too.
const silenceLimit = 5*time.Minute + attempts.Lease

// lostWithNode tells whether the pod is lost with its node. The pod itself shows that late or never: nobody is left
// to report its end.
func (e *Engine) lostWithNode(ctx context.Context, s *Scope) (loss, error) {
	name := s.Pod.Spec.NodeName
	if name == "" {
		return loss{}, nil
	}
	node, err := e.node(ctx, name)
	switch {
	case err != nil:
		return loss{}, err
	case node == nil:
		return loss{cause: causeNodeGone, words: fmt.Sprintf("node %s is gone", name)}, nil
	case IsDeleting(s.Pod) && notReady(node) != "":
		words := fmt.Sprintf("node %s is not ready (%s), and the cluster deletes its pods", name, notReady(node))
		return loss{cause: causeNodeGone, words: words}, nil
	case !s.Now.Before(givenUpAt(node, s.Now)):
		words := fmt.Sprintf("node %s has not been ready for %s (%s)", name, silenceLimit, notReady(node))
		return loss{cause: causeNodeGone, words: words}, nil
	default:
		return loss{}, nil
	}
}

// silentNode explains that a pod is on a node which is not ready. It may run on, and the node may come back, so that
// nothing is given up at once.
func (e *Engine) silentNode(ctx context.Context, s *Scope) (waiting.Reason, error) {
	node, err := e.node(ctx, s.Pod.Spec.NodeName)
	if err != nil || node == nil || notReady(node) == "" {
		return waiting.Reason{}, err
	}
	return waiting.Reason{
		Code: nodeNotReady,
		Message: fmt.Sprintf("node %s is not ready (%s): waiting for it to come back, for at most %s, or for the cluster to evict the %s",
			node.Name, notReady(node), silenceLimit, e.kind.Words.Pod),
	}, nil
}

// nodeGone tells whether the node of a pod is gone.
func (e *Engine) nodeGone(ctx context.Context, pod *corev1.Pod) (bool, error) {
	if pod.Spec.NodeName == "" {
		return false, nil
	}
	node, err := e.node(ctx, pod.Spec.NodeName)
	return err == nil && node == nil, err
}

// node reads a node; nil if there is none. The cache may not know one yet that has just joined.
func (e *Engine) node(ctx context.Context, name string) (*corev1.Node, error) {
	node := &corev1.Node{}
	err := e.getSeenOrLive(ctx, name, node)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading node %s: %w", name, err)
	default:
		return node, nil
	}
}

// notReady says why a node is not ready, or nothing if it is. One without the condition has not been judged yet.
func notReady(node *corev1.Node) string {
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
			return condition.LastTransitionTime.Add(silenceLimit)
		}
	}
	return now.Add(silenceLimit)
}

// changesReadiness tells whether a node became ready, or ceased to be.
func changesReadiness(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*corev1.Node), e.ObjectNew.(*corev1.Node)
	return notReady(before) != notReady(after)
}
