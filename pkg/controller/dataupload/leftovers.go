package dataupload

import (
	"context"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// RemoveLeftovers does the next part of clean-up, in the order and by the rules of every other one. It returns what must be
// gone before the part after that, or nothing when all is done. It writes nothing to the DataUpload.
func (r *Reconciler) RemoveLeftovers(ctx context.Context, l transfer.Leftovers) (string, error) {
	s := newScope(r.NewScope(l.Transfer))
	// source is the source's VolumeSnapshotContent, if the alias was about to take over from it.
	var source *snapshotv1.VolumeSnapshotContent
	for _, obj := range l.Objects {
		switch typed := obj.(type) {
		case *corev1.Pod:
			s.Pod = typed
		case *corev1.PersistentVolumeClaim:
			s.PVC = typed
		case *snapshotv1.VolumeSnapshot:
			s.alias = typed
		case *snapshotv1.VolumeSnapshotContent:
			if typed.Name == s.du.Name {
				s.aliasContent = typed
			} else {
				source = typed
			}
		}
	}
	removeSnapshots := func(ctx context.Context, s *scope) (string, error) {
		return r.removeLeftSnapshots(ctx, s, source)
	}
	return transfer.RemoveInOrder(ctx, s, append(r.removeVolume(), removeSnapshots))
}

// removeLeftSnapshots finds out what a DataUpload that is gone would tell, and then removes the snapshots. A source that
// was never taken over is left to its owner: without the DataUpload, nothing says that it was made for it.
func (r *Reconciler) removeLeftSnapshots(ctx context.Context, s *scope, taken *snapshotv1.VolumeSnapshotContent) (string, error) {
	source, err := r.leftSource(ctx, s, taken)
	if err != nil {
		return "", err
	}
	gone, untouched := s.du.Spec.CSISnapshot == nil, source != nil && taken == nil && !owns(s.aliasContent)
	if gone && source != nil && !untouched {
		s.du.Spec.SourceNamespace = source.Spec.VolumeSnapshotRef.Namespace
		s.du.Spec.CSISnapshot = &v2alpha1.CSISnapshotSpec{VolumeSnapshot: source.Spec.VolumeSnapshotRef.Name}
	}
	if err := r.replaceAlias(ctx, s, taken); err != nil {
		return "", err
	}
	shared, err := r.isShared(ctx, s)
	switch {
	case err != nil:
		return "", err
	case shared || gone && untouched:
		return r.removeAlias(ctx, s)
	case untouched:
		// The DataUpload names the source, but once the alias is gone, only a mark on the source leads to the DataUpload.
		return "source volumesnapshotcontent " + source.Name, r.setPolicy(ctx, s, source, snapshotv1.VolumeSnapshotContentDelete)
	default:
		return r.removeBoth(ctx, s)
	}
}

// leftSource is the source's VolumeSnapshotContent, taken over or not; nil if it is gone.
func (r *Reconciler) leftSource(
	ctx context.Context, s *scope, taken *snapshotv1.VolumeSnapshotContent,
) (*snapshotv1.VolumeSnapshotContent, error) {
	if taken != nil || s.aliasContent == nil {
		return taken, nil
	}
	return r.sourceContent(ctx, r.sourceContentName(s, nil))
}

// replaceAlias lets the last content that refers to the storage snapshot go as the alias would have gone: that of a source
// without VolumeSnapshot, where the alias is gone.
func (r *Reconciler) replaceAlias(ctx context.Context, s *scope, taken *snapshotv1.VolumeSnapshotContent) error {
	if s.aliasContent != nil || taken == nil {
		return nil
	}
	snapshot, err := r.sourceSnapshot(ctx, s)
	if err != nil {
		return err
	}
	if snapshot == nil || expose.BoundContent(snapshot) != taken.Name {
		s.aliasContent = taken
	}
	return nil
}

// isShared tells whether another DataUpload's content refers to the storage snapshot, too, which must outlive an alias
// that does not own it.
func (r *Reconciler) isShared(ctx context.Context, s *scope) (bool, error) {
	if s.aliasContent == nil || owns(s.aliasContent) {
		return false, nil
	}
	list := &snapshotv1.VolumeSnapshotContentList{}
	if err := r.Client.List(ctx, list, client.HasLabels{expose.OwnerUIDLabel}); err != nil {
		return false, fmt.Errorf("listing volumesnapshotcontents that refer to the same storage snapshot: %w", err)
	}
	handle := snapshotHandle(s.aliasContent)
	return slices.ContainsFunc(list.Items, func(other snapshotv1.VolumeSnapshotContent) bool {
		return !expose.IsOurs(&other, s.du) && other.Spec.Driver == s.aliasContent.Spec.Driver && snapshotHandle(&other) == handle
	}), nil
}

// snapshotHandle is the storage system's name of the snapshot; a content made from a volume learns it later.
func snapshotHandle(content *snapshotv1.VolumeSnapshotContent) string {
	switch {
	case content.Spec.Source.SnapshotHandle != nil:
		return *content.Spec.Source.SnapshotHandle
	case content.Status != nil && content.Status.SnapshotHandle != nil:
		return *content.Status.SnapshotHandle
	default:
		return ""
	}
}
