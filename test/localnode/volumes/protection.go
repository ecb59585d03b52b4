package volumes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// claimProtection is put on every claim by the API server.
const claimProtection = "kubernetes.io/pvc-protection"

// protectionReconciler lets a deleted claim go when no pod uses it any more. A pod that is done, but not deleted, still
// uses it.
type protectionReconciler struct {
	client.Client
	live client.Reader
}

// Reconcile looks at one claim.
func (r *protectionReconciler) Reconcile(ctx context.Context, claim *corev1.PersistentVolumeClaim) (reconcile.Result, error) {
	if claim.DeletionTimestamp.IsZero() || !controllerutil.ContainsFinalizer(claim, claimProtection) {
		return reconcile.Result{}, nil
	}
	pods := &corev1.PodList{}
	if err := r.live.List(ctx, pods, client.InNamespace(claim.Namespace)); err != nil {
		return reconcile.Result{}, fmt.Errorf("list pods that may use claim %s: %w", claim.Name, err)
	}
	if slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return uses(&pod, claim.Name) }) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, removeFinalizers(ctx, r.Client, claim, claimProtection)
}

// removeFinalizers patches with a resource version: a merge patch replaces the list, and others add to it.
func removeFinalizers(ctx context.Context, c client.Client, object client.Object, finalizers ...string) error {
	before := object.DeepCopyObject().(client.Object)
	for _, finalizer := range finalizers {
		controllerutil.RemoveFinalizer(object, finalizer)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, object, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove finalizers of %s: %w", object.GetName(), err)
	}
	return nil
}

func uses(pod *corev1.Pod, claim string) bool {
	return pod.Spec.NodeName != "" && slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim
	})
}
