package dataupload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/controller/datamovement"
	"github.com/node-agent/node-agent/pkg/expose"
)

// ensureBackupPVC makes the backupPVC from the alias VolumeSnapshot.
func (r *Reconciler) ensureBackupPVC(ctx context.Context, s *scope) (datamovement.Outcome, error) {
	if s.PVC == nil {
		volume, err := r.volumeOf(ctx, s)
		if err != nil {
			return datamovement.Outcome{}, err
		}
		if s.PVC, err = datamovement.Ensure(ctx, &r.Engine, s.Scope, "backupPVC", expose.BackupPVC(s.du, s.section, volume)); err != nil {
			return datamovement.Outcome{}, err
		}
	}
	if datamovement.IsDeleting(s.PVC) {
		return datamovement.Outcome{}, datamovement.Waiting(datamovement.BeingDeleted,
			"backupPVC %s/%s is being deleted", s.PVC.Namespace, s.PVC.Name)
	}
	return datamovement.Outcome{}, nil
}
