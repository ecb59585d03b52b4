package dataupload

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/expose"
)

// snapshotLeft is the code of a snapshot that may be left in the repository.
const snapshotLeft = "SnapshotLeft"

// leaveToVelero hands over what nobody else would ever delete: the snapshot that a lost backup pod may have saved for a
// DataUpload which did not complete. Velero's server deletes it with the backup. To refuse the hand-over must not hold
// the DataUpload for ever.
func (r *Reconciler) leaveToVelero(ctx context.Context, s *scope) (string, error) {
	id := s.du.Annotations[attempts.SnapshotAnnotation]
	if id == "" || s.Phase() == v2alpha1.PhaseCompleted {
		return "", nil
	}
	what := fmt.Sprintf("snapshot %s of %s/%s may be in the repository", id, s.du.Spec.SourceNamespace, s.du.Spec.SourcePVC)
	if s.du.Labels[v2alpha1.BackupNameLabel] == "" {
		r.Warn(s.Scope, snapshotLeft, "%s, and belongs to no backup that Velero could delete it with", what)
		return "", nil
	}
	err := r.Client.Create(ctx, expose.SnapshotInfo(s.du, id))
	switch {
	case err == nil:
		s.Log.Info(what + ", and Velero deletes it with the backup")
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		r.Warn(s.Scope, snapshotLeft, "%s, and Velero cannot be told to delete it: %v", what, err)
	case !apierrors.IsAlreadyExists(err):
		return "", fmt.Errorf("creating configmap %s, by which Velero deletes snapshot %s: %w", expose.SnapshotInfoName(s.du.Name), id, err)
	}
	return "", nil
}
