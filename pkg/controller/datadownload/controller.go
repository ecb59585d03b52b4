// Package datadownload holds what makes a DataDownload different from a DataUpload: the target PVC that waits for its data,
// the restorePVC and restore pod through which the data gets into a volume, and how that volume is handed over to the target
// PVC. All else is in packages transfer and engine.
package datadownload

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Reconciler moves DataDownloads from New to Completed, Failed or Canceled.
type Reconciler struct {
	transfer.Steps

	steps []engine.Step[*scope]
}

// New makes a Reconciler of an engine.
func New(base engine.Engine) *Reconciler {
	r := &Reconciler{}
	r.Engine = base.For(engine.Kind{
		Words:       expose.WordsFor(v2alpha1.KindDataDownload),
		New:         func() v2alpha1.Transfer { return &v2alpha1.DataDownload{} },
		Succeed:     succeed,
		FailureHint: func(*engine.Scope, string) string { return "" },
		Completed:   completed,
	})
	r.steps = r.allSteps()
	return r
}

// Reconcile makes one pass over a DataDownload.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return engine.Reconcile(ctx, r.Engine, request, r.observe, r.steps)
}

// allSteps are in the order in which a DataDownload meets them.
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
		{Name: "cancel", Phases: in(isNew, accepted, prepared, inProgress), Run: r.cancel},
		{Name: "admit", Phases: in(isNew), Run: r.admit},
		{Name: "repository", Phases: in(accepted), Run: shared(r.EnsureRepository)},
		{Name: "target", Phases: in(accepted), Run: r.awaitTarget},
		{Name: "cachePVC", Phases: in(accepted), Run: r.ensureCachePVC},
		{Name: "copies", Phases: in(accepted), Run: r.ensureCopies},
		{Name: "restorePVC", Phases: in(accepted), Run: r.ensureRestorePVC},
		{Name: "nextAttempt", Phases: in(accepted), Run: shared(r.AwaitNextAttempt)},
		{Name: "bound", Phases: in(accepted), Run: r.awaitVolumes},
		{Name: "restorePod", Phases: in(accepted), Run: r.ensureRestorePod},
		{Name: "prepared", Phases: in(accepted), Run: shared(r.AwaitPrepared)},
		{Name: "start", Phases: in(prepared), Run: shared(r.Start)},
		{Name: "finish", Phases: in(inProgress), Run: r.finish},
		{Name: "handOver", Phases: in(inProgress), Run: r.handOver},
		{Name: "stop", Phases: in(v2alpha1.PhaseCanceling), Run: shared(r.Stop)},
		{Name: "cleanUp", Phases: ended, Run: r.cleanUp},
	}
}

// guard adds the finalizer, before anything is made that it must guard.
func guard(_ context.Context, s *scope) error {
	if !transfer.IsDeleting(s.dd) {
		controllerutil.AddFinalizer(s.dd, v2alpha1.Finalizer)
	}
	return nil
}

// cancel ends a DataDownload that shall be canceled, unless the target PVC has its volume already: then it is as good as done.
func (r *Reconciler) cancel(ctx context.Context, s *scope) error {
	if s.restored != nil && (s.dd.Spec.Cancel || transfer.IsDeleting(s.dd)) {
		if target, err := r.target(ctx, s.dd.Spec.TargetVolume); err != nil || isFor(target, s.restored.Volume) {
			return err
		}
	}
	return r.Cancel(ctx, s.Scope)
}

// finish waits for the restore pod. What it has restored is written down before anything is done with it.
func (r *Reconciler) finish(ctx context.Context, s *scope) error {
	if s.restored != nil {
		return nil
	}
	if err := r.lookUpPVC(ctx, s); err != nil {
		return err
	}
	return r.Finish(ctx, s.Scope)
}

// SetupWithManager lets the manager call Reconcile whenever something changes that a DataDownload may wait for.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if err := r.Controller(mgr).Complete(r); err != nil {
		return fmt.Errorf("setting up the datadownload controller: %w", err)
	}
	return nil
}
