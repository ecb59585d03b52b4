package dataupload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/expose"
)

// ensureBackupPVC makes the backupPVC from the alias VolumeSnapshot.
func (r *Reconciler) ensureBackupPVC(ctx context.Context, s *scope) (outcome, error) {
	if s.pvc == nil {
		volume, err := r.volumeOf(ctx, s)
		if err != nil {
			return outcome{}, err
		}
		if s.pvc, err = ensure(ctx, r, s, "backupPVC", expose.BackupPVC(s.du, s.section, volume)); err != nil {
			return outcome{}, err
		}
	}
	if isDeleting(s.pvc) {
		return outcome{}, waiting(beingDeleted, "backupPVC %s/%s is being deleted", s.pvc.Namespace, s.pvc.Name)
	}
	return outcome{}, nil
}
