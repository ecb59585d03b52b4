package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

const (
	// resync is how often what waits is looked at although nothing it waits for has changed, so that a lost
	// event costs seconds, not hours. It reads the cache only.
	resync = 30 * time.Second
	// retry is how soon to look again after somebody else's write came in between.
	retry = time.Second
	// patience is how long an expected wait may last before it is worth a message.
	patience = 5 * time.Second
)

// Outcome says how a step wants to go on. The zero value is: with the next step.
type Outcome struct {
	Waits  bool
	Reason expose.Reason
	// After is when to look again at the latest, if what is waited for is not watched.
	After time.Duration
}

// Wait is for what is watched.
func Wait(reason expose.Reason) (Outcome, error) {
	return Outcome{Waits: true, Reason: reason}, nil
}

// WaitFor is for what is not watched: it looks again after some time.
func WaitFor(after time.Duration, reason expose.Reason) (Outcome, error) {
	return Outcome{Waits: true, Reason: reason, After: after}, nil
}

// terminalError cannot heal: the move fails at once.
type terminalError struct{ message string }

func (e *terminalError) Error() string { return e.message }

// Terminal is an error that cannot heal.
func Terminal(format string, args ...any) error {
	return &terminalError{message: fmt.Sprintf(format, args...)}
}

// waitingError can heal without us: the move waits and says for what.
type waitingError struct {
	reason expose.Reason
	// after is as in Outcome.
	after time.Duration
}

func (e *waitingError) Error() string { return e.reason.Text() }

// Waiting is an error that can heal without us. The code is one CamelCase word, used as the reason of Events.
func Waiting(code, format string, args ...any) error {
	return &waitingError{reason: expose.Reason{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// WaitingOn is like Waiting, for a reason that is known.
func WaitingOn(reason expose.Reason) error { return &waitingError{reason: reason} }

// conclude turns what the steps came to into the next thing to happen. It is the one place where the class of an error
// decides.
func (e *Engine) conclude(ctx context.Context, s *Scope, end Outcome, err error) (ctrl.Result, error) {
	var terminalErr *terminalError
	var waitingErr *waitingError
	switch {
	case err == nil:
	case isOutdated(err):
		return ctrl.Result{RequeueAfter: retry}, nil
	case errors.As(err, &terminalErr):
		s.End(failed, terminalErr.message)
		err = nil
	case errors.As(err, &waitingErr):
		end, err = Outcome{Waits: true, Reason: waitingErr.reason, After: waitingErr.after}, nil
	case apierrors.IsForbidden(err) && !s.Phase().IsTerminal():
		end = Outcome{Waits: true, Reason: expose.Refused("a request of the agent", "", err.Error()), After: s.AskAgain()}
		err = nil
	}
	if s.Phase() == accepted && s.Expired {
		e.endPreparing(s, end, err)
		err = nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if end.Waits && !s.Phase().IsTerminal() {
		e.explain(s, end.Reason)
	}
	if err := e.write(ctx, s); err != nil {
		if isOutdated(err) {
			return ctrl.Result{RequeueAfter: retry}, nil
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: e.nextLook(s, end)}, nil
}

// isOutdated tells whether somebody else has written or deleted an object: what this pass has seen of it is old.
func isOutdated(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err)
}

// nextLook is when the move must be looked at again if nothing happens before. Zero means never.
func (e *Engine) nextLook(s *Scope, end Outcome) time.Duration {
	if s.Phase().IsTerminal() && !end.Waits {
		if controllerutil.ContainsFinalizer(s.Object, v2alpha1.Finalizer) {
			return time.Millisecond // it ended just now, and clean-up comes next
		}
		return 0
	}
	next := resync
	if end.After > 0 {
		next = min(next, end.After)
	}
	if s.Phase() == accepted {
		next = min(next, e.prepareDeadline(s.Object).Sub(s.Now))
		if end.Reason.Expected && s.Status().Message == "" {
			next = min(next, patience)
		}
	}
	return max(next, time.Millisecond)
}
