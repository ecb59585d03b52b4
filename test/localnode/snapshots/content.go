package snapshots

import (
	"context"
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

// retry is how long the sidecar waits after the driver refused.
const retry = 2 * time.Second

// contentReconciler makes, checks and deletes the storage snapshots of contents. It is the csi-snapshotter sidecar, and
// the part of the snapshot controller that looks at contents.
type contentReconciler struct {
	client.Client
	live   client.Reader
	disks  *storage.Storage
	driver string
	events record.EventRecorder
}

// Reconcile looks at one VolumeSnapshotContent. It reads it past the cache, so that an old copy cannot make it ask for
// the deletion of a storage snapshot twice.
func (r *contentReconciler) Reconcile(ctx context.Context, content *snapshotv1.VolumeSnapshotContent) (reconcile.Result, error) {
	if content.Spec.Driver != r.driver {
		return reconcile.Result{}, nil
	}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(content), content); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !content.DeletionTimestamp.IsZero() {
		if !mayGo(content) {
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, r.remove(ctx, content)
	}
	if content.Spec.VolumeSnapshotRef.UID != "" {
		if err := r.protect(ctx, content); err != nil {
			return reconcile.Result{}, err
		}
	}
	if content.Status != nil && content.Status.ReadyToUse != nil && *content.Status.ReadyToUse {
		return reconcile.Result{}, nil
	}
	snapshot, err := r.storageSnapshot(ctx, content)
	if err != nil {
		return reconcile.Result{RequeueAfter: retry}, r.fail(ctx, content, err)
	}
	return reconcile.Result{}, r.writeStatus(ctx, content, &snapshotv1.VolumeSnapshotContentStatus{
		SnapshotHandle: &snapshot.Handle,
		CreationTime:   new(snapshot.Created.UnixNano()),
		RestoreSize:    &snapshot.Bytes,
		ReadyToUse:     new(true),
	})
}

// protect puts the finalizer on a bound content, and marks it if its snapshot is going.
func (r *contentReconciler) protect(ctx context.Context, content *snapshotv1.VolumeSnapshotContent) error {
	if err := setFinalizers(ctx, r.Client, content, []string{contentFinalizer}, nil); err != nil {
		return err
	}
	ref := content.Spec.VolumeSnapshotRef
	snapshot := &snapshotv1.VolumeSnapshot{}
	err := r.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, snapshot)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	candidate := slices.Contains(snapshot.Finalizers, asSourceFinalizer) || slices.Contains(snapshot.Finalizers, boundFinalizer)
	if snapshot.UID != ref.UID || snapshot.DeletionTimestamp.IsZero() || !candidate {
		return nil
	}
	return markBeingDeleted(ctx, r.Client, content)
}

// mayGo tells whether a deleted content may go: it was never bound, or its snapshot was deleted.
func mayGo(content *snapshotv1.VolumeSnapshotContent) bool {
	_, marked := content.Annotations[beingDeleted]
	return marked || content.Spec.Source.SnapshotHandle != nil && content.Spec.VolumeSnapshotRef.UID == ""
}

// remove deletes the storage snapshot if the policy says so, notes in the status that it is gone, and only then lets the
// content go.
func (r *contentReconciler) remove(ctx context.Context, content *snapshotv1.VolumeSnapshotContent) error {
	owned := content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete
	if owned && content.Status != nil && content.Status.SnapshotHandle != nil {
		if err := r.disks.DeleteSnapshot(*content.Status.SnapshotHandle); err != nil {
			r.events.Event(content, corev1.EventTypeWarning, "SnapshotDeleteError", "Failed to delete snapshot")
			return fmt.Errorf("delete storage snapshot of content %s: %w", content.Name, err)
		}
		if err := r.writeStatus(ctx, content, &snapshotv1.VolumeSnapshotContentStatus{}); err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	return setFinalizers(ctx, r.Client, content, nil, []string{contentFinalizer})
}

// storageSnapshot takes the snapshot of a dynamic content, or looks up the one that a pre-provisioned content names.
func (r *contentReconciler) storageSnapshot(ctx context.Context, content *snapshotv1.VolumeSnapshotContent) (storage.Snapshot, error) {
	if handle := content.Spec.Source.SnapshotHandle; handle != nil {
		snapshot, err := r.disks.Snapshot(*handle)
		if err != nil {
			return storage.Snapshot{}, fmt.Errorf("failed to list snapshot for content %s: %w", content.Name, err)
		}
		return snapshot, nil
	}
	handle := *content.Spec.Source.VolumeHandle
	volumes := &corev1.PersistentVolumeList{}
	if err := r.List(ctx, volumes); err != nil {
		return storage.Snapshot{}, err
	}
	i := slices.IndexFunc(volumes.Items, func(volume corev1.PersistentVolume) bool {
		return volume.Spec.CSI != nil && volume.Spec.CSI.Driver == r.driver && volume.Spec.CSI.VolumeHandle == handle
	})
	if i < 0 {
		return storage.Snapshot{}, fmt.Errorf("failed to take snapshot of the volume %s: %w", handle, storage.ErrNotFound)
	}
	name := "snapshot-" + string(content.Spec.VolumeSnapshotRef.UID)
	snapshot, err := r.disks.CreateSnapshot(name, handle, volumes.Items[i].Spec.Capacity.Storage().Value())
	if err != nil {
		return storage.Snapshot{}, fmt.Errorf("failed to take snapshot of the volume %s: %w", handle, err)
	}
	return snapshot, nil
}

func (r *contentReconciler) writeStatus(
	ctx context.Context, content *snapshotv1.VolumeSnapshotContent, status *snapshotv1.VolumeSnapshotContentStatus,
) error {
	before := content.DeepCopy()
	content.Status = status
	if err := r.Status().Patch(ctx, content, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write status of content %s: %w", content.Name, err)
	}
	return nil
}

func (r *contentReconciler) fail(ctx context.Context, content *snapshotv1.VolumeSnapshotContent, cause error) error {
	reason, message := "SnapshotCreationFailed", fmt.Sprintf("Failed to create snapshot: %v", cause)
	if content.Spec.Source.SnapshotHandle != nil {
		reason, message = "SnapshotContentCheckandUpdateFailed", fmt.Sprintf("Failed to check and update snapshot content: %v", cause)
	}
	if content.Status != nil && content.Status.Error != nil && *content.Status.Error.Message == message {
		return nil
	}
	r.events.Event(content, corev1.EventTypeWarning, reason, message)
	return r.writeStatus(ctx, content, &snapshotv1.VolumeSnapshotContentStatus{
		ReadyToUse: new(false),
		Error:      &snapshotv1.VolumeSnapshotError{Time: new(metav1.Now()), Message: &message},
	})
}
