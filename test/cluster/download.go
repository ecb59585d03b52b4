package cluster

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// Download is a DataDownload with its target PVC and all that is made for it. Pod and PVC are called like the DataDownload, as
// those of a DataUpload are called like that, so that the same is done about them.
type Download struct {
	Upload

	// Node is what the scheduler has chosen for the workload's pod, empty if there is none.
	Node string
}

// DataDownload is the DataDownload as Velero's restore makes it.
func (d *Download) DataDownload() *v2alpha1.DataDownload {
	return &v2alpha1.DataDownload{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Velero, Name: d.Name,
			Labels: map[string]string{"velero.io/restore-name": "monday", v2alpha1.AsyncOperationIDLabel: "dd-" + d.Name},
		},
		Spec: v2alpha1.DataDownloadSpec{
			TargetVolume:          v2alpha1.TargetVolumeSpec{PVC: d.Name, PV: "pv-of-backup", Namespace: Shop},
			BackupStorageLocation: Location, SnapshotID: "snapshot-1", SourceNamespace: Shop,
			OperationTimeout: metav1.Duration{Duration: 10 * time.Minute},
		},
	}
}

// Cancel does what Velero does to cancel a DataDownload.
func (d *Download) Cancel(ctx context.Context) {
	dd := &v2alpha1.DataDownload{ObjectMeta: metav1.ObjectMeta{Namespace: Velero, Name: d.Name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancel":true}}`))
	Expect(client.IgnoreNotFound(d.Client.Patch(ctx, dd, patch))).To(Succeed())
}

// TargetKey is the key of the target PVC.
func (d *Download) TargetKey() client.ObjectKey {
	return client.ObjectKey{Namespace: Shop, Name: d.Name}
}

// selector is what Velero's restore lets the target PVC ask for, so that no other volume is bound to it.
func (d *Download) selector() map[string]string {
	return map[string]string{v2alpha1.DynamicPVRestoreLabel: Shop + "." + d.Name + ".x7k2p"}
}

// MakeTarget makes the target PVC as Velero's restore does.
func (d *Download) MakeTarget(ctx context.Context) {
	target := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Shop, Name: d.Name, Labels: map[string]string{"app": "shop"}, Annotations: map[string]string{"a.example.com/b": "c"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &d.Class,
			VolumeMode:       &d.Mode,
			Selector:         &metav1.LabelSelector{MatchLabels: d.selector()},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size()}},
		},
	}
	if d.Node != "" {
		target.Annotations["volume.kubernetes.io/selected-node"] = d.Node
	}
	Expect(d.Client.Create(ctx, target)).To(Succeed())
}

