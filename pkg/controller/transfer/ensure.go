package transfer

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Codes of reasons that come from creating objects.
const (
	BeingDeleted = "BeingDeleted"
	NameTaken    = "NameTaken"
)

// Ensure creates an object, or adopts the one that an earlier pass has made and the cache does not show yet. kind is
// its name in messages.
func Ensure[T client.Object](ctx context.Context, e Steps, s *engine.Scope, kind string, desired T) (T, error) {
	var none T
	name := client.ObjectKeyFromObject(desired)
	if s.Expired {
		return none, e.NotMade(s, "%s was not made in time", kind)
	}
	err := e.Client.Create(ctx, desired)
	switch {
	case err == nil:
		return desired, nil
	case apierrors.IsAlreadyExists(err):
		return adopt(ctx, e, s, kind, desired)
	case apierrors.IsForbidden(err), waiting.IsRefusal(err.Error()):
		return none, engine.WaitFor(s.AskAgain(), waiting.Refused(kind, s.Class, err.Error()))
	case apierrors.IsInvalid(err):
		return none, engine.Failf("%s is refused as invalid: %v", kind, err)
	default:
		return none, fmt.Errorf("creating %s %s: %w", kind, name, err)
	}
}

// adopt decides over an object that is already there: ours is as good as made, one on its way out or of somebody else
// must go first.
func adopt[T client.Object](ctx context.Context, e Steps, s *engine.Scope, kind string, obj T) (T, error) {
	var none T
	name := client.ObjectKeyFromObject(obj)
	if err := e.Live.Get(ctx, name, obj); err != nil {
		return none, fmt.Errorf("reading %s %s: %w", kind, name, err)
	}
	if IsDeleting(obj) {
		return none, engine.Waitf(BeingDeleted, "an earlier %s %s is still being deleted", kind, obj.GetName())
	}
	if !engine.IsOwned(obj, s.Object) {
		return none, engine.Waitf(NameTaken, "%s %s exists, but does not belong to this %s", kind, obj.GetName(), e.Kind.Words.Kind)
	}
	return obj, nil
}
