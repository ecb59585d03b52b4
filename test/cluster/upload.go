package cluster

import (
	"context"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// Upload is a DataUpload with its source volume and all that is made for it.
type Upload struct {
	*Cluster

	// Name is that of the DataUpload, and of the source PVC.
	Name string
	// Class is the storage class of the source PVC.
	Class string
	// Mode is the mode of the source volume.
	Mode corev1.PersistentVolumeMode
	// Policy is the deletion policy of the VolumeSnapshotClass.
	Policy snapshotv1.DeletionPolicy
}

// Key is the key of the DataUpload, and of what is made for it in its namespace.
func (u *Upload) Key() client.ObjectKey { return client.ObjectKey{Namespace: Velero, Name: u.Name} }

// SourceKey is the key of the VolumeSnapshot that the DataUpload names.
func (u *Upload) SourceKey() client.ObjectKey {
	return client.ObjectKey{Namespace: Shop, Name: "velero-" + u.Name}
}

// SourceContent is the name of the source VolumeSnapshotContent; the alias has the DataUpload's name.
func (u *Upload) SourceContent() string { return "snapcontent-" + u.Name }

// Handle names the snapshot in the storage.
func (u *Upload) Handle() string { return "handle-" + u.Name }

// DataUpload is the DataUpload as Velero's backup makes it.
func (u *Upload) DataUpload() *v2alpha1.DataUpload {
	return &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Velero, Name: u.Name,
			Labels: map[string]string{"velero.io/backup-name": "nightly", v2alpha1.AsyncOperationIDLabel: "du-" + u.Name},
		},
		Spec: v2alpha1.DataUploadSpec{
			SnapshotType: v2alpha1.SnapshotTypeCSI, SourceNamespace: Shop, SourcePVC: u.Name,
			CSISnapshot: &v2alpha1.CSISnapshotSpec{
				VolumeSnapshot: u.SourceKey().Name, StorageClass: u.Class, SnapshotClass: "snapshots",
			},
			BackupStorageLocation: Location, OperationTimeout: metav1.Duration{Duration: 10 * time.Minute},
		},
	}
}

// Cancel does what Velero does to cancel a DataUpload.
func (u *Upload) Cancel(ctx context.Context) {
	du := &v2alpha1.DataUpload{ObjectMeta: metav1.ObjectMeta{Namespace: Velero, Name: u.Name}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"cancel":true}}`))
	Expect(client.IgnoreNotFound(u.Client.Patch(ctx, du, patch))).To(Succeed())
}

// MakeSource makes what Velero's backup leaves: a source PVC with its PV, and a VolumeSnapshot of it that is ready.
func (u *Upload) MakeSource(ctx context.Context) {
	Expect(u.Client.Create(ctx, u.sourcePV())).To(Succeed())
	Expect(u.Client.Create(ctx, u.sourcePVC())).To(Succeed())
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: Shop, Name: u.SourceKey().Name, Finalizers: []string{Finalizer}},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &u.Name},
			VolumeSnapshotClassName: new("snapshots"),
		},
	}
	Expect(u.Client.Create(ctx, snapshot)).To(Succeed())
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: u.SourceContent(), Finalizers: []string{Finalizer}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver: Driver, DeletionPolicy: u.Policy, VolumeSnapshotClassName: new("snapshots"),
			Source:            snapshotv1.VolumeSnapshotContentSource{VolumeHandle: &u.Name},
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: Shop, Name: snapshot.Name, UID: snapshot.UID},
		},
	}
	Expect(u.Client.Create(ctx, content)).To(Succeed())
	content.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: new(u.Handle()), ReadyToUse: new(true)}
	Expect(u.Client.Status().Update(ctx, content)).To(Succeed())
	snapshot.Status = boundTo(content)
	Expect(u.Client.Status().Update(ctx, snapshot)).To(Succeed())
}

func (u *Upload) sourcePV() *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "source-" + u.Name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: size()},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: Driver, VolumeHandle: u.Name},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"z1"}},
				},
			}}}},
		},
	}
}

func (u *Upload) sourcePVC() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: Shop, Name: u.Name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &u.Class,
			VolumeMode:       &u.Mode,
			VolumeName:       "source-" + u.Name,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: size()},
			},
		},
	}
}

// DeleteSourcePVC does what a user does who no longer needs the volume.
func (u *Upload) DeleteSourcePVC(ctx context.Context) {
	pvc := &corev1.PersistentVolumeClaim{}
	key := client.ObjectKey{Namespace: Shop, Name: u.Name}
	Expect(u.Client.Delete(ctx, u.sourcePVC())).To(Succeed())
	if u.found(ctx, key, pvc) {
		u.Release(ctx, pvc)
	}
}

// Forget removes the DataUpload and its source volume, whatever their state.
func (u *Upload) Forget(ctx context.Context) {
	du := &v2alpha1.DataUpload{}
	if u.found(ctx, u.Key(), du) {
		u.Release(ctx, du)
		Expect(client.IgnoreNotFound(u.Client.Delete(ctx, du))).To(Succeed())
	}
	u.DeleteSourcePVC(ctx)
	pv := &corev1.PersistentVolume{}
	Expect(u.Client.Delete(ctx, u.sourcePV())).To(Succeed())
	if u.found(ctx, client.ObjectKey{Name: "source-" + u.Name}, pv) {
		u.Release(ctx, pv)
	}
}

func size() resource.Quantity { return resource.MustParse("3Gi") }

// tried tells whether a write came about. Where somebody else wrote in between, a controller tries again later.
func tried(err error) bool {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return false
	}
	Expect(err).NotTo(HaveOccurred())
	return true
}
