package volumes

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

// Annotations that the PV controller sets on claims that a provisioner is to serve.
const (
	provisionerAnnotation  = "volume.kubernetes.io/storage-provisioner"
	provisionerAnnotation1 = "volume.beta.kubernetes.io/storage-provisioner"
)

// claimReconciler gives each claim a volume, and says in the words of kube-controller-manager why it does not.
type claimReconciler struct {
	client.Client
	live        client.Reader
	disks       *storage.Storage
	events      record.EventRecorder
	provisioner record.EventRecorder
}

// Reconcile looks at one claim.
func (r *claimReconciler) Reconcile(ctx context.Context, claim *corev1.PersistentVolumeClaim) (reconcile.Result, error) {
	if !claim.DeletionTimestamp.IsZero() || claim.Status.Phase != corev1.ClaimPending {
		return reconcile.Result{}, nil
	}
	if claim.Spec.VolumeName != "" {
		return r.bindNamed(ctx, claim)
	}
	class, err := r.classOf(ctx, claim)
	if err != nil || class == nil {
		return reconcile.Result{RequeueAfter: resync}, err
	}
	if waitsForConsumer(class, claim) {
		r.events.Event(claim, corev1.EventTypeNormal, "WaitForFirstConsumer",
			"waiting for first consumer to be created before binding")
		return reconcile.Result{RequeueAfter: resync}, nil
	}
	if err := r.announce(ctx, claim, class); err != nil {
		return reconcile.Result{}, err
	}
	if class.Provisioner != Driver {
		return reconcile.Result{RequeueAfter: resync}, nil
	}
	volume, err := r.volumeFor(ctx, claim, class)
	if err != nil {
		r.provisioner.Event(claim, corev1.EventTypeWarning, "ProvisioningFailed",
			fmt.Sprintf("failed to provision volume with StorageClass %q: %v", class.Name, err))
		return reconcile.Result{RequeueAfter: retry}, nil
	}
	return reconcile.Result{}, r.bind(ctx, claim, volume)
}

// classOf returns the claim's StorageClass, or nil after it has said why there is none.
func (r *claimReconciler) classOf(ctx context.Context, claim *corev1.PersistentVolumeClaim) (*storagev1.StorageClass, error) {
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "" {
		r.events.Event(claim, corev1.EventTypeNormal, "FailedBinding",
			"no persistent volumes available for this claim and no storage class is set")
		return nil, nil
	}
	class := &storagev1.StorageClass{}
	err := r.Get(ctx, types.NamespacedName{Name: *claim.Spec.StorageClassName}, class)
	if apierrors.IsNotFound(err) {
		r.events.Event(claim, corev1.EventTypeWarning, "ProvisioningFailed",
			fmt.Sprintf("storageclass.storage.k8s.io %q not found", *claim.Spec.StorageClassName))
		return nil, nil
	}
	return class, err
}

func waitsForConsumer(class *storagev1.StorageClass, claim *corev1.PersistentVolumeClaim) bool {
	late := class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	return late && claim.Annotations[selectedNodeAnnotation] == ""
}

// announce tells the external provisioner that the claim is its to serve.
func (r *claimReconciler) announce(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	r.events.Event(claim, corev1.EventTypeNormal, "ExternalProvisioning", fmt.Sprintf(
		"Waiting for a volume to be created either by the external provisioner '%s' or manually by the system administrator. "+
			"If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
		class.Provisioner))
	return r.annotate(ctx, claim, map[string]string{
		provisionerAnnotation: class.Provisioner, provisionerAnnotation1: class.Provisioner,
	})
}

func (r *claimReconciler) annotate(ctx context.Context, claim *corev1.PersistentVolumeClaim, annotations map[string]string) error {
	before := claim.DeepCopy()
	if claim.Annotations == nil {
		claim.Annotations = map[string]string{}
	}
	maps.Copy(claim.Annotations, annotations)
	if maps.Equal(before.Annotations, claim.Annotations) {
		return nil
	}
	if err := r.Patch(ctx, claim, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("annotate claim %s: %w", claim.Name, err)
	}
	return nil
}
