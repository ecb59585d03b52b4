package datadownload

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

// bindVolume makes the target PVC the owner of the volume.
func (r *Reconciler) bindVolume(ctx context.Context, _ *scope, h *handOver) (string, error) {
	if expose.BelongsTo(h.pv, h.target) {
		return "", nil
	}
	return "", r.patch(ctx, h, "handing over", func(pv *corev1.PersistentVolume) { expose.BindVolume(pv, h.target) })
}

// awaitBound waits for Kubernetes, which has nothing to decide any more.
func (r *Reconciler) awaitBound(_ context.Context, _ *scope, h *handOver) (string, error) {
	if h.bound() {
		return "", nil
	}
	return "waiting until Kubernetes binds the two", nil
}

// unmark gives the volume the reclaim policy that it was made with, and takes our marks from it.
func (r *Reconciler) unmark(ctx context.Context, _ *scope, h *handOver) (string, error) {
	return "", r.patch(ctx, h, "giving back", func(pv *corev1.PersistentVolume) { expose.Unmark(pv) })
}
