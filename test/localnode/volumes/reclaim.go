package volumes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

// volumeProtection is put on every volume by the API server.
const volumeProtection = "kubernetes.io/pv-protection"

// volumeReconciler releases a volume whose claim is gone, and deletes it if its reclaim policy says so.
type volumeReconciler struct {
	client.Client
	live   client.Reader
	disks  *storage.Storage
	events record.EventRecorder
}

// Reconcile looks at one volume.
func (r *volumeReconciler) Reconcile(ctx context.Context, volume *corev1.PersistentVolume) (reconcile.Result, error) {
	if volume.Spec.CSI == nil || volume.Spec.CSI.Driver != Driver || volume.Spec.ClaimRef == nil {
		return reconcile.Result{}, nil
	}
	claimed, err := r.isClaimed(ctx, volume)
	if err != nil || claimed {
		return reconcile.Result{}, err
	}
	if err := setPhase(ctx, r.Client, volume, corev1.VolumeReleased); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		if err := r.disks.DeleteVolume(volume.Spec.CSI.VolumeHandle); err != nil {
			r.events.Event(volume, corev1.EventTypeWarning, "VolumeFailedDelete", rpcError(err).Error())
			return reconcile.Result{RequeueAfter: retry}, nil
		}
		if volume.DeletionTimestamp.IsZero() {
			return reconcile.Result{}, client.IgnoreNotFound(r.Delete(ctx, volume))
		}
	}
	if volume.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, removeFinalizers(ctx, r.Client, volume, volumeProtection, provisionerFinalizer)
}

// isClaimed asks the API server itself: a claim that the cache does not know yet must not cost a volume.
func (r *volumeReconciler) isClaimed(ctx context.Context, volume *corev1.PersistentVolume) (bool, error) {
	ref := volume.Spec.ClaimRef
	claim := &corev1.PersistentVolumeClaim{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, claim)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get claim of volume %s: %w", volume.Name, err)
	}
	return claim.UID == ref.UID, nil
}
