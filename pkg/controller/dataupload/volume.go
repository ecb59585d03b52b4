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
	volume := expose.Volume{Mode: corev1.PersistentVolumeFilesystem}
	if s.alias.Status.RestoreSize != nil {
		volume.Size = *s.alias.Status.RestoreSize
	}
	if pvc != nil {
		if pvc.Spec.VolumeMode != nil {
			volume.Mode = *pvc.Spec.VolumeMode
		}
		if volume.Size.IsZero() {
			volume.Size = pvc.Spec.Resources.Requests[corev1.ResourceStorage]
		}
		if volume.Topology, err = r.topology(ctx, s, pvc); err != nil {
			return expose.Volume{}, err
		}
	} else if err := withoutPVC(s, &volume); err != nil {
		return expose.Volume{}, err
	}
	s.volume = &volume
	return volume, nil
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
		return transfer.Waitf(sourcePVCMissing, "source PVC %s/%s not found, and the snapshot does not tell volume mode and size",
			s.du.Spec.SourceNamespace, s.du.Spec.SourcePVC)
	}
	volume.Mode = *mode
	s.Log.Info("source PVC is gone; volume mode and size are taken from the snapshot, its topology is unknown")
	return nil
}

// topology is where the source volume can be used. It matters for classes that bind with the first consumer: there the
// backup pod decides where the backupPVC comes to be, and that must be where the snapshot is. A class that is gone counts
// as such.
func (r *Reconciler) topology(ctx context.Context, s *scope, pvc *corev1.PersistentVolumeClaim) (*corev1.NodeSelector, error) {
	class, err := r.StorageClass(ctx, s.Class)
	if err != nil {
		return nil, err
	}
	if class != nil && !transfer.DelaysBinding(class) || pvc.Spec.VolumeName == "" {
		return nil, nil
	}
	pv := &corev1.PersistentVolume{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: pvc.Spec.VolumeName}, pv); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading source PV %s: %w", pvc.Spec.VolumeName, err)
	}
	if pv.Spec.NodeAffinity == nil {
		return nil, nil
	}
	return pv.Spec.NodeAffinity.Required, nil
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
