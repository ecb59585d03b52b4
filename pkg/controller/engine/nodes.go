package engine

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/controller/moverpod"
)

// nodeFacts reduces a Node in the cache to what decisions are made from: its labels, its taints and whether it is ready.
// The rest, above all the list of images, is many times as large, and it changes far more often.
func nodeFacts(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil // the tombstone of a deletion that the watch has missed
	}
	ready := slices.DeleteFunc(slices.Clone(node.Status.Conditions), func(c corev1.NodeCondition) bool {
		return c.Type != corev1.NodeReady
	})
	return &corev1.Node{
		TypeMeta: node.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion,
			DeletionTimestamp: node.DeletionTimestamp, Labels: node.Labels,
		},
		Spec:   corev1.NodeSpec{Taints: node.Spec.Taints},
		Status: corev1.NodeStatus{Conditions: ready},
	}, nil
}

// onNode leads from a node to what moves data on it, or is going to.
func (e *Engine) onNode(ctx context.Context, obj client.Object) []reconcile.Request {
	return e.list(ctx, client.MatchingFields{nodeIndex: obj.GetName()})
}

// changesReadiness tells whether a node became ready, or ceased to be.
func changesReadiness(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*corev1.Node), e.ObjectNew.(*corev1.Node)
	return moverpod.NotReady(before) != moverpod.NotReady(after)
}
