package dataupload

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// The owner of a storage snapshot is the VolumeSnapshotContent with policy Delete. It is the source's until the alias is
// ready; then the source is set to Retain, and after that the alias to Delete. There are never two owners, so the storage
// snapshot is deleted once; and in between both contents refer to it, so it is not lost.

// takeOver makes the alias the owner of the storage snapshot and removes the source objects.
func (r *Reconciler) takeOver(ctx context.Context, s *scope) error {
	if s.Expired {
		return nil
	}
	source, err := r.sourceSnapshot(ctx, s)
	if err != nil {
		return err
	}
	if owns(s.aliasContent) {
		// An earlier pass took over. It may have been cut off before the source was gone.
		if source == nil || transfer.IsDeleting(source) || !r.isSourceOf(s, source) {
			return nil
		}
		return r.deleteSource(ctx, s, source)
	}
	content, err := r.sourceContent(ctx, r.sourceContentName(s, source))
	if err != nil {
		return err
	}
	if content != nil && content.Spec.DeletionPolicy != snapshotv1.VolumeSnapshotContentRetain {
		if err := r.setPolicy(ctx, s, content, snapshotv1.VolumeSnapshotContentRetain); err != nil {
			return err
		}
	}
	if err := r.setPolicy(ctx, s, s.aliasContent, snapshotv1.VolumeSnapshotContentDelete); err != nil {
		return err
	}
	return r.deleteSource(ctx, s, source)
}

// deleteSource deletes the source VolumeSnapshot and its content, which owns nothing any more.
func (r *Reconciler) deleteSource(ctx context.Context, s *scope, source *snapshotv1.VolumeSnapshot) error {
	if source != nil && !transfer.IsDeleting(source) && r.isSourceOf(s, source) {
		if err := r.Delete(ctx, "source volumesnapshot", source); err != nil {
			return err
		}
	}
	name := r.sourceContentName(s, source)
	if name == "" {
		return nil
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	content.Name = name
	return r.Delete(ctx, "source volumesnapshotcontent", content)
}

// isSourceOf tells whether a VolumeSnapshot of the right name still is the one that the alias was made from.
func (r *Reconciler) isSourceOf(s *scope, source *snapshotv1.VolumeSnapshot) bool {
	return expose.BoundContent(source) == r.sourceContentName(s, source)
}

// sourceContentName is the name of the source VolumeSnapshotContent. An alias that stock Velero made does not tell.
func (r *Reconciler) sourceContentName(s *scope, source *snapshotv1.VolumeSnapshot) string {
	if name := s.aliasContent.Annotations[expose.SourceContentAnnotation]; name != "" || source == nil {
		return name
	}
	return expose.BoundContent(source)
}

func owns(content *snapshotv1.VolumeSnapshotContent) bool {
	return content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete
}

// setPolicy decides whether a content owns its storage snapshot. The mark goes with it, so that a source which gave up its
// storage snapshot is still found when neither alias nor DataUpload is left to name it.
func (r *Reconciler) setPolicy(
	ctx context.Context, s *scope, content *snapshotv1.VolumeSnapshotContent, policy snapshotv1.DeletionPolicy,
) error {
	before := content.DeepCopy()
	expose.Mark(content, s.du)
	content.Spec.DeletionPolicy = policy
	if err := r.Client.Patch(ctx, content, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("setting deletion policy of volumesnapshotcontent %s to %s: %w", content.Name, policy, err)
	}
	return nil
}
