package transfer

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// cleaningUp is the code of clean-up that waits for an object to be gone.
const cleaningUp = "CleaningUp"

// actionCleanUp is the action of its Event, in the form that events.k8s.io asks for.
const actionCleanUp = "CleanUp"

// patienceWithCleanUp is how long the storage may take to delete before it is worth telling the user.
const patienceWithCleanUp = time.Minute

// Removal removes one thing that was made for S, the scope of a kind. It returns what is still there, or nothing once it is gone.
type Removal[S engine.Scoped] func(context.Context, S) (string, error)

// SharedRemoval makes a Removal of a kind of one that both kinds have.
func SharedRemoval[S engine.Scoped](remove func(context.Context, *engine.Scope) (string, error)) Removal[S] {
	return func(ctx context.Context, s S) (string, error) { return remove(ctx, s.Shared()) }
}

// CleanUp removes everything that was made for what has ended, one thing after the other, each checked gone before the
// next, and in the end the finalizer.
func CleanUp[S engine.Scoped](ctx context.Context, e Steps, s S, removals []Removal[S]) error {
	shared := s.Shared()
	if !controllerutil.ContainsFinalizer(shared.Object, v2alpha1.Finalizer) {
		return nil
	}
	if shared.Phase() == failed && shared.Pod != nil && !IsDeleting(shared.Pod) && !e.Logs.Keep(shared.Pod, shared.Log) {
		return engine.WaitFor(moverpod.Period, waiting.Reason{})
	}
	remaining, err := RemoveInOrder(ctx, s, removals)
	if err != nil {
		return err
	}
	if remaining != "" {
		return e.awaitGone(shared, remaining)
	}
	controllerutil.RemoveFinalizer(shared.Object, v2alpha1.Finalizer)
	return nil
}

// RemoveInOrder goes as far as it can without waiting, and returns what is waited for.
func RemoveInOrder[S engine.Scoped](ctx context.Context, s S, removals []Removal[S]) (string, error) {
	for _, remove := range removals {
		if remaining, err := remove(ctx, s); remaining != "" || err != nil {
			return remaining, err
		}
	}
	return "", nil
}

// awaitGone waits for what is on its way out. All of it is watched; if it takes long, the user hears of it.
func (e Steps) awaitGone(s *engine.Scope, remaining string) error {
	if ended := s.Status().CompletionTimestamp; ended != nil && s.Now.Sub(ended.Time) > patienceWithCleanUp {
		e.Events.Eventf(s.Object, nil, corev1.EventTypeWarning, cleaningUp, actionCleanUp, "%s is still being deleted", remaining)
		s.Log.WithField("object", remaining).Warn("clean-up waits for an object to be gone")
	}
	if s.Pod != nil && IsDeleting(s.Pod) {
		return engine.WaitFor(stopSeconds*time.Second, waiting.Reason{})
	}
	return engine.Wait(waiting.Reason{})
}

// RemovePod removes the pod.
func (e Steps) RemovePod(ctx context.Context, s *engine.Scope) (string, error) {
	if s.Pod == nil {
		return "", nil
	}
	remaining := e.Kind.Words.Pod + " " + s.Pod.Name
	if IsDeleting(s.Pod) {
		_, err := e.forceStuckPod(ctx, s, s.Pod)
		return remaining, err
	}
	return remaining, e.Delete(ctx, e.Kind.Words.Pod, s.Pod)
}

// RemovePVC removes the PVC, and lets its volume go with it.
func (e Steps) RemovePVC(ctx context.Context, s *engine.Scope) (string, error) {
	if s.PVC == nil {
		return "", nil
	}
	remaining := e.Kind.Words.PVC + " " + s.PVC.Name
	adopted, err := e.AdoptVolume(ctx, s)
	if err != nil || !adopted || IsDeleting(s.PVC) {
		return remaining, err
	}
	return remaining, e.Delete(ctx, e.Kind.Words.PVC, s.PVC)
}

// AdoptVolume makes sure that the volume of the PVC is deleted with it, whatever its class says, and that the PV can be
// found by its owner once the PVC, which alone leads to it, is gone. It is done when the cache shows it.
func (e Steps) AdoptVolume(ctx context.Context, s *engine.Scope) (bool, error) {
	pv, err := e.VolumeOf(ctx, s)
	if err != nil {
		return false, err
	}
	if pv == nil || expose.IsOurs(pv, s.Object) && deletedWithPVC(pv) {
		return true, nil
	}
	return false, e.deleteWithPVC(ctx, s, pv)
}

// VolumeOf reads the persistent volume of the PVC; nil if it has none. The cache holds it as soon as it is marked.
func (e Steps) VolumeOf(ctx context.Context, s *engine.Scope) (*corev1.PersistentVolume, error) {
	name := s.PVC.Spec.VolumeName
	if name == "" {
		return nil, nil
	}
	pv := &corev1.PersistentVolume{}
	err := e.getSeenOrLive(ctx, name, pv)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading persistent volume %s of the %s: %w", name, e.Kind.Words.PVC, err)
	case pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != s.PVC.UID:
		return nil, nil // not the PVC's, whatever the PVC says
	default:
		return pv, nil
	}
}

func deletedWithPVC(pv *corev1.PersistentVolume) bool {
	return pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

// deleteWithPVC marks a volume and lets it be deleted with its PVC, if it still is as it was seen: what a cache shows as being on its
// way out may have become somebody's.
func (e Steps) deleteWithPVC(ctx context.Context, s *engine.Scope, pv *corev1.PersistentVolume) error {
	before := pv.DeepCopy()
	expose.Mark(pv, s.Object)
	pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
	if err := e.Client.Patch(ctx, pv, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("setting reclaim policy of persistent volume %s to Delete: %w", pv.Name, err)
	}
	return nil
}

// CheckPVGone waits for the PVs that adoptVolume has marked. Its PVC gone, a PV can only wait for the storage to delete it.
func (e Steps) CheckPVGone(ctx context.Context, s *engine.Scope) (string, error) {
	list := &corev1.PersistentVolumeList{}
	if err := e.Client.List(ctx, list, client.MatchingLabels{expose.OwnerUIDLabel: string(s.Object.GetUID())}); err != nil {
		return "", fmt.Errorf("listing persistent volumes of the %s: %w", e.Kind.Words.PVC, err)
	}
	for i := range list.Items {
		pv := &list.Items[i]
		if !expose.ClaimRefersTo(pv, client.ObjectKeyFromObject(s.Object)) {
			continue
		}
		var err error
		if !deletedWithPVC(pv) {
			err = e.deleteWithPVC(ctx, s, pv)
		}
		return "persistent volume " + pv.Name, err
	}
	return "", nil
}

// CheckNothingMissed asks the API server itself where the cache could be behind: an object that was made moments before the
// end might not be in the cache yet, and would be left over. Once prepared, all of it was seen there. extra are objects that
// are made beside pod and PVC, by what they are called.
func (e Steps) CheckNothingMissed(ctx context.Context, s *engine.Scope, extra map[string]client.Object) (string, error) {
	if s.Status().Node != "" {
		return "", nil
	}
	objects := map[string]client.Object{e.Kind.Words.Pod: &corev1.Pod{}, e.Kind.Words.PVC: &corev1.PersistentVolumeClaim{}}
	maps.Copy(objects, extra)
	for kind, obj := range objects {
		found, err := engine.Owned(ctx, e.Live, s.Object, obj)
		if err != nil {
			return "", err
		}
		if found != nil {
			return kind + " " + s.Object.GetName(), nil
		}
	}
	return "", nil
}
