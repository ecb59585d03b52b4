package dataupload

import (
	"context"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/controller/engine"
)

// admit accepts a DataUpload, or refuses one that nobody could serve. The finalizer comes in the same write, before
// anything is made that it must guard.
func (r *Reconciler) admit(ctx context.Context, s *scope) error {
	if message := invalid(&s.du.Spec); message != "" {
		return engine.End(v2alpha1.PhaseFailed, message)
	}
	if err := r.AwaitPreparation(ctx, s.Scope); err != nil {
		return err
	}
	r.Accept(s.Scope, s.config)
	if s.section.SPCNoRelabeling && !s.section.ReadOnly {
		r.Warn(s.Scope, "SPCNoRelabelingIgnored",
			"%s is ignored, because it needs readOnly: true beside it", problem.Path("backupPVC", s.Class, "spcNoRelabeling"))
	}
	return nil
}

// invalid says what is wrong with a spec, or nothing.
func invalid(spec *v2alpha1.DataUploadSpec) string {
	switch {
	case engine.RefusedDataMover(spec.DataMover) != "":
		return engine.RefusedDataMover(spec.DataMover)
	case spec.SnapshotType != v2alpha1.SnapshotTypeCSI:
		return "spec.snapshotType is \"" + string(spec.SnapshotType) + "\", expected \"CSI\""
	case spec.CSISnapshot == nil:
		return "spec.csiSnapshot is missing, but spec.snapshotType is CSI"
	case spec.CSISnapshot.VolumeSnapshot == "":
		return "spec.csiSnapshot.volumeSnapshot is empty"
	case spec.SourcePVC == "":
		return "spec.sourcePVC is empty"
	case spec.SourceNamespace == "":
		return "spec.sourceNamespace is empty"
	case spec.BackupStorageLocation == "":
		return "spec.backupStorageLocation is empty"
	default:
		return ""
	}
}
