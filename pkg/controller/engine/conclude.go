package engine

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/waiting"
)

const (
	// resync is how often what waits is looked at although nothing it waits for has changed, so that a lost
	// event costs seconds, not hours. It reads the cache only; what asks the API server each time says itself how often.
	resync = 30 * time.Second
	// Retry is how soon to look again after somebody else's write came in between.
	Retry = time.Second
	// patience is how long an expected wait may last before it is worth a message.
	patience = 5 * time.Second
)

// conclude turns what the steps came to into the next thing to happen. It is the one place where the class of an error
// decides.
func (e *Engine) conclude(ctx context.Context, s *Scope, err error) (ctrl.Result, error) {
	var wait *waitError
	switch {
	case err == nil:
	case isOutdated(err) && !s.late():
		return ctrl.Result{RequeueAfter: Retry}, nil
	case errors.As(err, &wait):
		err = nil
	case apierrors.IsForbidden(err) && !s.Phase().IsTerminal():
		wait = &waitError{reason: waiting.Refused("a request of the agent", "", err.Error()), after: s.AskAgain()}
		err = nil
	}
	if s.late() {
		e.endPreparing(s, wait, err)
		err = nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if wait != nil && !s.Phase().IsTerminal() {
		e.explain(s, wait.reason)
	}
	if err := e.write(ctx, s); err != nil {
		if isOutdated(err) {
			return ctrl.Result{RequeueAfter: Retry}, nil
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: e.nextLook(s, wait)}, nil
}

// isOutdated tells whether somebody else has written or deleted an object: what this pass has seen of it is old.
func isOutdated(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err)
}

// nextLook is when to look again if nothing happens before. Zero means never.
func (e *Engine) nextLook(s *Scope, wait *waitError) time.Duration {
	if s.Phase().IsTerminal() && wait == nil {
		if controllerutil.ContainsFinalizer(s.Object, v2alpha1.Finalizer) {
			return time.Millisecond // it ended just now, and clean-up comes next
		}
		return 0
	}
	next := resync
	if wait != nil && wait.after > 0 {
		next = wait.after
	}
	if s.Phase() == accepted {
		next = min(next, e.prepareDeadline(s.Object).Sub(s.Now))
		if wait != nil && wait.reason.Expected && s.Status().Message == "" {
			next = min(next, patience)
		}
	}
	return max(next, time.Millisecond)
}

// refusedRetry is how soon at the earliest to ask the API server again for what it refused.
const refusedRetry = 10 * time.Second

// AskAgain is when to ask the API server again for what it refused. The cause, such as a quota, is not watched. The
// longer it has been waited the longer it takes, so that many of them do not keep the API server busy.
func (s *Scope) AskAgain() time.Duration {
	return min(max(s.acceptedFor()/6, refusedRetry), resync)
}
