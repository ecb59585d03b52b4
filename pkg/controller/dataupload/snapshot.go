package dataupload

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// ensureSnapshot makes the storage snapshot available in the DataUpload's namespace through the alias VolumeSnapshot,
// and then takes it over from the source, so that deleting the source's namespace cannot take it away.
func (r *Reconciler) ensureSnapshot(ctx context.Context, s *scope) error {
	if s.aliasContent == nil || s.alias == nil {
		if err := r.makeAlias(ctx, s); err != nil {
			return err
		}
	}
	switch {
	case transfer.IsDeleting(s.aliasContent):
		return engine.Waitf(transfer.BeingDeleted,
			"volumesnapshotcontent %s is being deleted", s.aliasContent.Name)
	case transfer.IsDeleting(s.alias):
		return engine.Waitf(transfer.BeingDeleted,
			"volumesnapshot %s/%s is being deleted", s.alias.Namespace, s.alias.Name)
	case !expose.IsReady(s.alias):
		return engine.Wait(waiting.ForSnapshot(s.alias))
	}
	return r.takeOver(ctx, s)
}

// makeAlias creates what is missing of the alias pair, content first: a VolumeSnapshot without content would be an error
// in the user's events.
func (r *Reconciler) makeAlias(ctx context.Context, s *scope) error {
	source, err := r.sourceSnapshot(ctx, s)
	if err != nil {
		return err
	}
	if s.aliasContent == nil && source == nil {
		if err := r.adoptAliasContent(ctx, s); err != nil {
			return err
		}
	}
	if s.aliasContent == nil {
		if source == nil {
			return engine.Waitf(waiting.VolumeSnapshotMissing, "volumesnapshot %s/%s not found",
				s.du.Spec.SourceNamespace, s.du.Spec.CSISnapshot.VolumeSnapshot)
		}
		if err := r.makeAliasContent(ctx, s, source); err != nil {
			return err
		}
	}
	if s.alias == nil {
		annotations := map[string]string{}
		if source != nil {
			annotations = source.Annotations
		}
		alias := expose.AliasSnapshot(s.du, s.aliasContent, annotations)
		s.alias, err = transfer.Ensure(ctx, r.Steps, s.Scope, "volumesnapshot", alias)
	}
	return err
}

// adoptAliasContent finds a content that stock Velero has made before it was replaced. The cache holds marked ones only, so it is
// marked.
func (r *Reconciler) adoptAliasContent(ctx context.Context, s *scope) error {
	content, err := engine.Owned(ctx, r.Live, s.du, &snapshotv1.VolumeSnapshotContent{})
	if err != nil || content == nil {
		return err
	}
	s.aliasContent = content
	return r.setPolicy(ctx, s, content, content.Spec.DeletionPolicy)
}

func (r *Reconciler) makeAliasContent(ctx context.Context, s *scope, source *snapshotv1.VolumeSnapshot) error {
	if !expose.IsReady(source) {
		return engine.Wait(waiting.ForSnapshot(source))
	}
	content, err := r.boundContent(ctx, source)
	if err != nil {
		return err
	}
	if content == nil {
		return engine.Waitf(waiting.VolumeSnapshotMissing, "volumesnapshotcontent %s of volumesnapshot %s/%s not found, or it is another's",
			expose.BoundContent(source), source.Namespace, source.Name)
	}
	desired, err := expose.AliasContent(s.du, content)
	if err != nil {
		return engine.Waitf(waiting.WaitingForVolumeSnapshot, "%v", err)
	}
	s.aliasContent, err = transfer.Ensure(ctx, r.Steps, s.Scope, "volumesnapshotcontent", desired)
	return err
}

// sourceSnapshot reads the VolumeSnapshot that the DataUpload names; nil if it is gone, or none is named.
func (r *Reconciler) sourceSnapshot(ctx context.Context, s *scope) (*snapshotv1.VolumeSnapshot, error) {
	if s.du.Spec.CSISnapshot == nil || s.du.Spec.CSISnapshot.VolumeSnapshot == "" || s.du.Spec.SourceNamespace == "" {
		return nil, nil
	}
	snapshot := &snapshotv1.VolumeSnapshot{}
	key := client.ObjectKey{Namespace: s.du.Spec.SourceNamespace, Name: s.du.Spec.CSISnapshot.VolumeSnapshot}
	if err := r.Client.Get(ctx, key, snapshot); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading volumesnapshot %s: %w", key, err)
	}
	return snapshot, nil
}

// boundContent reads the VolumeSnapshotContent of a VolumeSnapshot; nil if there is none, or the one that it names is not its own.
func (r *Reconciler) boundContent(
	ctx context.Context, source *snapshotv1.VolumeSnapshot,
) (*snapshotv1.VolumeSnapshotContent, error) {
	content, err := r.sourceContent(ctx, expose.BoundContent(source))
	if err != nil || content == nil || !expose.IsContentOf(content, source) {
		return nil, err
	}
	return content, nil
}

// sourceContent reads a VolumeSnapshotContent; nil if it is gone, or the name is not known.
func (r *Reconciler) sourceContent(ctx context.Context, name string) (*snapshotv1.VolumeSnapshotContent, error) {
	if name == "" {
		return nil, nil
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: name}, content); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading volumesnapshotcontent %s: %w", name, err)
	}
	return content, nil
}
