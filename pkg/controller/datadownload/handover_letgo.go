package datadownload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
)

// letGo removes restore pod and restorePVC from the volume. A volume that is still mounted would be mounted twice.
func (r *Reconciler) letGo(ctx context.Context, s *scope, h *hands) (string, error) {
	if waitsFor, err := r.RemovePod(ctx, s.Scope); waitsFor != "" || err != nil {
		return waiting(waitsFor), err
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
		return waiting("restorePVC " + s.PVC.Name), nil
	}
	// Its volume is retained, so the PVC alone goes.
	return waiting("restorePVC " + s.PVC.Name), r.Delete(ctx, "restorePVC", s.PVC)
}

func waiting(what string) string {
	if what == "" {
		return ""
	}
	return what + " is being deleted"
}
