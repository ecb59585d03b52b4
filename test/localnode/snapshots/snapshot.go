package snapshots

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// snapshotReconciler binds VolumeSnapshots to their contents and keeps their status. It is the snapshot controller.
type snapshotReconciler struct {
	client.Client
	live   client.Reader
	events record.EventRecorder
}

// Reconcile looks at one VolumeSnapshot.
func (r *snapshotReconciler) Reconcile(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot) (reconcile.Result, error) {
	content, err := r.content(ctx, snapshot)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !snapshot.DeletionTimestamp.IsZero() {
		return r.finish(ctx, snapshot, content)
	}
	finalizers := []string{asSourceFinalizer}
	if content != nil && content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete && refersTo(content, snapshot) {
		finalizers = append(finalizers, boundFinalizer)
	}
	if err := setFinalizers(ctx, r.Client, snapshot, finalizers, nil); err != nil {
		return reconcile.Result{}, err
	}
	switch {
	case content == nil && snapshot.Spec.Source.VolumeSnapshotContentName != nil, content == nil && isBound(snapshot):
		return reconcile.Result{}, r.fail(ctx, snapshot, "SnapshotContentMissing", "VolumeSnapshotContent is missing")
	case content == nil:
		content, err = r.createContent(ctx, snapshot)
		if err != nil {
			return reconcile.Result{}, r.fail(ctx, snapshot, "SnapshotContentCreationFailed",
				fmt.Sprintf("Failed to create snapshot content with error %v", err))
		}
	case !refersTo(content, snapshot):
		return reconcile.Result{}, r.fail(ctx, snapshot, "SnapshotContentMisbound",
			fmt.Sprintf("VolumeSnapshotContent [%s] is bound to a different snapshot", content.Name))
	}
	if err := r.bindContent(ctx, snapshot, content); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.mirrorStatus(ctx, snapshot, content)
}

// content reads a snapshot's content past the cache, nil if there is none: what follows may create or delete one.
func (r *snapshotReconciler) content(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot) (*snapshotv1.VolumeSnapshotContent, error) {
	content := &snapshotv1.VolumeSnapshotContent{}
	err := r.live.Get(ctx, types.NamespacedName{Name: contentName(snapshot)}, content)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get content of snapshot %s: %w", snapshot.Name, err)
	}
	return content, nil
}

// refersTo is pointsTo, or a pre-provisioned content that is still to be bound to the snapshot.
func refersTo(content *snapshotv1.VolumeSnapshotContent, snapshot *snapshotv1.VolumeSnapshot) bool {
	ref := content.Spec.VolumeSnapshotRef
	return ref.Name == snapshot.Name && ref.Namespace == snapshot.Namespace && (ref.UID == "" || ref.UID == snapshot.UID)
}

func isBound(snapshot *snapshotv1.VolumeSnapshot) bool {
	return snapshot.Status != nil && snapshot.Status.BoundVolumeSnapshotContentName != nil
}

// createContent asks the sidecar for a snapshot of the source claim's volume.
func (r *snapshotReconciler) createContent(
	ctx context.Context, snapshot *snapshotv1.VolumeSnapshot,
) (*snapshotv1.VolumeSnapshotContent, error) {
	class, volume, err := r.source(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: contentName(snapshot), Finalizers: []string{contentFinalizer}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			VolumeSnapshotRef: corev1.ObjectReference{
				APIVersion: snapshotv1.SchemeGroupVersion.String(), Kind: "VolumeSnapshot",
				Namespace: snapshot.Namespace, Name: snapshot.Name, UID: snapshot.UID, ResourceVersion: snapshot.ResourceVersion,
			},
			Source:                  snapshotv1.VolumeSnapshotContentSource{VolumeHandle: &volume.Spec.CSI.VolumeHandle},
			VolumeSnapshotClassName: &class.Name,
			DeletionPolicy:          class.DeletionPolicy,
			Driver:                  class.Driver,
			SourceVolumeMode:        volume.Spec.VolumeMode,
		},
	}
	if err := r.Create(ctx, content); err != nil {
		return nil, err
	}
	r.events.Event(snapshot, corev1.EventTypeNormal, "CreatingSnapshot", fmt.Sprintf(
		"Waiting for a snapshot %s to be created by the CSI driver.", client.ObjectKeyFromObject(snapshot)))
	return content, nil
}

