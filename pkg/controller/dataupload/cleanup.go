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
// before the next: pod, backupPVC and its PV, alias and source snapshot, in the end the finalizer. The PV goes before the
// snapshot, because a clone whose snapshot is deleted first makes some storage systems copy all of it.
func (r *Reconciler) cleanUp(ctx context.Context, s *scope) (outcome, error) {
	if !controllerutil.ContainsFinalizer(s.du, v2alpha1.DataUploadFinalizer) {
		return outcome{}, nil
	}
	for _, remove := range []func(context.Context, *scope) (string, error){
		r.removePod, r.removePVC, r.checkPVGone, r.removeSnapshots, r.checkNothingMissed,
	} {
		remaining, err := remove(ctx, s)
		if err != nil {
			return outcome{}, err
		}
		if remaining != "" {
			return r.awaitGone(s, remaining)
		}
	}
	controllerutil.RemoveFinalizer(s.du, v2alpha1.DataUploadFinalizer)
	s.done = true
	return outcome{}, nil
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
	if isDeleting(s.pvc) {
		return remaining, nil
	}
	claimed, err := r.claimPV(ctx, s)
	if err != nil || !claimed {
		return remaining, err
	}
	return remaining, r.delete(ctx, "backupPVC", s.pvc)
}

// claimPV makes sure that the backupPVC's volume is deleted with it, whatever its class says, and that the PV can be
// found by its owner once the PVC, which alone leads to it, is gone. It is done when the cache shows it.
func (r *Reconciler) claimPV(ctx context.Context, s *scope) (bool, error) {
	name := s.pvc.Spec.VolumeName
	if name == "" {
		return true, nil
	}
	pv := &corev1.PersistentVolume{}
	if err := r.Client.Get(ctx, client.ObjectKey{Name: name}, pv); err == nil {
		return true, nil // the cache holds only what is marked
	} else if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading persistent volume %s of the backupPVC: %w", name, err)
	}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: name}, pv); err != nil {
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, fmt.Errorf("reading persistent volume %s of the backupPVC: %w", name, err)
	}
	if pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != s.pvc.UID {
		return true, nil // not the backupPVC's, whatever the backupPVC says
	}
	before := pv.DeepCopy()
	expose.Mark(pv, s.du)
	pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
	if err := r.Client.Patch(ctx, pv, client.MergeFrom(before)); err != nil {
		return false, fmt.Errorf("setting reclaim policy of persistent volume %s to Delete: %w", name, err)
	}
	return false, nil
}

// checkPVGone waits for the PVs that claimPV has marked.
func (r *Reconciler) checkPVGone(ctx context.Context, s *scope) (string, error) {
	list := &corev1.PersistentVolumeList{}
	if err := r.Client.List(ctx, list, client.MatchingLabels{expose.OwnerUIDLabel: string(s.du.UID)}); err != nil {
		return "", fmt.Errorf("listing persistent volumes of the backupPVC: %w", err)
	}
	if len(list.Items) == 0 {
		return "", nil
	}
	return "persistent volume " + list.Items[0].Name, nil
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
