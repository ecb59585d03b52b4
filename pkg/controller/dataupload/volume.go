package dataupload

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// sourcePVCMissing is the code of waiting for the source PVC, where the snapshot alone does not say enough.
const sourcePVCMissing = "SourcePVCMissing"

// volumeOf gathers what is known about the source volume. The snapshot alone may be enough: a PVC that is deleted after
// the snapshot was taken does not stop the backup.
func (r *Reconciler) volumeOf(ctx context.Context, s *scope) (expose.Volume, error) {
	if s.volume != nil {
		return *s.volume, nil
	}
	pvc, err := r.sourcePVC(ctx, s)
	if err != nil {
		return expose.Volume{}, err
	}
	volume := expose.Volume{Mode: corev1.PersistentVolumeFilesystem, Size: expose.SnapshotSize(s.alias, s.aliasContent)}
	if pvc == nil {
		err = withoutPVC(s, &volume)
	} else {
		err = r.withPVC(ctx, s, pvc, &volume)
	}
	if err != nil {
		return expose.Volume{}, err
	}
	if volume.StorageClass == "" {
		return expose.Volume{}, engine.Failf("source PVC %s/%s has no storage class, so none is known for the backupPVC: "+
			"name one of driver %s in the node-agent ConfigMap, {\"backupPVC\": {\"\": {\"storageClass\": \"NAME\"}}}",
			s.du.Spec.SourceNamespace, s.du.Spec.SourcePVC, s.aliasContent.Spec.Driver)
	}
	s.volume = &volume
	return volume, nil
}

// withPVC completes what is known by what source PVC and PV tell. The PV is read only where something depends on it.
func (r *Reconciler) withPVC(ctx context.Context, s *scope, pvc *corev1.PersistentVolumeClaim, volume *expose.Volume) error {
	if pvc.Spec.VolumeMode != nil {
		volume.Mode = *pvc.Spec.VolumeMode
	}
	volume.StorageClass = expose.BackupStorageClass(s.du, s.section)
	follows, err := r.followsSource(ctx, volume.StorageClass)
	if err != nil || !follows && !volume.Size.IsZero() {
		return err
	}
	pv, err := r.sourcePV(ctx, pvc.Spec.VolumeName)
	if err != nil {
		return err
	}
	if volume.Size.IsZero() {
		volume.Size = expose.SourceSize(pvc, pv)
	}
	if pv == nil {
		return nil
	}
	if volume.StorageClass == "" {
		volume.StorageClass = pv.Spec.StorageClassName
		if follows, err = r.followsSource(ctx, volume.StorageClass); err != nil {
			return err
		}
	}
	if follows && pv.Spec.NodeAffinity != nil {
		volume.Topology = pv.Spec.NodeAffinity.Required
	}
	return nil
}

func (r *Reconciler) sourcePVC(ctx context.Context, s *scope) (*corev1.PersistentVolumeClaim, error) {
	pvc := &corev1.PersistentVolumeClaim{}
	key := client.ObjectKey{Namespace: s.du.Spec.SourceNamespace, Name: s.du.Spec.SourcePVC}
	if err := r.Live.Get(ctx, key, pvc); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading source PVC %s: %w", key, err)
	}
	return pvc, nil
}

// withoutPVC takes from the snapshot what the source PVC would tell.
func withoutPVC(s *scope, volume *expose.Volume) error {
	mode := s.aliasContent.Spec.SourceVolumeMode
	if mode == nil || volume.Size.Cmp(resource.Quantity{}) <= 0 {
		return engine.Waitf(sourcePVCMissing, "source PVC %s/%s not found, and the snapshot does not tell volume mode and size",
			s.du.Spec.SourceNamespace, s.du.Spec.SourcePVC)
	}
	volume.Mode = *mode
	volume.StorageClass = expose.BackupStorageClass(s.du, s.section)
	s.Log.Info("source PVC is gone; volume mode and size are taken from the snapshot, its topology is unknown")
	return nil
}

// followsSource tells whether the backup pod must run where the source volume can be used. It must where the class of the backupPVC
// binds with the first consumer: the pod decides where that volume comes to be, and the snapshot may be nowhere else. Where the
// class binds at once, the driver decides, and the scheduler goes by the volume that it has made. A class that is gone counts as
// one that binds late.
func (r *Reconciler) followsSource(ctx context.Context, backupClass string) (bool, error) {
	class, err := r.StorageClass(ctx, backupClass)
	return class == nil || transfer.DelaysBinding(class), err
}

// sourcePV reads the source PV; nil if there is none.
func (r *Reconciler) sourcePV(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	if name == "" {
		return nil, nil
	}
	pv := &corev1.PersistentVolume{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: name}, pv); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading source PV %s: %w", name, err)
	}
	return pv, nil
}

// attachedTo lists the nodes that have the source volume attached, if the backupPVC cannot be used there. All attachments are
// listed for it, because they cannot be selected by volume.
func (r *Reconciler) attachedTo(ctx context.Context, s *scope) ([]string, error) {
	if !expose.NeedsOtherNode(s.section.Annotations) {
		return nil, nil
	}
	pvc, err := r.sourcePVC(ctx, s)
	if err != nil || pvc == nil || pvc.Spec.VolumeName == "" {
		return nil, err
	}
	attachments := &storagev1.VolumeAttachmentList{}
	if err := r.Live.List(ctx, attachments); err != nil {
		return nil, fmt.Errorf("listing volumeattachments of source PV %s: %w", pvc.Spec.VolumeName, err)
	}
	var nodes []string
	for i := range attachments.Items {
		spec := attachments.Items[i].Spec
		if spec.Source.PersistentVolumeName != nil && *spec.Source.PersistentVolumeName == pvc.Spec.VolumeName {
			nodes = append(nodes, spec.NodeName)
		}
	}
	slices.Sort(nodes)
	return nodes, nil
}