func (r *snapshotReconciler) source(
	ctx context.Context, snapshot *snapshotv1.VolumeSnapshot,
) (*snapshotv1.VolumeSnapshotClass, *corev1.PersistentVolume, error) {
	if snapshot.Spec.VolumeSnapshotClassName == nil {
		return nil, nil, fmt.Errorf("failed to take snapshot %s without a snapshot class", snapshot.Name)
	}
	class := &snapshotv1.VolumeSnapshotClass{}
	if err := r.live.Get(ctx, types.NamespacedName{Name: *snapshot.Spec.VolumeSnapshotClassName}, class); err != nil {
		return nil, nil, fmt.Errorf("failed to get input parameters to create snapshot %s: %w", snapshot.Name, err)
	}
	claim := &corev1.PersistentVolumeClaim{}
	name := types.NamespacedName{Namespace: snapshot.Namespace, Name: *snapshot.Spec.Source.PersistentVolumeClaimName}
	if err := r.live.Get(ctx, name, claim); err != nil {
		return nil, nil, fmt.Errorf("failed to retrieve PVC %s: %w", name.Name, err)
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return nil, nil, fmt.Errorf("the PVC %s is not yet bound to a PV, will not attempt to take a snapshot", claim.Name)
	}
	volume := &corev1.PersistentVolume{}
	if err := r.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, volume); err != nil {
		return nil, nil, err
	}
	if volume.Spec.CSI == nil {
		return nil, nil, fmt.Errorf("cannot find CSI PersistentVolumeSource for volume %s", volume.Name)
	}
	return class, volume, nil
}

// bindContent completes a pre-provisioned content: it names the snapshot, and now gets its UID and class.
func (r *snapshotReconciler) bindContent(
	ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent,
) error {
	ref := &content.Spec.VolumeSnapshotRef
	if ref.UID != "" && (content.Spec.VolumeSnapshotClassName != nil || snapshot.Spec.VolumeSnapshotClassName == nil) {
		return nil
	}
	before := content.DeepCopy()
	ref.UID = snapshot.UID
	if snapshot.Spec.VolumeSnapshotClassName != nil {
		content.Spec.VolumeSnapshotClassName = snapshot.Spec.VolumeSnapshotClassName
	}
	if err := r.Patch(ctx, content, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("bind content %s: %w", content.Name, err)
	}
	return nil
}

// mirrorStatus shows in the snapshot's status what the sidecar has found out about the content.
func (r *snapshotReconciler) mirrorStatus(
	ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent,
) error {
	status := &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: new(false)}
	if from := content.Status; from != nil {
		status.ReadyToUse = new(from.ReadyToUse != nil && *from.ReadyToUse)
		status.Error = from.Error
		if from.CreationTime != nil {
			status.CreationTime = new(metav1.Unix(0, *from.CreationTime).Rfc3339Copy())
		}
		if from.RestoreSize != nil {
			status.RestoreSize = resource.NewQuantity(*from.RestoreSize, resource.BinarySI)
		}
	}
	return r.writeStatus(ctx, snapshot, status)
}

func (r *snapshotReconciler) writeStatus(
	ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, status *snapshotv1.VolumeSnapshotStatus,
) error {
	if equality.Semantic.DeepEqual(snapshot.Status, status) {
		return nil
	}
	wasReady := snapshot.Status != nil && snapshot.Status.ReadyToUse != nil && *snapshot.Status.ReadyToUse
	before := snapshot.DeepCopy()
	snapshot.Status = status
	if err := r.Status().Patch(ctx, snapshot, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write status of snapshot %s: %w", snapshot.Name, err)
	}
	if !wasReady && *status.ReadyToUse {
		r.events.Event(snapshot, corev1.EventTypeNormal, "SnapshotReady",
			fmt.Sprintf("Snapshot %s is ready to use.", client.ObjectKeyFromObject(snapshot)))
	}
	return nil
}

// fail puts an error into the status and an event, and makes the controller try again later.
func (r *snapshotReconciler) fail(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot, reason, message string) error {
	status := snapshot.Status.DeepCopy()
	if status == nil {
		status = &snapshotv1.VolumeSnapshotStatus{}
	}
	if status.Error == nil || status.Error.Message == nil || *status.Error.Message != message {
		status.ReadyToUse = new(false)
		status.Error = &snapshotv1.VolumeSnapshotError{Time: new(metav1.Now()), Message: &message}
		if err := r.writeStatus(ctx, snapshot, status); err != nil {
			return err
		}
		r.events.Event(snapshot, corev1.EventTypeWarning, reason, message)
	}
	return fmt.Errorf("snapshot %s/%s: %s", snapshot.Namespace, snapshot.Name, message)
}
