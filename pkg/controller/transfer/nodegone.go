package transfer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// nodeNotReady is the code of waiting for a node whose kubelet is silent.
const nodeNotReady = "NodeNotReady"

// lostWithNode tells whether the pod is lost with its node. The pod itself shows that late or never: nobody is left
// to report its end.
func (e Steps) lostWithNode(ctx context.Context, s *engine.Scope) (moverpod.Loss, error) {
	if s.Pod.Spec.NodeName == "" {
		return moverpod.Loss{}, nil
	}
	node, err := e.node(ctx, s.Pod.Spec.NodeName)
	if err != nil {
		return moverpod.Loss{}, err
	}
	return moverpod.LossWith(node, s.Pod, s.Now), nil
}

// silentNode explains that a pod is on a node which is not ready. It may run on, and the node may come back, so that
// nothing is given up at once.
func (e Steps) silentNode(ctx context.Context, s *engine.Scope) (waiting.Reason, error) {
	node, err := e.node(ctx, s.Pod.Spec.NodeName)
	if err != nil || node == nil || moverpod.NotReady(node) == "" {
		return waiting.Reason{}, err
	}
	return waiting.Reason{
		Code: nodeNotReady,
		Message: fmt.Sprintf("node %s is not ready (%s): waiting for it to come back, for at most %s, or for the cluster to evict the %s",
			node.Name, moverpod.NotReady(node), moverpod.SilenceLimit, e.Kind.Words.Pod),
	}, nil
}

// nodeGone tells whether the node of a pod is gone.
func (e Steps) nodeGone(ctx context.Context, pod *corev1.Pod) (bool, error) {
	if pod.Spec.NodeName == "" {
		return false, nil
	}
	node, err := e.node(ctx, pod.Spec.NodeName)
	return err == nil && node == nil, err
}

// node reads a node; nil if there is none. The cache may not know one yet that has just joined.
func (e Steps) node(ctx context.Context, name string) (*corev1.Node, error) {
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
