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

// ensureRestorePod makes the pod that writes to the restorePVC.
func (r *Reconciler) ensureRestorePod(ctx context.Context, s *scope) error {
	if s.Pod == nil {
		pod, err := r.restorePod(ctx, s)
		if err != nil {
			return err
		}
		if s.Pod, err = transfer.Ensure(ctx, r.Steps, s.Scope, "restore pod", pod); err != nil {
			return err
		}
		r.WarnOfRepositoryConfig(s.Scope)
	}
	if err := r.dropMisplaced(ctx, s); err != nil {
		return err
	}
	if transfer.IsDeleting(s.Pod) {
		return engine.Waitf(transfer.BeingDeleted,
			"restore pod %s/%s is being deleted", s.Pod.Namespace, s.Pod.Name)
	}
	return nil
}

// dropMisplaced removes a restore pod that waits for another node than the one that the workload's pod waits for by now: the
// scheduler chose anew, because the first one was gone, and the volume would be made where nobody can use it, or never.
func (r *Reconciler) dropMisplaced(ctx context.Context, s *scope) error {
	pinned := s.Pod.Spec.NodeSelector[corev1.LabelHostname]
	node := expose.SelectedNode(s.target)
	if pinned == "" || node == "" || s.Pod.Spec.NodeName != "" || s.hasVolume() || transfer.IsDeleting(s.Pod) {
		return nil
	}
	wanted, err := r.hostname(ctx, node)
	if err != nil || wanted == pinned {
		return err
	}
	if err := r.Delete(ctx, "restore pod", s.Pod); err != nil {
		return err
	}
	return engine.Again()
}

// restorePod gathers what the restore pod is built from.
func (r *Reconciler) restorePod(ctx context.Context, s *scope) (*corev1.Pod, error) {
	template, err := r.MoverTemplate(ctx, s.Scope)
	if err != nil {
		return nil, err
	}
	target := expose.RestoreTarget{
		Mode: expose.VolumeMode(s.target), WithCache: s.wantsCache(), Verify: r.VerifyRestores, Strict: r.StrictRestores,
	}
	if node := expose.SelectedNode(s.target); node != "" && !s.config.IgnoreDelayBinding {
		if target.Hostname, err = r.hostname(ctx, node); err != nil {
			return nil, err
		}
	}
	return expose.RestorePod(s.dd, s.config, target, template), nil
}

// hostname is the hostname label of a node, which may differ from its name.
func (r *Reconciler) hostname(ctx context.Context, name string) (string, error) {
	node := &corev1.Node{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, node); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading node %s: %w", name, err)
	}
	if hostname := node.Labels[corev1.LabelHostname]; hostname != "" {
		return hostname, nil
	}
	return name, nil
}
