package dataupload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// ensureBackupPVC makes the backupPVC from the alias VolumeSnapshot.
func (r *Reconciler) ensureBackupPVC(ctx context.Context, s *scope) error {
	if s.PVC == nil {
		volume, err := r.volumeOf(ctx, s)
		if err != nil {
			return err
		}
		if s.PVC, err = transfer.Ensure(ctx, r.Steps, s.Scope, "backupPVC", expose.BackupPVC(s.du, s.section, volume)); err != nil {
			return err
		}
	}
	if transfer.IsDeleting(s.PVC) {
		return engine.Waitf(transfer.BeingDeleted,
			"backupPVC %s/%s is being deleted", s.PVC.Namespace, s.PVC.Name)
	}
	if !transfer.IsBound(s.PVC) {
		return nil
	}
	// From now on the volume goes with the PVC, also if garbage collection removes that behind our back.
	_, err := r.AdoptVolume(ctx, s.Scope)
	return err
}
