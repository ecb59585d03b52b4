// Package engine makes one pass over a DataUpload or DataDownload: it reads the world into a Scope, runs the steps that belong to the
// phase, writes what they came to, tells about it, and knows what to look at again when. What the steps do it does not know.
//
// Reconciling is level-triggered and never blocking, and all state is in the cluster. A step does the next thing that is missing and
// says how to go on; a pass may be cut off after any API call, and the next one finishes the job.
package engine

import (
	"context"
	"fmt"
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
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/controller/queue"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Options are the settings of an Engine.
type Options struct {
	// Namespace is Velero's, where DataUploads, DataDownloads and everything made for them are.
	Namespace string
	// NodeName is the node of this agent, recorded on what it accepts.
	NodeName string
	// Identity is the environment variable by which the agent's pod was given a cloud identity, or empty.
	Identity string
	// Config returns what the node-agent ConfigMap says now. It is never nil.
	Config func() *config.Config
	// ConfigChanges tells that Config returns another one now. Nil if it never does.
	ConfigChanges <-chan event.TypedGenericEvent[*config.Config]
	// PrepareTimeout limits the time from accepted to prepared.
	PrepareTimeout time.Duration
	// MaxAttempts limits how many pods may be lost before a DataUpload or DataDownload fails, at least 1.
	MaxAttempts int
	// VerifyRestores lets restore pods compare what they have written with the repository, byte for byte.
	VerifyRestores bool
	// StrictRestores lets restores fail if the volume refuses an owner, mode, time or symbolic link.
	StrictRestores bool
	// VerifyPercent is the share of what backup pods have written that they read back.
	VerifyPercent int
	// FullReadEvery lets backup pods read all files again if that was not done for so long; never if it is zero.
	FullReadEvery time.Duration
}

// Engine moves DataUploads or DataDownloads from New to Completed, Failed or Canceled.
type Engine struct {
	Options

	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server: what is read once need not be watched.
	Live   client.Reader
	Events events.EventRecorder
	Clock  clock.PassiveClock
	Log    logrus.FieldLogger

	// Logs keeps the logs of pods that have failed. Nil if nobody does.
	Logs *moverpod.Logs

	// Queues are shared by the engines of both kinds. Nil if there is one engine only.
	Queues *queue.Queues

	// Kind is set by For.
	Kind Kind
}

// Kind is what differs between DataUploads and DataDownloads.
type Kind struct {
	// Words name what is made for this kind.
	Words expose.Words
	// New returns an empty object of the kind.
	New func() v2alpha1.Transfer
	// WritesRepository tells whether data moves into the repository.
	WritesRepository bool
	// Succeed takes over what the pod has left behind that moved all data. It returns what a Step does.
	Succeed func(s *Scope, message string) error
	// FailureHint says which setting is behind a failure, or nothing.
	FailureHint func(s *Scope, failure string) string
	// Completed tells about a success that was just written, in the log and in metrics of this kind only. It returns the note of
	// its Event.
	Completed func(s *Scope) string
}

// Short names of the phases.
const (
	isNew      = v2alpha1.PhaseNew
	accepted   = v2alpha1.PhaseAccepted
	prepared   = v2alpha1.PhasePrepared
	inProgress = v2alpha1.PhaseInProgress
	canceling  = v2alpha1.PhaseCanceling
	canceled   = v2alpha1.PhaseCanceled
	completed  = v2alpha1.PhaseCompleted
	failed     = v2alpha1.PhaseFailed
)

// For returns the engine for a kind.
func (e Engine) For(kind Kind) *Engine {
	e.Kind = kind
	if e.Queues == nil {
		e.Queues = &queue.Queues{}
	}
	return &e
}

// Reconcile makes one pass over a DataUpload or DataDownload. observe completes the scope with what exists for the kind only, at no
// API call; steps are in the order in which they come.
func Reconcile[S Scoped](
	ctx context.Context, e *Engine, request ctrl.Request, observe func(context.Context, *Scope) (S, error), steps []Step[S],
) (ctrl.Result, error) {
	shared, err := e.begin(ctx, request)
	if err != nil || shared == nil {
		return ctrl.Result{}, err
	}
	s, err := observe(ctx, shared)
	if err != nil {
		return ctrl.Result{}, err
	}
	return e.conclude(ctx, shared, runSteps(ctx, e, s, steps))
}

// begin reads the world into a Scope. It returns nil if there is nothing to be done.
func (e *Engine) begin(ctx context.Context, request ctrl.Request) (*Scope, error) {
	transfer := e.Kind.New()
	if err := e.Client.Get(ctx, request.NamespacedName, transfer); err != nil {
		if apierrors.IsNotFound(err) {
			e.Queues.Drop(e.Kind.Words.Kind, request.NamespacedName)
			return nil, nil
		}
		return nil, fmt.Errorf("reading %s %s: %w", e.Kind.Words.Kind, request, err)
	}
	if !isOurs(transfer) || isSettled(transfer) {
		return nil, nil
	}
	return e.observe(ctx, transfer)
}

// isSettled tells whether nothing is left to do for a DataUpload or DataDownload, ever.
func isSettled(transfer v2alpha1.Transfer) bool {
	return transfer.TransferStatus().Phase.IsTerminal() && !controllerutil.ContainsFinalizer(transfer, v2alpha1.Finalizer)
}
