package dataupload

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// removeSnapshots removes source and alias, whichever of them owns the storage snapshot.
func (r *Reconciler) removeSnapshots(ctx context.Context, s *scope) (string, error) {
	if err := r.knowOwner(ctx, s); err != nil {
		return "", err
	}
	return r.removeBoth(ctx, s)
}

// removeBoth removes source and alias so that the storage snapshot is deleted exactly once, by its owner: the other one
// goes first.
func (r *Reconciler) removeBoth(ctx context.Context, s *scope) (string, error) {
	if s.aliasContent != nil && owns(s.aliasContent) {
		if remaining, err := r.removeSource(ctx, s); remaining != "" || err != nil {
			return remaining, err
		}
		return r.removeAlias(ctx, s)
	}
	if s.aliasContent != nil && !transfer.IsDeleting(s.aliasContent) {
		intact, err := r.sourceIntact(ctx, s)
		if err != nil {
			return "", err
		}
		if !intact {
			// Somebody removed the source. Nobody but the alias can delete the storage snapshot any more.
			return "volumesnapshotcontent " + s.aliasContent.Name,
				r.setPolicy(ctx, s, s.aliasContent, snapshotv1.VolumeSnapshotContentDelete)
		}
	}
	if remaining, err := r.removeAlias(ctx, s); remaining != "" || err != nil {
		return remaining, err
	}
	return r.removeOwningSource(ctx, s)
}

// knowOwner makes sure whether the alias owns the storage snapshot. A cache that does not show yet that it has taken over
// would make its source the owner again, and the storage snapshot would be deleted twice. Once it owns, it always does.
func (r *Reconciler) knowOwner(ctx context.Context, s *scope) error {
	tookOver := s.du.Status.Node != "" // nobody is prepared before
	if s.aliasContent != nil && owns(s.aliasContent) || s.aliasContent == nil && tookOver {
		return nil
	}
	var err error
	s.aliasContent, err = engine.Owned(ctx, r.Live, s.du, &snapshotv1.VolumeSnapshotContent{})
	return err
}

// sourceIntact tells whether the source VolumeSnapshot and its content both exist.
func (r *Reconciler) sourceIntact(ctx context.Context, s *scope) (bool, error) {
	source, err := r.sourceSnapshot(ctx, s)
	if err != nil || source == nil {
		return false, err
	}
	content, err := r.sourceContent(ctx, r.sourceContentName(s, source))
	return content != nil, err
}

// removeAlias removes the alias VolumeSnapshot and then its content, for which policy Retain or a lost VolumeSnapshot
// leave nobody else.
func (r *Reconciler) removeAlias(ctx context.Context, s *scope) (string, error) {
	if s.alias != nil {
		remaining := "volumesnapshot " + s.alias.Namespace + "/" + s.alias.Name
		if transfer.IsDeleting(s.alias) {
			return remaining, nil
		}
		return remaining, r.Delete(ctx, "volumesnapshot", s.alias)
	}
	if s.aliasContent == nil {
		return "", nil
	}
	remaining := "volumesnapshotcontent " + s.aliasContent.Name
	if transfer.IsDeleting(s.aliasContent) {
		return remaining, nil
	}
	if owns(s.aliasContent) && s.aliasContent.Annotations[expose.BeingDeletedAnnotation] == "" {
		before := s.aliasContent.DeepCopy()
		s.aliasContent.Annotations[expose.BeingDeletedAnnotation] = "yes"
		if err := r.Client.Patch(ctx, s.aliasContent, client.MergeFrom(before)); err != nil {
			return remaining, fmt.Errorf("marking volumesnapshotcontent %s as being deleted: %w", s.aliasContent.Name, err)
		}
	}
	return remaining, r.Delete(ctx, "volumesnapshotcontent", s.aliasContent)
}

// removeSource removes what is left of a source that no longer owns the storage snapshot.
func (r *Reconciler) removeSource(ctx context.Context, s *scope) (string, error) {
	source, err := r.sourceSnapshot(ctx, s)
	if err != nil {
		return "", err
	}
	if source != nil && !r.isSourceOf(s, source) {
		source = nil
	}
	if source != nil && transfer.IsDeleting(source) {
		return "volumesnapshot " + source.Namespace + "/" + source.Name, nil
	}
	content, err := r.sourceContent(ctx, r.sourceContentName(s, source))
	switch {
	case err != nil:
		return "", err
	case source == nil && content == nil:
		return "", nil
	case content != nil && owns(content):
		// Only one may own the storage snapshot, and the alias does.
		err = r.setPolicy(ctx, s, content, snapshotv1.VolumeSnapshotContentRetain)
	}
	if err != nil {
		return "", err
	}
	remaining := "source volumesnapshotcontent"
	if content != nil && source == nil && transfer.IsDeleting(content) {
		return remaining, nil
	}
	return remaining, r.deleteSource(ctx, s, source)
}

// removeOwningSource removes a source VolumeSnapshot that was never taken over, and the storage snapshot with it.
func (r *Reconciler) removeOwningSource(ctx context.Context, s *scope) (string, error) {
	source, err := r.sourceSnapshot(ctx, s)
	if err != nil || source == nil {
		return "", err
	}
	remaining := "volumesnapshot " + source.Namespace + "/" + source.Name
	if transfer.IsDeleting(source) {
		return remaining, nil
	}
	content, err := r.boundContent(ctx, source)
	if err != nil {
		return remaining, err
	}
	if content != nil && !owns(content) {
		if err := r.setPolicy(ctx, s, content, snapshotv1.VolumeSnapshotContentDelete); err != nil {
			return remaining, err
		}
	}
	return remaining, r.Delete(ctx, "source volumesnapshot", source)
}
