package cluster

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/expose"
)

// AliasPair reads the alias of the snapshot in Velero's namespace; what is missing is nil.
func (u *Upload) AliasPair(ctx context.Context) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	if !u.found(ctx, u.Key(), snapshot) {
		snapshot = nil
	}
	if !u.found(ctx, client.ObjectKey{Name: u.Name}, content) {
		content = nil
	}
	return snapshot, content
}

// BindAlias does what the snapshot controller does with the alias pair, if both are there and not bound yet. It tells
// whether it did.
func (u *Upload) BindAlias(ctx context.Context) bool {
	snapshot, content := u.AliasPair(ctx)
	if snapshot == nil || content == nil || expose.IsReady(snapshot) ||
		!snapshot.DeletionTimestamp.IsZero() || !content.DeletionTimestamp.IsZero() {
		return false
	}
	Expect(content.Spec.VolumeSnapshotRef.Namespace).To(Equal(Velero))
	content.Spec.VolumeSnapshotRef.UID = snapshot.UID
	controllerutil.AddFinalizer(content, Finalizer)
	if !tried(u.Client.Update(ctx, content)) {
		return false
	}
	controllerutil.AddFinalizer(snapshot, Finalizer)
	if !tried(u.Client.Update(ctx, snapshot)) {
		return false
	}
	snapshot.Status = boundTo(content)
	return tried(u.Client.Status().Update(ctx, snapshot))
}

// boundTo is the status of a VolumeSnapshot that can be used.
func boundTo(content *snapshotv1.VolumeSnapshotContent) *snapshotv1.VolumeSnapshotStatus {
	return &snapshotv1.VolumeSnapshotStatus{
		BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: new(true), RestoreSize: new(size()),
	}
}

// collectSnapshot does what the snapshot controller does: content with policy Delete goes first.
func (c *Cluster) collectSnapshot(ctx context.Context, key client.ObjectKey) bool {
	snapshot := &snapshotv1.VolumeSnapshot{}
	if !c.found(ctx, key, snapshot) || snapshot.DeletionTimestamp.IsZero() {
		return false
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	name := expose.BoundContent(snapshot)
	if name != "" && c.found(ctx, client.ObjectKey{Name: name}, content) &&
		content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete {
		metav1.SetMetaDataAnnotation(&content.ObjectMeta, expose.BeingDeletedAnnotation, "yes")
		if !tried(c.Client.Update(ctx, content)) {
			return true
		}
		Expect(client.IgnoreNotFound(c.Client.Delete(ctx, content))).To(Succeed())
		c.CollectContent(ctx, name)
	}
	c.Release(ctx, snapshot)
	return true
}

// CollectContent does what the CSI snapshotter does: with policy Delete the storage snapshot goes too. It tells
// whether it did anything.
func (c *Cluster) CollectContent(ctx context.Context, name string) bool {
	content := &snapshotv1.VolumeSnapshotContent{}
	if !c.found(ctx, client.ObjectKey{Name: name}, content) || content.DeletionTimestamp.IsZero() {
		return false
	}
	unbound := content.Spec.VolumeSnapshotRef.UID == ""
	if content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete &&
		(unbound || content.Annotations[expose.BeingDeletedAnnotation] != "") {
		handle := content.Spec.Source.SnapshotHandle
		if handle == nil {
			handle = content.Status.SnapshotHandle
		}
		c.deleteStorageSnapshot(*handle)
	}
	c.Release(ctx, content)
	return true
}
