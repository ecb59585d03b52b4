package datadownload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

const (
	// targetMissing is the code of waiting for the target PVC.
	targetMissing = "TargetPVCMissing"
	// targetUnused is the code of waiting for a pod that uses the target PVC.
	targetUnused = "TargetPVCUnused"
	// targetTooSmall is the code of a remark about the target PVC.
	targetTooSmall = "TargetPVCTooSmall"
)

// A target PVC that is waited for is looked at again after half of the time that it has been waited for, within these limits. It
// may be in any namespace, and watching all PVCs of a cluster for the sake of a few would cost far more; but a thousand restores
// may wait for long, and what the API server lets the agent ask is for all of them.
const (
	minTargetPeriod = 5 * time.Second
	maxTargetPeriod = time.Minute
)

func (s *scope) targetPeriod() time.Duration {
	return min(max(s.Waited()/2, minTargetPeriod), maxTargetPeriod)
}

// awaitTarget waits until it is known where the volume may be made: where the class binds with the first consumer, a pod has to
// use the target PVC first, and the scheduler to choose its node. With restorePVC.ignoreDelayBinding it is wherever the
// restore pod comes to run.
//
// Documented in Velero under "Volume Snapshot Data Movement Restore - PVC Configuration".
func (r *Reconciler) awaitTarget(ctx context.Context, s *scope) error {
	volume := s.dd.Spec.TargetVolume
	if s.target == nil {
		var err error
		if s.target, err = r.target(ctx, volume); err != nil {
			return err
		}
	}
	switch {
	case s.target == nil:
		return engine.Failf("target PVC %s/%s is gone", volume.Namespace, volume.PVC)
	case s.target.Spec.VolumeName != "":
		return engine.Failf("target PVC %s/%s is bound to volume %s already",
			volume.Namespace, volume.PVC, s.target.Spec.VolumeName)
	case s.config.IgnoreDelayBinding, expose.SelectedNode(s.target) != "", s.hasVolume():
		return nil
	}
	class, err := r.StorageClass(ctx, classOf(s.target))
	if err != nil || class == nil || !transfer.DelaysBinding(class) {
		return err // a class that is missing keeps the restorePVC from being bound, which says so
	}
	return engine.WaitFor(s.targetPeriod(), waiting.Reason{
		Code: targetUnused, Expected: true,
		Message: fmt.Sprintf("target PVC %s/%s waits for a pod that uses it: storage class %q binds with the first consumer",
			volume.Namespace, volume.PVC, class.Name),
		Hint: "restorePVC.ignoreDelayBinding: true in the node-agent ConfigMap restores without one",
	})
}

// target reads the target PVC; nil if it is not there, or on its way out.
func (r *Reconciler) target(ctx context.Context, volume v2alpha1.TargetVolumeSpec) (*corev1.PersistentVolumeClaim, error) {
	pvc := &corev1.PersistentVolumeClaim{}
	key := client.ObjectKey{Namespace: volume.Namespace, Name: volume.PVC}
	if err := r.Live.Get(ctx, key, pvc); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading target PVC %s: %w", key, err)
	}
	if transfer.IsDeleting(pvc) {
		return nil, nil
	}
	return pvc, nil
}

// hasVolume tells whether it is decided where the volume is.
func (s *scope) hasVolume() bool { return s.PVC != nil && s.PVC.Spec.VolumeName != "" }

// classOf is the storage class of a PVC; empty if it has none.
func classOf(pvc *corev1.PersistentVolumeClaim) string {
	if pvc.Spec.StorageClassName == nil {
		return ""
	}
	return *pvc.Spec.StorageClassName
}

// isFor tells whether a PVC waits for a volume, or is bound to it.
func isFor(pvc *corev1.PersistentVolumeClaim, volume string) bool {
	return pvc != nil && pvc.Spec.VolumeName == volume
}
