// Package dataupload reconciles DataUploads: level-triggered, never blocking, all state in the cluster.
//
// A pass reads the world into a scope and runs the steps that belong to the DataUpload's phase, one file each. A step
// does the next thing that is missing and says how to go on; a pass may be cut off after any API call, and the next one
// finishes the job.
package dataupload

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

// Options are the settings of the Reconciler.
type Options struct {
	// Namespace is Velero's, where the DataUploads and everything made for them are.
	Namespace string
	// NodeName is the node of this agent, recorded when it accepts a DataUpload.
	NodeName string
	// Config returns what the node-agent ConfigMap says now. It is never nil.
	Config func() *config.Config
	// ConfigChanges tells that Config returns another one now. Nil if it never does.
	ConfigChanges <-chan event.TypedGenericEvent[*config.Config]
	// PrepareTimeout limits the time from accepted to prepared.
	PrepareTimeout time.Duration
	// MaxAttempts limits how many backup pods may be lost to one DataUpload before it fails, at least 1.
	MaxAttempts int
}

// Reconciler moves DataUploads from New to Completed, Failed or Canceled.
type Reconciler struct {
	Options

	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server: what is read once need not be watched.
	Live   client.Reader
	Events events.EventRecorder
	Clock  clock.PassiveClock
	Log    logrus.FieldLogger

	// toPrepare is in front of being accepted, toStart in front of the slots of each node.
	toPrepare, toStart queue
}

// step is one idempotent part of a pass; it runs in some phases only.
type step struct {
	name   string
	phases []v2alpha1.DataUploadPhase
	run    func(r *Reconciler, ctx context.Context, s *scope) (outcome, error)
}

const (
	isNew      = v2alpha1.DataUploadPhaseNew
	accepted   = v2alpha1.DataUploadPhaseAccepted
	prepared   = v2alpha1.DataUploadPhasePrepared
	inProgress = v2alpha1.DataUploadPhaseInProgress
	canceling  = v2alpha1.DataUploadPhaseCanceling
	canceled   = v2alpha1.DataUploadPhaseCanceled
	completed  = v2alpha1.DataUploadPhaseCompleted
	failed     = v2alpha1.DataUploadPhaseFailed
)

// steps are in the order in which a DataUpload meets them.
var steps = []step{
	{"cancel", []v2alpha1.DataUploadPhase{isNew, accepted, prepared, inProgress}, (*Reconciler).cancel},
	{"admit", []v2alpha1.DataUploadPhase{isNew}, (*Reconciler).admit},
	{"repository", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).ensureRepository},
	{"snapshot", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).ensureSnapshot},
	{"copies", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).ensureCopies},
	{"backupPVC", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).ensureBackupPVC},
	{"nextAttempt", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).awaitNextAttempt},
	{"backupPod", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).ensureBackupPod},
	{"prepared", []v2alpha1.DataUploadPhase{accepted}, (*Reconciler).awaitPrepared},
	{"start", []v2alpha1.DataUploadPhase{prepared}, (*Reconciler).start},
	{"finish", []v2alpha1.DataUploadPhase{inProgress}, (*Reconciler).finish},
	{"stop", []v2alpha1.DataUploadPhase{canceling}, (*Reconciler).stop},
	{"cleanUp", []v2alpha1.DataUploadPhase{canceled, completed, failed}, (*Reconciler).cleanUp},
}

// Reconcile makes one pass over a DataUpload.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	du := &v2alpha1.DataUpload{}
	if err := r.Client.Get(ctx, request.NamespacedName, du); err != nil {
		if apierrors.IsNotFound(err) {
			r.toPrepare.release(request.NamespacedName)
			r.toStart.release(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading dataupload %s: %w", request, err)
	}
	if !isOurs(du) || isSettled(du) {
		return ctrl.Result{}, nil
	}
	s, err := r.observe(ctx, du)
	if err != nil {
		return ctrl.Result{}, err
	}
	end, err := r.runSteps(ctx, s)
	return r.conclude(ctx, s, end, err)
}

// isOurs tells whether the built-in data mover is asked for. The names are Velero's; "velero-fs" is what newer versions
// call the file-system mover.
func isOurs(du *v2alpha1.DataUpload) bool {
	return slices.Contains([]string{"", "velero", "velero-fs"}, du.Spec.DataMover)
}

// isSettled tells whether nothing is left to do for a DataUpload, ever.
func isSettled(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase.IsTerminal() && !controllerutil.ContainsFinalizer(du, v2alpha1.Finalizer)
}

// runSteps runs the steps of the phase, and of the next phase when one is reached, each phase being written before
// anything is done in it.
func (r *Reconciler) runSteps(ctx context.Context, s *scope) (outcome, error) {
	for _, step := range steps {
		if !slices.Contains(step.phases, s.phase()) {
			continue
		}
		next, err := step.run(r, ctx, s)
		if err != nil {
			return outcome{}, fmt.Errorf("%s: %w", step.name, err)
		}
		if s.phaseChanged() {
			if err := r.write(ctx, s); err != nil {
				return outcome{}, err
			}
		}
		if next.waits || s.done {
			return next, nil
		}
	}
	return outcome{}, nil
}
