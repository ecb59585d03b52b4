package datadownload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// ensureRestorePVC makes the PVC whose volume the data is written to. All attempts write to the same one.
func (r *Reconciler) ensureRestorePVC(ctx context.Context, s *scope) error {
	if s.PVC == nil {
		var err error
		desired := expose.RestorePVC(s.dd, s.target)
		if s.PVC, err = transfer.Ensure(ctx, r.Steps, s.Scope, "restorePVC", desired); err != nil {
			return err
		}
	}
	if transfer.IsDeleting(s.PVC) {
		return engine.Waitf(transfer.BeingDeleted,
			"restorePVC %s/%s is being deleted", s.PVC.Namespace, s.PVC.Name)
	}
	if transfer.IsBound(s.PVC) {
		return r.adoptVolume(ctx, s)
	}
	return nil
}

// awaitVolumes waits, before the restore pod is made, for the volumes that it is to mount.
func (r *Reconciler) awaitVolumes(ctx context.Context, s *scope) error {
	if err := r.AwaitBound(ctx, s.Scope); err != nil || s.cachePVC == nil {
		return err
	}
	return r.AwaitVolume(ctx, s.Scope, expose.CacheWords(), s.cachePVC)
}

// adoptVolume lets the volume go with the restorePVC as long as it holds no data that is worth anything, and remembers what its
// class says for later.
func (r *Reconciler) adoptVolume(ctx context.Context, s *scope) error {
	pv, err := r.VolumeOf(ctx, s.Scope)
	if err != nil || pv == nil || expose.IsAdopted(pv, s.dd) {
		return err
	}
	before := pv.DeepCopy()
	expose.Adopt(pv, s.dd)
	if err := r.Client.Patch(ctx, pv, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("marking persistent volume %s of the restorePVC: %w", pv.Name, err)
	}
	return nil
}

// lookUpPVC makes sure of a restorePVC that is not there, or has no volume, as far as the cache shows: the cache may be old, and
// to believe it would cost the data.
func (r *Reconciler) lookUpPVC(ctx context.Context, s *scope) error {
	if s.PVC != nil && s.PVC.Spec.VolumeName != "" {
		return nil
	}
	var err error
	s.PVC, err = engine.Owned(ctx, r.Live, s.dd, &corev1.PersistentVolumeClaim{})
	return err
}