// UseTarget does what the scheduler does when a pod uses the target PVC.
func (d *Download) UseTarget(ctx context.Context, node string) {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"volume.kubernetes.io/selected-node":"`+node+`"}}}`))
	target := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: Shop, Name: d.Name}}
	Expect(d.Client.Patch(ctx, target, patch)).To(Succeed())
}

// Target reads the target PVC; nil if there is none.
func (d *Download) Target(ctx context.Context) *corev1.PersistentVolumeClaim {
	target := &corev1.PersistentVolumeClaim{}
	if !d.found(ctx, d.TargetKey(), target) {
		return nil
	}
	return target
}

// DeleteTarget does what a user does who no longer wants the volume.
func (d *Download) DeleteTarget(ctx context.Context) {
	target := d.Target(ctx)
	if target == nil {
		return
	}
	Expect(client.IgnoreNotFound(d.Client.Delete(ctx, target))).To(Succeed())
	if target = d.Target(ctx); target != nil {
		d.Release(ctx, target)
	}
}

// cacheKey is the key of the cachePVC.
func (d *Download) cacheKey() client.ObjectKey {
	return client.ObjectKey{Namespace: Velero, Name: d.Name + "-cache"}
}

// cacheHandle names the volume of the cachePVC in the storage.
func (d *Download) cacheHandle() string { return "cache-" + d.Name }

// Provision does what a CSI provisioner and the PV controller do for restorePVC and cachePVC. It tells whether it did.
func (d *Download) Provision(ctx context.Context) bool {
	did := d.provision(ctx, d.cacheKey(), d.cacheHandle())
	return d.Upload.Provision(ctx) || did
}

// Volumes lists the PersistentVolumes that were made for the restorePVC.
func (d *Download) Volumes(ctx context.Context) []corev1.PersistentVolume {
	return d.volumes(ctx, "copy-"+d.Name)
}

func (d *Download) volumes(ctx context.Context, handles ...string) []corev1.PersistentVolume {
	list := &corev1.PersistentVolumeList{}
	Expect(d.Client.List(ctx, list)).To(Succeed())
	return slices.DeleteFunc(list.Items, func(pv corev1.PersistentVolume) bool {
		return pv.Spec.CSI == nil || !slices.Contains(handles, pv.Spec.CSI.VolumeHandle)
	})
}

func (d *Download) allVolumes(ctx context.Context) []corev1.PersistentVolume {
	return d.volumes(ctx, "copy-"+d.Name, d.cacheHandle())
}

// Bind does what the PV controller does about the target PVC and a volume that name each other. It tells whether it did.
func (d *Download) Bind(ctx context.Context) bool {
	target := d.Target(ctx)
	if target == nil || target.Status.Phase == corev1.ClaimBound {
		return false
	}
	for _, pv := range d.Volumes(ctx) {
		if claim := pv.Spec.ClaimRef; claim == nil || claim.UID != target.UID {
			continue
		}
		if target.Spec.VolumeName == "" {
			target.Spec.VolumeName = pv.Name
			if !tried(d.Client.Update(ctx, target)) {
				return false
			}
		}
		if target.Spec.VolumeName != pv.Name {
			return false
		}
		target.Status = corev1.PersistentVolumeClaimStatus{
			Phase: corev1.ClaimBound, AccessModes: target.Spec.AccessModes, Capacity: pv.Spec.Capacity,
		}
		return tried(d.Client.Status().Update(ctx, target))
	}
	return false
}

// Collect does what the cluster's controllers do about objects that are being deleted, and about volumes whose claim is gone.
// It tells whether it did anything.
func (d *Download) Collect(ctx context.Context) bool {
	did := false
	if pod := d.Pod(ctx); pod != nil && !pod.DeletionTimestamp.IsZero() {
		d.KillPod(ctx)
		did = true
	}
	for _, key := range []client.ObjectKey{d.Key(), d.cacheKey()} {
		pvc := &corev1.PersistentVolumeClaim{}
		if d.found(ctx, key, pvc) && !pvc.DeletionTimestamp.IsZero() && !d.isMounted(ctx) {
			d.Release(ctx, pvc)
			did = true
		}
	}
	for _, pv := range d.allVolumes(ctx) {
		if pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete && !d.IsAdopted(ctx, &pv) {
			d.CollectPV(ctx, pv.Name)
			did = true
		}
	}
	return did
}

// IsAdopted tells whether the PVC that a volume names as its owner is there.
func (d *Download) IsAdopted(ctx context.Context, pv *corev1.PersistentVolume) bool {
	pvc, claim := &corev1.PersistentVolumeClaim{}, pv.Spec.ClaimRef
	return claim != nil && d.found(ctx, client.ObjectKey{Namespace: claim.Namespace, Name: claim.Name}, pvc) && pvc.UID == claim.UID
}

// Forget removes the DataDownload, its target PVC and all that was made for it, whatever their state.
func (d *Download) Forget(ctx context.Context) {
	dd := &v2alpha1.DataDownload{}
	if d.found(ctx, d.Key(), dd) {
		d.remove(ctx, dd)
	}
	d.DeleteTarget(ctx)
	d.KillPod(ctx)
	for _, key := range []client.ObjectKey{d.Key(), d.cacheKey()} {
		pvc := &corev1.PersistentVolumeClaim{}
		if d.found(ctx, key, pvc) {
			d.remove(ctx, pvc)
		}
	}
	for _, pv := range d.allVolumes(ctx) {
		d.remove(ctx, &pv)
	}
}

// remove removes an object with its finalizers.
func (d *Download) remove(ctx context.Context, obj client.Object) {
	Expect(client.IgnoreNotFound(d.Client.Delete(ctx, obj))).To(Succeed())
	if d.found(ctx, client.ObjectKeyFromObject(obj), obj) {
		d.Release(ctx, obj)
	}
}
