package dataupload

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
	// resync is how often a DataUpload that waits is looked at although nothing it waits for has changed, so that a lost
	// event costs seconds, not hours. It reads the cache only.
	resync = 30 * time.Second
	// retry is how soon to look again after somebody else's write came in between.
	retry = time.Second
	// patience is how long an expected wait may last before it is worth a message.
	patience = 5 * time.Second
)

// outcome says how a step wants to go on. The zero value is: with the next step.
type outcome struct {
	waits  bool
	reason expose.Reason
	// after is when to look again at the latest, if what is waited for is not watched.
	after time.Duration
}

func wait(reason expose.Reason) (outcome, error) {
	return outcome{waits: true, reason: reason}, nil
}

func waitFor(after time.Duration, reason expose.Reason) (outcome, error) {
	return outcome{waits: true, reason: reason, after: after}, nil
}

// terminalError cannot heal: the DataUpload fails at once.
type terminalError struct{ message string }

func (e *terminalError) Error() string { return e.message }

func terminal(format string, args ...any) error {
	return &terminalError{message: fmt.Sprintf(format, args...)}
}

// waitingError can heal without us: the DataUpload waits and says for what.
type waitingError struct {
	reason expose.Reason
	// after is as in outcome.
	after time.Duration
}

func (e *waitingError) Error() string { return e.reason.Text() }

func waiting(code, format string, args ...any) error {
	return &waitingError{reason: expose.Reason{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// conclude turns what the steps came to into the next thing to happen. It is the one place where the class of an error
// decides.
func (r *Reconciler) conclude(ctx context.Context, s *scope, end outcome, err error) (ctrl.Result, error) {
	var terminalErr *terminalError
	var waitingErr *waitingError
	switch {
	case err == nil:
	case isOutdated(err):
		return ctrl.Result{RequeueAfter: retry}, nil
	case errors.As(err, &terminalErr):
		s.end(failed, terminalErr.message)
		err = nil
	case errors.As(err, &waitingErr):
		end, err = outcome{waits: true, reason: waitingErr.reason, after: waitingErr.after}, nil
	case apierrors.IsForbidden(err) && !s.phase().IsTerminal():
		end = outcome{waits: true, reason: expose.Refused("a request of the agent", "", err.Error()), after: s.askAgain()}
		err = nil
	}
	if s.phase() == accepted && s.expired {
		r.endPreparing(s, end, err)
		err = nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if end.waits && !s.phase().IsTerminal() {
		r.explain(s, end.reason)
	}
	if err := r.write(ctx, s); err != nil {
		if isOutdated(err) {
			return ctrl.Result{RequeueAfter: retry}, nil
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: r.nextLook(s, end)}, nil
}

// isOutdated tells whether somebody else has written or deleted an object: what this pass has seen of it is old.
func isOutdated(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err)
}

// nextLook is when the DataUpload must be looked at again if nothing happens before. Zero means never.
func (r *Reconciler) nextLook(s *scope, end outcome) time.Duration {
	if s.phase().IsTerminal() && !end.waits {
		if controllerutil.ContainsFinalizer(s.du, v2alpha1.Finalizer) {
			return time.Millisecond // it ended just now, and clean-up comes next
		}
		return 0
	}
	next := resync
	if end.after > 0 {
		next = min(next, end.after)
	}
	if s.phase() == accepted {
		next = min(next, r.prepareDeadline(s.du).Sub(s.now))
		if end.reason.Expected && s.du.Status.Message == "" {
			next = min(next, patience)
		}
	}
	return max(next, time.Millisecond)
}
