package dataupload

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// scope holds what one pass has read and decided.
type scope struct {
	// read is the DataUpload as it is in the cluster, du the copy that steps change.
	read, du *v2alpha1.DataUpload
	now      time.Time
	log      logrus.FieldLogger

	// config is what counts for this DataUpload, section its part for the backupPVC.
	config  config.Upload
	section config.BackupPVC

	// Objects made for the DataUpload, as far as the cache knows them; nil if there are none, or not ours.
	pod          *corev1.Pod
	pvc          *corev1.PersistentVolumeClaim
	alias        *snapshotv1.VolumeSnapshot
	aliasContent *snapshotv1.VolumeSnapshotContent
	// lostPod is the pod of an attempt that was given up, until it is gone. It never is pod as well.
	lostPod *corev1.Pod

	// volume is read by the first step that needs it.
	volume *expose.Volume

	// reason is what the DataUpload waits for, if that is news.
	reason expose.Reason

	// lost is the cause of losing an attempt in this pass, for the metric.
	lost string

	// expired is set when the prepare timeout has passed: nothing is made any more.
	expired bool
	// done is set when no step shall follow.
	done bool
}

// observe reads what exists for the DataUpload. It costs no API call.
func (r *Reconciler) observe(ctx context.Context, du *v2alpha1.DataUpload) (*scope, error) {
	s := &scope{
		read: du,
		du:   du.DeepCopy(),
		now:  r.Clock.Now(),
		log:  r.Log.WithField("dataUpload", du.Namespace+"/"+du.Name),
	}
	s.config = r.configuration(s)
	s.section = s.config.BackupPVC
	resume(s.du)
	s.expired = s.phase() == accepted && !s.now.Before(r.prepareDeadline(du))

	var err error
	if s.pod, err = owned(ctx, r.Client, du, &corev1.Pod{}); err != nil {
		return nil, err
	}
	if s.pod != nil && s.phase() == accepted && attempts.IsLost(du, s.pod.UID) {
		s.pod, s.lostPod = nil, s.pod
	}
	if s.pvc, err = owned(ctx, r.Client, du, &corev1.PersistentVolumeClaim{}); err != nil {
		return nil, err
	}
	if s.alias, err = owned(ctx, r.Client, du, &snapshotv1.VolumeSnapshot{}); err != nil {
		return nil, err
	}
	s.aliasContent, err = owned(ctx, r.Client, du, &snapshotv1.VolumeSnapshotContent{})
	return s, err
}

// owned reads the object of the DataUpload's name if it is the DataUpload's, else nil.
func owned[T client.Object](ctx context.Context, reader client.Reader, du *v2alpha1.DataUpload, obj T) (T, error) {
	var none T
	key := client.ObjectKey{Namespace: du.Namespace, Name: du.Name}
	if _, clusterScoped := any(obj).(*snapshotv1.VolumeSnapshotContent); clusterScoped {
		key.Namespace = ""
	}
	if err := reader.Get(ctx, key, obj); err != nil {
		if apierrors.IsNotFound(err) {
			return none, nil
		}
		return none, fmt.Errorf("reading %T %s: %w", obj, key, err)
	}
	if !ownedBy(obj, du) {
		return none, nil
	}
	return obj, nil
}

func ownedBy(obj metav1.Object, du *v2alpha1.DataUpload) bool {
	if expose.IsOurs(obj, du) {
		return true
	}
	if _, marked := obj.GetLabels()[expose.OwnerUIDLabel]; marked {
		return false // made for an earlier DataUpload of the same name
	}
	// Stock Velero's alias VolumeSnapshot and content carry neither label nor owner; they are known by their binding.
	switch o := obj.(type) {
	case *snapshotv1.VolumeSnapshot:
		name := o.Spec.Source.VolumeSnapshotContentName
		return name != nil && *name == du.Name
	case *snapshotv1.VolumeSnapshotContent:
		return o.Spec.VolumeSnapshotRef.Namespace == du.Namespace && o.Spec.VolumeSnapshotRef.Name == du.Name
	default:
		return false
	}
}

// phase is the phase that steps have reached; empty means New.
func (s *scope) phase() v2alpha1.DataUploadPhase {
	if s.du.Status.Phase == "" {
		return isNew
	}
	return s.du.Status.Phase
}

func (s *scope) phaseChanged() bool {
	return s.du.Status.Phase != s.read.Status.Phase
}

// end lets the DataUpload end in a terminal phase. Nothing but clean-up comes after it.
func (s *scope) end(phase v2alpha1.DataUploadPhase, message string) {
	s.du.Status.Phase = phase
	s.du.Status.Message = message
	s.du.Status.CompletionTimestamp = &metav1.Time{Time: s.now}
	// Velero's backup counts an operation as begun only if it has a start.
	if s.du.Status.StartTimestamp == nil {
		s.du.Status.StartTimestamp = &metav1.Time{Time: s.now}
	}
	delete(s.du.Labels, v2alpha1.ExposeOnGoingLabel)
}

// isDeleting tells whether an object is on its way out.
func isDeleting(obj metav1.Object) bool {
	return !obj.GetDeletionTimestamp().IsZero()
}
