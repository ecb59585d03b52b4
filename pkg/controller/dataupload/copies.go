package dataupload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
)

// copies are what the driver needs beside the backupPVC, which asks for the same as the source PVC.
//
// Documented in Velero as secretNames and configMapNames of backupPVC.
func (s *scope) copies() transfer.Copies {
	return transfer.Copies{
		From: s.du.Spec.SourceNamespace, NamedBy: problem.Path("backupPVC", s.Class),
		SecretNames: s.section.SecretNames, ConfigMapNames: s.section.ConfigMapNames,
	}
}

func (r *Reconciler) ensureCopies(ctx context.Context, s *scope) error {
	return r.EnsureCopies(ctx, s.Scope, s.copies())
}

func (r *Reconciler) removeCopies(ctx context.Context, s *scope) (string, error) {
	return r.RemoveCopies(ctx, s.Scope, s.copies())
}
