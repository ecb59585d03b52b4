package dataupload

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
)

// scope holds what one pass over a DataUpload has read and decided.
type scope struct {
	*engine.Scope
	// du is the Object of the Scope.
	du *v2alpha1.DataUpload

	// config is what counts for this DataUpload, section its part for the backupPVC.
	config  config.Upload
	section config.BackupPVC

	// Objects made for the DataUpload, as far as the cache knows them; nil if there are none, or not ours.
	alias        *snapshotv1.VolumeSnapshot
	aliasContent *snapshotv1.VolumeSnapshotContent

	// volume is read by the first step that needs it.
	volume *expose.Volume
}

func newScope(s *engine.Scope) *scope {
	return &scope{Scope: s, du: s.Object.(*v2alpha1.DataUpload)}
}

// observe reads what exists for DataUploads only.
func (r *Reconciler) observe(ctx context.Context, shared *engine.Scope) (*scope, error) {
	s := newScope(shared)
	if snapshot := s.du.Spec.CSISnapshot; snapshot != nil {
		s.Class = snapshot.StorageClass
		s.config = engine.Configuration(shared, r.Config().ForUpload(snapshot.StorageClass))
		s.section = s.config.BackupPVC
	}
	s.Configured, s.ConfiguredBy = s.config.Summary(), s.config.Source
	var err error
	if s.alias, err = engine.Owned(ctx, r.Client, s.du, &snapshotv1.VolumeSnapshot{}); err != nil {
		return nil, err
	}
	s.aliasContent, err = engine.Owned(ctx, r.Client, s.du, &snapshotv1.VolumeSnapshotContent{})
	return s, err
}
