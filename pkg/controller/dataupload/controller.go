// Package dataupload holds what makes a DataUpload different from a DataDownload: the snapshot that is taken over and becomes
// a backupPVC, the backup pod that reads it, and how both are cleaned up. All else is in packages transfer and engine.
package dataupload

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Reconciler moves DataUploads from New to Completed, Failed or Canceled.
type Reconciler struct {
	transfer.Steps

	steps []engine.Step[*scope]
}

// New makes a Reconciler of an engine.
func New(base engine.Engine) *Reconciler {
	r := &Reconciler{}
	r.Engine = base.For(engine.Kind{
		Words:            expose.WordsFor(v2alpha1.KindDataUpload),
		New:              func() v2alpha1.Transfer { return &v2alpha1.DataUpload{} },
		WritesRepository: true,
		Succeed:          r.succeed,
		FailureHint: func(s *engine.Scope, failure string) string {
			return waiting.FailureHint(s.Pod, s.Class, failure)
		},
		Completed: completed,
	})
	r.steps = r.allSteps()
	return r
}

// Reconcile makes one pass over a DataUpload.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return engine.Reconcile(ctx, r.Engine, request, r.observe, r.steps)
}

// allSteps are in the order in which a DataUpload meets them.
func (r *Reconciler) allSteps() []engine.Step[*scope] {
	const (
		isNew      = v2alpha1.PhaseNew
		accepted   = v2alpha1.PhaseAccepted
		prepared   = v2alpha1.PhasePrepared
		inProgress = v2alpha1.PhaseInProgress
	)
	in := func(phases ...v2alpha1.Phase) []v2alpha1.Phase { return phases }
	ended := in(v2alpha1.PhaseCanceled, v2alpha1.PhaseCompleted, v2alpha1.PhaseFailed)
	shared := engine.Shared[*scope]
	return []engine.Step[*scope]{
		{Name: "guard", Phases: in(isNew), Run: guard},
		{Name: "cancel", Phases: in(isNew, accepted, prepared, inProgress), Run: shared(r.Cancel)},
		{Name: "admit", Phases: in(isNew), Run: r.admit},
		{Name: "repository", Phases: in(accepted), Run: shared(r.EnsureRepository)},
		{Name: "snapshot", Phases: in(accepted), Run: r.ensureSnapshot},
		{Name: "copies", Phases: in(accepted), Run: r.ensureCopies},
		{Name: "backupPVC", Phases: in(accepted), Run: r.ensureBackupPVC},
		{Name: "nextAttempt", Phases: in(accepted), Run: shared(r.AwaitNextAttempt)},
		{Name: "bound", Phases: in(accepted), Run: shared(r.AwaitBound)},
		{Name: "backupPod", Phases: in(accepted), Run: r.ensureBackupPod},
		{Name: "prepared", Phases: in(accepted), Run: shared(r.AwaitPrepared)},
		{Name: "start", Phases: in(prepared), Run: r.start},
		{Name: "finish", Phases: in(inProgress), Run: shared(r.Finish)},
		{Name: "stop", Phases: in(v2alpha1.PhaseCanceling), Run: shared(r.Stop)},
		{Name: "cleanUp", Phases: ended, Run: r.cleanUp},
	}
}

// guard adds the finalizer, so that the source snapshot, which was made for the DataUpload, goes with it however it ends.
// What is behind a snapshot of another type nobody here knows.
func guard(_ context.Context, s *scope) error {
	if s.du.Spec.SnapshotType == v2alpha1.SnapshotTypeCSI && !transfer.IsDeleting(s.du) {
		controllerutil.AddFinalizer(s.du, v2alpha1.Finalizer)
	}
	return nil
}

// start lets the mover begin.
func (r *Reconciler) start(ctx context.Context, s *scope) error {
	err := r.Start(ctx, s.Scope)
	if s.Phase() == v2alpha1.PhaseInProgress {
		s.du.Status.NodeOS = v2alpha1.NodeOSLinux
	}
	return err
}
