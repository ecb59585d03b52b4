package datadownload

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// cachePVCRefused is the code of a configured class that a cachePVC cannot have.
const cachePVCRefused = "CachePVCRefused"

// wantsCache tells whether the cache of the restore is to have a volume of its own.
func (s *scope) wantsCache() bool {
	return s.config.CachePVC != nil && expose.NeedsCachePVC(s.dd.Spec.SnapshotSize, s.config.CachePVC.ResidentThresholdInMB)
}

// ensureCachePVC makes the PVC for the cache, if one is configured.
func (r *Reconciler) ensureCachePVC(ctx context.Context, s *scope) error {
	if !s.wantsCache() || s.Pod != nil {
		return nil
	}
	var err error
	s.cachePVC, err = r.cachePVC(ctx, s, r.Client)
	if err != nil || s.cachePVC != nil && !transfer.IsDeleting(s.cachePVC) {
		return err
	}
	class, err := r.StorageClass(ctx, s.config.CachePVC.StorageClass)
	switch {
	case err != nil:
		return err
	case class == nil:
		return engine.Waitf(cachePVCRefused,
			"cachePVC: storage class %q not found", s.config.CachePVC.StorageClass)
	case class.ReclaimPolicy != nil && *class.ReclaimPolicy != corev1.PersistentVolumeReclaimDelete:
		return engine.Waitf(cachePVCRefused,
			"cachePVC: storage class %q has reclaim policy %s, so that each restore would leave a volume behind; it must be Delete",
			class.Name, *class.ReclaimPolicy)
	}
	// What is wrong with it is said when there is a restore pod.
	limit, _ := velerov1.CacheLimit(s.RepositoryConfig)
	desired := expose.CachePVC(s.dd, class.Name, expose.CacheSize(cmp.Or(limit, velerov1.DefaultCacheLimit)))
	s.cachePVC, err = transfer.Ensure(ctx, r.Steps, s.Scope, "cachePVC", desired)
	return err
}

// cachePVC reads the cachePVC; nil if there is none of ours.
func (r *Reconciler) cachePVC(ctx context.Context, s *scope, reader client.Reader) (*corev1.PersistentVolumeClaim, error) {
	pvc := &corev1.PersistentVolumeClaim{}
	key := client.ObjectKey{Namespace: s.dd.Namespace, Name: expose.CachePVCName(s.dd)}
	if err := reader.Get(ctx, key, pvc); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading cachePVC %s: %w", key, err)
	}
	if !expose.IsOurs(pvc, s.dd) {
		return nil, nil
	}
	return pvc, nil
}

// removeCachePVC removes the cachePVC. Its volume goes with it, as its class says.
func (r *Reconciler) removeCachePVC(ctx context.Context, s *scope) (string, error) {
	// Until the restore pod was seen to run, the cache may not show yet what was made moments ago.
	reader := client.Reader(r.Client)
	if s.Status().Node == "" {
		reader = r.Live
	}
	pvc, err := r.cachePVC(ctx, s, reader)
	if err != nil || pvc == nil {
		return "", err
	}
	if transfer.IsDeleting(pvc) {
		return "cachePVC " + pvc.Name, nil
	}
	return "cachePVC " + pvc.Name, r.Delete(ctx, "cachePVC", pvc)
}
