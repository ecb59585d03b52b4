package dataupload

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// cleaningUp is the code of clean-up that waits for an object to be gone.
const cleaningUp = "CleaningUp"

// patienceWithCleanUp is how long the storage may take to delete before it is worth telling the user.
const patienceWithCleanUp = time.Minute

// cleanUp removes everything that was made for a DataUpload that has ended, one thing after the other, each checked gone
// before the next: pod, backupPVC and its PV, alias and source snapshot, the copies of what the driver needed for them, in the
// end the finalizer. The PV goes before the snapshot, because a clone whose snapshot is deleted first makes some storage
// systems copy all of it.
func (r *Reconciler) cleanUp(ctx context.Context, s *scope) (outcome, error) {
	if !controllerutil.ContainsFinalizer(s.du, v2alpha1.Finalizer) {
		return outcome{}, nil
	}
	remaining, err := removeInOrder(ctx, s,
		r.removePod, r.removePVC, r.checkPVGone, r.removeSnapshots, r.removeCopies, r.checkNothingMissed, r.leaveToVelero)
	if err != nil {
		return outcome{}, err
	}
	if remaining != "" {
		return r.awaitGone(s, remaining)
	}
	controllerutil.RemoveFinalizer(s.du, v2alpha1.Finalizer)
	s.done = true
	return outcome{}, nil
}

// removal removes one thing. It returns what is still there, or nothing once it is gone.
type removal func(context.Context, *scope) (string, error)

// removeInOrder goes as far as it can without waiting, and returns what is waited for.
func removeInOrder(ctx context.Context, s *scope, removals ...removal) (string, error) {
	for _, remove := range removals {
		if remaining, err := remove(ctx, s); remaining != "" || err != nil {
			return remaining, err
		}
	}
	return "", nil
}

// awaitGone waits for what is on its way out. All of it is watched; if it takes long, the user hears of it.
func (r *Reconciler) awaitGone(s *scope, remaining string) (outcome, error) {
	if ended := s.du.Status.CompletionTimestamp; ended != nil && s.now.Sub(ended.Time) > patienceWithCleanUp {
		r.Events.Eventf(s.du, nil, corev1.EventTypeWarning, cleaningUp, actionCleanUp, "%s is still being deleted", remaining)
		s.log.WithField("object", remaining).Warn("clean-up waits for an object to be gone")
	}
	if s.pod != nil && isDeleting(s.pod) {
		return waitFor(stopSeconds*time.Second, expose.Reason{})
	}
	return wait(expose.Reason{})
}

func (r *Reconciler) removePod(ctx context.Context, s *scope) (string, error) {
	if s.pod == nil {
		return "", nil
	}
	remaining := "backup pod " + s.pod.Name
	if isDeleting(s.pod) {
		_, err := r.forceStuckPod(ctx, s, s.pod)
		return remaining, err
	}
	return remaining, r.delete(ctx, "backup pod", s.pod)
}

func (r *Reconciler) removePVC(ctx context.Context, s *scope) (string, error) {
	if s.pvc == nil {
		return "", nil
	}
	remaining := "backupPVC " + s.pvc.Name
	claimed, err := r.claimPV(ctx, s)
	if err != nil || !claimed || isDeleting(s.pvc) {
		return remaining, err
	}
	return remaining, r.delete(ctx, "backupPVC", s.pvc)
}

// claimPV makes sure that the backupPVC's volume is deleted with it, whatever its class says, and that the PV can be
// found by its owner once the PVC, which alone leads to it, is gone. It is done when the cache shows it.
func (r *Reconciler) claimPV(ctx context.Context, s *scope) (bool, error) {
	pv, err := r.backupPV(ctx, s)
	if err != nil {
		return false, err
	}
	if pv == nil || expose.IsOurs(pv, s.du) && goesWithClaim(pv) {
		return true, nil
	}
	return false, r.letGoWithClaim(ctx, s, pv)
}

// backupPV reads the persistent volume of the backupPVC; nil if it has none. The cache holds it as soon as it is marked.
func (r *Reconciler) backupPV(ctx context.Context, s *scope) (*corev1.PersistentVolume, error) {
	name := s.pvc.Spec.VolumeName
	if name == "" {
		return nil, nil
	}
	pv := &corev1.PersistentVolume{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, pv)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, client.ObjectKey{Name: name}, pv)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading persistent volume %s of the backupPVC: %w", name, err)
	case pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != s.pvc.UID:
		return nil, nil // not the backupPVC's, whatever the backupPVC says
	default:
		return pv, nil
	}
}

func goesWithClaim(pv *corev1.PersistentVolume) bool {
	return pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

func (r *Reconciler) letGoWithClaim(ctx context.Context, s *scope, pv *corev1.PersistentVolume) error {
	before := pv.DeepCopy()
	expose.Mark(pv, s.du)
	pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
	if err := r.Client.Patch(ctx, pv, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("setting reclaim policy of persistent volume %s to Delete: %w", pv.Name, err)
	}
	return nil
}

// checkPVGone waits for the PVs that claimPV has marked. Its PVC gone, a PV can only wait for the storage to delete it.
func (r *Reconciler) checkPVGone(ctx context.Context, s *scope) (string, error) {
	list := &corev1.PersistentVolumeList{}
	if err := r.Client.List(ctx, list, client.MatchingLabels{expose.OwnerUIDLabel: string(s.du.UID)}); err != nil {
		return "", fmt.Errorf("listing persistent volumes of the backupPVC: %w", err)
	}
	for i := range list.Items {
		pv := &list.Items[i]
		if !expose.ClaimedBy(pv, client.ObjectKeyFromObject(s.du)) {
			continue
		}
		var err error
		if !goesWithClaim(pv) {
			err = r.letGoWithClaim(ctx, s, pv)
		}
		return "persistent volume " + pv.Name, err
	}
	return "", nil
}

// checkNothingMissed asks the API server itself where the cache could be behind: an object that was made moments before
// the DataUpload ended might not be in the cache yet, and would be left over. Once prepared, all of it was seen there.
func (r *Reconciler) checkNothingMissed(ctx context.Context, s *scope) (string, error) {
	if s.du.Status.Node != "" {
		return "", nil
	}
	for kind, obj := range map[string]client.Object{
		"backup pod":            &corev1.Pod{},
		"backupPVC":             &corev1.PersistentVolumeClaim{},
		"volumesnapshot":        &snapshotv1.VolumeSnapshot{},
		"volumesnapshotcontent": &snapshotv1.VolumeSnapshotContent{},
	} {
		found, err := owned(ctx, r.Live, s.du, obj)
		if err != nil {
			return "", err
		}
		if found != nil {
			return kind + " " + s.du.Name, nil
		}
	}
	return "", nil
}
