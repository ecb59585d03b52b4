package dataupload

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// ensureBackupPod makes the pod that reads the backupPVC.
func (r *Reconciler) ensureBackupPod(ctx context.Context, s *scope) error {
	if s.Pod == nil {
		pod, err := r.backupPod(ctx, s)
		if err != nil {
			return err
		}
		if s.Pod, err = transfer.Ensure(ctx, r.Steps, s.Scope, "backup pod", pod); err != nil {
			return err
		}
		r.WarnOfRepositoryConfig(s.Scope)
	}
	if transfer.IsDeleting(s.Pod) {
		return engine.Waitf(transfer.BeingDeleted,
			"backup pod %s/%s is being deleted", s.Pod.Namespace, s.Pod.Name)
	}
	return nil
}

// backupPod gathers what the backup pod is built from.
func (r *Reconciler) backupPod(ctx context.Context, s *scope) (*corev1.Pod, error) {
	volume, err := r.mountedVolume(ctx, s)
	if err != nil {
		return nil, err
	}
	if volume.AttachedTo, err = r.attachedTo(ctx, s); err != nil {
		return nil, err
	}
	volume.VerifyPercent, volume.FullReadEvery = r.VerifyPercent, r.FullReadEvery
	template, err := r.MoverTemplate(ctx, s.Scope)
	if err != nil {
		return nil, err
	}
	return expose.BackupPod(s.du, s.config, volume, template), nil
}

// mountedVolume is what the backup pod has to know about the volume. One that is bound says itself where it can be used.
func (r *Reconciler) mountedVolume(ctx context.Context, s *scope) (expose.Volume, error) {
	if transfer.IsBound(s.PVC) {
		return expose.Volume{Mode: expose.VolumeMode(s.PVC)}, nil
	}
	return r.volumeOf(ctx, s)
}
