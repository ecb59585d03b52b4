package cluster

import (
	"context"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Provision does what a CSI provisioner and the PV controller do for the backupPVC. It tells whether it did.
func (u *Upload) Provision(ctx context.Context) bool {
	pvc := &corev1.PersistentVolumeClaim{}
	if !u.found(ctx, u.Key(), pvc) || pvc.Status.Phase == corev1.ClaimBound || !pvc.DeletionTimestamp.IsZero() {
		return false
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(pvc.UID)},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: pvc.Spec.Resources.Requests, AccessModes: pvc.Spec.AccessModes, VolumeMode: pvc.Spec.VolumeMode,
			StorageClassName:              *pvc.Spec.StorageClassName,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, // as the class says; the backupPVC's must go all the same
			ClaimRef:                      &corev1.ObjectReference{Namespace: Velero, Name: pvc.Name, UID: pvc.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: Driver, VolumeHandle: "copy-" + u.Name},
			},
		},
	}
	Expect(client.IgnoreAlreadyExists(u.Client.Create(ctx, pv))).To(Succeed())
	pvc.Spec.VolumeName = pv.Name
	if !tried(u.Client.Update(ctx, pvc)) {
		return false
	}
	pvc.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, AccessModes: pvc.Spec.AccessModes, Capacity: pv.Spec.Capacity}
	return tried(u.Client.Status().Update(ctx, pvc))
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
