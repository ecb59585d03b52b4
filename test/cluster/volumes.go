package cluster

import (
	"context"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Provision does what a CSI provisioner and the PV controller do for the backupPVC or restorePVC. It tells whether it did.
func (u *Upload) Provision(ctx context.Context) bool {
	return u.provision(ctx, u.Key(), "copy-"+u.Name)
}

// provision makes a volume for a PVC in Velero's namespace, and binds the two.
func (c *Cluster) provision(ctx context.Context, key client.ObjectKey, handle string) bool {
	pvc := &corev1.PersistentVolumeClaim{}
	if !c.found(ctx, key, pvc) || pvc.Status.Phase == corev1.ClaimBound || !pvc.DeletionTimestamp.IsZero() {
		return false
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(pvc.UID)},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: pvc.Spec.Resources.Requests, AccessModes: pvc.Spec.AccessModes, VolumeMode: pvc.Spec.VolumeMode,
			StorageClassName:              *pvc.Spec.StorageClassName,
			PersistentVolumeReclaimPolicy: c.reclaimPolicy(ctx, *pvc.Spec.StorageClassName),
			ClaimRef:                      &corev1.ObjectReference{Namespace: Velero, Name: pvc.Name, UID: pvc.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: Driver, VolumeHandle: handle},
			},
		},
	}
	Expect(client.IgnoreAlreadyExists(c.Client.Create(ctx, pv))).To(Succeed())
	pvc.Spec.VolumeName = pv.Name
	if !tried(c.Client.Update(ctx, pvc)) {
		return false
	}
	pvc.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, AccessModes: pvc.Spec.AccessModes, Capacity: pv.Spec.Capacity}
	return tried(c.Client.Status().Update(ctx, pvc))
}

// reclaimPolicy is that of the volumes of a class. Where a test has no such class, they are retained.
func (c *Cluster) reclaimPolicy(ctx context.Context, name string) corev1.PersistentVolumeReclaimPolicy {
	class := &storagev1.StorageClass{}
	if !c.found(ctx, client.ObjectKey{Name: name}, class) {
		return corev1.PersistentVolumeReclaimRetain
	}
	return *class.ReclaimPolicy
}

// collectPVC does what the PV controller and the provisioner do about a backupPVC that is deleted and no longer in use.
func (u *Upload) collectPVC(ctx context.Context) bool {
	pvc := &corev1.PersistentVolumeClaim{}
	if !u.found(ctx, u.Key(), pvc) || pvc.DeletionTimestamp.IsZero() || u.isMounted(ctx) {
		return false
	}
	u.CollectPV(ctx, pvc.Spec.VolumeName)
	u.Release(ctx, pvc)
	return true
}

// CollectPV deletes a released volume if its reclaim policy says so.
func (u *Upload) CollectPV(ctx context.Context, name string) {
	pv := &corev1.PersistentVolume{}
	if name == "" || !u.found(ctx, client.ObjectKey{Name: name}, pv) {
		return
	}
	if pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		Expect(client.IgnoreNotFound(u.Client.Delete(ctx, pv))).To(Succeed())
		if u.found(ctx, client.ObjectKey{Name: name}, pv) {
			u.Release(ctx, pv)
		}
	}
}
