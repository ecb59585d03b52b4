package transfer

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/waiting"
)

// Codes of reasons that come from creating objects.
const (
	BeingDeleted = "BeingDeleted"
	NameTaken    = "NameTaken"
)

// refusedRetry is how soon at the earliest to ask the API server again for what it refused.
const refusedRetry = 10 * time.Second

// AskAgain is when to ask the API server again for what it refused. The cause, such as a quota, is not watched. The
// longer it has been waited the longer it takes, so that many of them do not keep the API server busy.
func (s *Scope) AskAgain() time.Duration {
	return min(max(s.acceptedFor()/6, refusedRetry), resync)
}

// Ensure creates an object, or adopts the one that an earlier pass has made and the cache does not show yet. kind is
// its name in messages.
func Ensure[T client.Object](ctx context.Context, e *Engine, s *Scope, kind string, desired T) (T, error) {
	var none T
	name := client.ObjectKeyFromObject(desired)
	if s.Expired {
		return none, e.notMade(s, "%s was not made in time", kind)
	}
	err := e.Client.Create(ctx, desired)
	switch {
	case err == nil:
		return desired, nil
	case apierrors.IsAlreadyExists(err):
		return adopt(ctx, e, s, kind, desired)
	case apierrors.IsForbidden(err), waiting.IsRefusal(err.Error()):
		return none, WaitFor(s.AskAgain(), waiting.Refused(kind, s.Class, err.Error()))
	case apierrors.IsInvalid(err):
		return none, Failf("%s is refused as invalid: %v", kind, err)
	default:
		return none, fmt.Errorf("creating %s %s: %w", kind, name, err)
	}
}

// adopt decides over an object that is already there: ours is as good as made, one on its way out or of somebody else
// must go first.
func adopt[T client.Object](ctx context.Context, e *Engine, s *Scope, kind string, obj T) (T, error) {
	var none T
	name := client.ObjectKeyFromObject(obj)
	if err := e.Live.Get(ctx, name, obj); err != nil {
		return none, fmt.Errorf("reading %s %s: %w", kind, name, err)
	}
	if IsDeleting(obj) {
		return none, Waitf(BeingDeleted, "an earlier %s %s is still being deleted", kind, obj.GetName())
	}
	if !ownedBy(obj, s.Object) {
		return none, Waitf(NameTaken, "%s %s exists, but does not belong to this %s", kind, obj.GetName(), e.kind.Words.Kind)
	}
	return obj, nil
}
