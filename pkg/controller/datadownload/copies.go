package datadownload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
)

// copies are what the driver needs beside the restorePVC. The section counts for all restores, and not every volume needs them, so
// a missing original keeps nothing from going on. Velero restores Secrets and ConfigMaps after PVCs: as long as the driver waits
// for one, each pass looks for it.
//
// Documented in Velero as secretNames and configMapNames of restorePVC.
func (s *scope) copies() transfer.Copies {
	return transfer.Copies{
		From: s.dd.Spec.TargetVolume.Namespace, NamedBy: "restorePVC", Optional: true,
		SecretNames: s.config.SecretNames, ConfigMapNames: s.config.ConfigMapNames,
	}
}

func (r *Reconciler) ensureCopies(ctx context.Context, s *scope) error {
	return r.EnsureCopies(ctx, s.Scope, s.copies())
}

func (r *Reconciler) removeCopies(ctx context.Context, s *scope) (string, error) {
	return r.RemoveCopies(ctx, s.Scope, s.copies())
}
