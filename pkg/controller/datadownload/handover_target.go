package datadownload

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

// nameVolume lets the target PVC name the volume, if it still is as it was seen: then nothing else can be bound to it.
func (r *Reconciler) nameVolume(ctx context.Context, _ *scope, h *handOver) (string, error) {
	if isFor(h.target, h.pv.Name) {
		return "", nil
	}
	before := h.target.DeepCopy()
	expose.BindTarget(h.target, h.pv.Name)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, h.target, patch); err != nil {
		return "", fmt.Errorf("letting target PVC %s/%s name volume %s: %w", h.target.Namespace, h.target.Name, h.pv.Name, err)
	}
	return "", nil
}
