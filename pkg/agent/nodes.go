package agent

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/metrics"
)

// countNodes lets each node of the cluster have its counters from the start: an agent that has just become the leader has counted
// nothing yet, and who looks at an increase does not see the first one of a counter that was not there before.
func countNodes(ctx context.Context, informers cache.Informers) error {
	informer, err := informers.GetInformer(ctx, &corev1.Node{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("getting an informer of nodes: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(node any) { metrics.BeginNode(nameOf(node)) },
		DeleteFunc: func(node any) { metrics.EndNode(nameOf(node)) },
	})
	if err != nil {
		return fmt.Errorf("watching nodes for the metrics: %w", err)
	}
	return nil
}

// nameOf is the name of an object, or of one whose deletion the watch has missed.
func nameOf(obj any) string {
	if tombstone, missed := obj.(toolscache.DeletedFinalStateUnknown); missed {
		obj = tombstone.Obj
	}
	if named, ok := obj.(client.Object); ok {
		return named.GetName()
	}
	return ""
}
