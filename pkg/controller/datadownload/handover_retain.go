package datadownload

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

// retain keeps the volume before anything lets go of it.
func (r *Reconciler) retain(ctx context.Context, s *scope, h *handOver) (string, error) {
	if expose.IsOurs(h.pv, s.dd) && expose.IsRetained(h.pv) {
		return "", nil
	}
	return "", r.patch(ctx, h, "retaining", func(pv *corev1.PersistentVolume) { expose.Retain(pv, s.dd) })
}
