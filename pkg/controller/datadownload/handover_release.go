package datadownload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
)

// release removes restore pod and restorePVC from the volume. A volume that is still mounted would be mounted twice.
func (r *Reconciler) release(ctx context.Context, s *scope, h *handOver) (string, error) {
	if waitsFor, err := r.RemovePod(ctx, s.Scope); waitsFor != "" || err != nil {
		return beingDeleted(waitsFor), err
	}
	if isFor(h.target, h.pv.Name) {
		return "", nil // that comes after the restorePVC is gone
	}
	if err := r.lookUpPVC(ctx, s); err != nil {
		return "", err
	}
	if s.PVC == nil {
		return "", nil
	}
	if transfer.IsDeleting(s.PVC) {
		return beingDeleted("restorePVC " + s.PVC.Name), nil
	}
	// Its volume is retained, so the PVC alone goes.
	return beingDeleted("restorePVC " + s.PVC.Name), r.Delete(ctx, "restorePVC", s.PVC)
}

func beingDeleted(what string) string {
	if what == "" {
		return ""
	}
	return what + " is being deleted"
}
