package dataupload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// slots are what the DataUploads that are prepared on a node wait for: no more than the configuration says may move data
// there at a time.
var slots = line{waits: isPrepared, passed: holdsSlot}

func isPrepared(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == prepared
}

func holdsSlot(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == inProgress || du.Status.Phase == canceling
}

// slotsOf returns how many DataUploads may move data on a node at a time. A node that is not known has no labels.
func (r *Reconciler) slotsOf(ctx context.Context, name string) (int, error) {
	node := &corev1.Node{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, node); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading node %s: %w", name, err)
	}
	return r.Config().Concurrency(node.Labels), nil
}
