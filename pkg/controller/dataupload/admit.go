package dataupload

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// admit accepts a DataUpload, or refuses one that nobody could serve. The finalizer comes in the same write, before
// anything is made that it must guard.
func (r *Reconciler) admit(ctx context.Context, s *scope) (outcome, error) {
	guard(s)
	if message := invalid(&s.du.Spec); message != "" {
		s.end(failed, message)
		return outcome{}, nil
	}
	if end, err := r.awaitPreparation(ctx, s); end.waits || err != nil {
		return end, err
	}
	s.du.Status.Message = ""
	if s.du.Labels == nil {
		s.du.Labels = map[string]string{}
	}
	s.du.Labels[v2alpha1.ExposeOnGoingLabel] = "true"
	keepConfiguration(s)
	s.du.Status.Phase = accepted
	s.du.Status.AcceptedByNode = r.NodeName
	s.du.Status.AcceptedTimestamp = &metav1.Time{Time: s.now}
	if s.section.SPCNoRelabeling && !s.section.ReadOnly {
		r.warn(s, "SPCNoRelabelingIgnored",
			"backupPVC.%s.spcNoRelabeling is ignored, because it needs readOnly: true beside it", s.du.Spec.CSISnapshot.StorageClass)
	}
	return outcome{}, nil
}

// guard adds the finalizer, so that the source snapshot, which was made for the DataUpload, goes with it however it ends.
// What is behind a snapshot of another type nobody here knows.
func guard(s *scope) {
	if s.du.Spec.SnapshotType == v2alpha1.SnapshotTypeCSI && !isDeleting(s.du) {
		controllerutil.AddFinalizer(s.du, v2alpha1.Finalizer)
	}
}

// invalid says what is wrong with a spec, or nothing.
func invalid(spec *v2alpha1.DataUploadSpec) string {
	switch {
	case spec.SnapshotType != v2alpha1.SnapshotTypeCSI:
		return "spec.snapshotType is \"" + string(spec.SnapshotType) + "\", expected \"CSI\""
	case spec.CSISnapshot == nil:
		return "spec.csiSnapshot is missing, but spec.snapshotType is CSI"
	case spec.CSISnapshot.VolumeSnapshot == "":
		return "spec.csiSnapshot.volumeSnapshot is empty"
	case spec.CSISnapshot.StorageClass == "":
		return "spec.csiSnapshot.storageClass is empty"
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
