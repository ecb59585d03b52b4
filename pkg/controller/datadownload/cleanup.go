package datadownload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// cleanUp removes everything that was made for a DataDownload that has ended, and in the end the finalizer. A volume that
// belongs to the target PVC is not part of that, however the DataDownload has ended.
func (r *Reconciler) cleanUp(ctx context.Context, s *scope) error {
	return transfer.CleanUp(ctx, r.Steps, s, append(r.removeVolumes(), r.removeCopies, r.checkNothingMissed))
}

// removeVolumes are the removals of restorePVC, cachePVC and what uses them, after what becomes of a restored volume is decided.
func (r *Reconciler) removeVolumes() []transfer.Removal[*scope] {
	shared := transfer.SharedRemoval[*scope]
	return []transfer.Removal[*scope]{
		r.settleHandOver, shared(r.RemovePod), r.removeCachePVC, shared(r.RemovePVC), shared(r.CheckPVGone),
	}
}

func (r *Reconciler) checkNothingMissed(ctx context.Context, s *scope) (string, error) {
	return r.CheckNothingMissed(ctx, s.Scope, nil)
}

// settleHandOver decides about a volume whose hand-over was cut off. The target PVC may name it already: then it gets it. A
// target PVC that is gone leaves it to nobody: then it goes, as one does that no target names.
func (r *Reconciler) settleHandOver(ctx context.Context, s *scope) (string, error) {
	list := &corev1.PersistentVolumeList{}
	if err := r.Client.List(ctx, list, client.MatchingLabels{expose.OwnerUIDLabel: string(s.dd.UID)}); err != nil {
		return "", fmt.Errorf("listing persistent volumes of the restorePVC: %w", err)
	}
	for i := range list.Items {
		name := list.Items[i].Name
		to, begun := expose.HandOverTarget(&list.Items[i])
		if !begun && s.restored == nil {
			continue
		}
		if !begun { // the cache may not show yet that it has
			to = client.ObjectKey{Namespace: s.dd.Spec.TargetVolume.Namespace, Name: s.dd.Spec.TargetVolume.PVC}
		}
		h, err := r.readHandOver(ctx, name, v2alpha1.TargetVolumeSpec{Namespace: to.Namespace, PVC: to.Name})
		if err != nil {
			return "", err
		}
		if waitsFor, err := r.settle(ctx, s, h); waitsFor != "" || err != nil {
			return waitsFor, err
		}
	}
	return "", nil
}

// settle decides about one volume, as the API server shows it.
func (r *Reconciler) settle(ctx context.Context, s *scope, h *handOver) (string, error) {
	switch {
	case h.pv == nil || !expose.IsOurs(h.pv, s.dd):
		return "", nil
	case isFor(h.target, h.pv.Name):
		return r.complete(ctx, s, h)
	case expose.ClaimRefersTo(h.pv, client.ObjectKeyFromObject(s.dd)):
		return "", nil // it goes with the restorePVC
	}
	remaining := "persistent volume " + h.pv.Name
	if h.pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		return remaining, nil
	}
	return remaining, r.patch(ctx, h, "letting go", func(pv *corev1.PersistentVolume) {
		pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
	})
}
