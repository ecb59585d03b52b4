package volumes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Annotations that the PV controller sets on what it binds.
const (
	bindCompleted = "pv.kubernetes.io/bind-completed"
	// boundByController is on the one of claim and volume that did not name the other before.
	boundByController = "pv.kubernetes.io/bound-by-controller"
)

// bindNamed ties a claim to the volume that it names, once that is its to have. Until then it stays pending: a volume that
// belongs to another claim is not taken away from it.
func (r *claimReconciler) bindNamed(ctx context.Context, claim *corev1.PersistentVolumeClaim) (reconcile.Result, error) {
	volume := &corev1.PersistentVolume{}
	err := r.live.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, volume)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{RequeueAfter: resync}, nil
	}
	if err != nil || !free(volume, claim) {
		return reconcile.Result{}, err // a change of the volume leads here again
	}
	if err := r.reserve(ctx, claim, volume); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.bind(ctx, claim, volume)
}

// free tells whether a volume is nobody's, or that claim's already.
func free(volume *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) bool {
	ref := volume.Spec.ClaimRef
	return ref == nil ||
		ref.Namespace == claim.Namespace && ref.Name == claim.Name && (ref.UID == "" || ref.UID == claim.UID)
}

// reserve lets a volume name the claim, as far as it does not yet.
func (r *claimReconciler) reserve(
	ctx context.Context, claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume,
) error {
	ref := volume.Spec.ClaimRef
	if ref != nil && ref.UID == claim.UID {
		return nil
	}
	if ref == nil {
		metav1.SetMetaDataAnnotation(&volume.ObjectMeta, boundByController, "yes")
	}
	volume.Spec.ClaimRef = referenceTo(claim)
	if err := r.Update(ctx, volume); err != nil {
		return fmt.Errorf("bind volume %s: %w", volume.Name, err)
	}
	return nil
}

// bind ties claim and volume together, in the order in which the PV controller does. The volume names the claim already.
func (r *claimReconciler) bind(ctx context.Context, claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) error {
	if err := setPhase(ctx, r.Client, volume, corev1.VolumeBound); err != nil {
		return err
	}
	if claim.Spec.VolumeName == "" {
		claim.Spec.VolumeName = volume.Name
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, boundByController, "yes")
	}
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, bindCompleted, "yes")
	if err := r.Update(ctx, claim); err != nil {
		return fmt.Errorf("bind claim %s: %w", claim.Name, err)
	}
	claim.Status.Phase = corev1.ClaimBound
	claim.Status.AccessModes = volume.Spec.AccessModes
	claim.Status.Capacity = volume.Spec.Capacity
	if err := r.Status().Update(ctx, claim); err != nil {
		return fmt.Errorf("mark claim %s as bound: %w", claim.Name, err)
	}
	return nil
}

// setPhase writes nothing to a volume that has changed since it was read: it may be somebody else's by now, and a volume that
// is Released by mistake is deleted.
func setPhase(ctx context.Context, c client.Client, volume *corev1.PersistentVolume, phase corev1.PersistentVolumePhase) error {
	if volume.Status.Phase == phase {
		return nil
	}
	before := volume.DeepCopy()
	volume.Status.Phase = phase
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, volume, patch); err != nil {
		return fmt.Errorf("mark volume %s as %s: %w", volume.Name, phase, err)
	}
	return nil
}

func referenceTo(claim *corev1.PersistentVolumeClaim) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name,
		UID: claim.UID, ResourceVersion: claim.ResourceVersion,
	}
}
