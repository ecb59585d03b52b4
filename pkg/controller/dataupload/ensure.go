package dataupload

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

// Codes of reasons that come from creating objects.
const (
	notMade      = "NotMade"
	beingDeleted = "BeingDeleted"
	nameTaken    = "NameTaken"
)

// refusedRetry is how soon at the earliest to ask the API server again for what it refused.
const refusedRetry = 10 * time.Second

// askAgain is when to ask the API server again for what it refused. The cause, such as a quota, is not watched. The
// longer the DataUpload has been waiting the longer it takes, so that many of them do not keep the API server busy.
func (s *scope) askAgain() time.Duration {
	return min(max(s.acceptedFor()/6, refusedRetry), resync)
}

// ensure creates an object, or adopts the one that an earlier pass has made and the cache does not show yet. kind is
// its name in messages.
func ensure[T client.Object](ctx context.Context, r *Reconciler, s *scope, kind string, desired T) (T, error) {
	var none T
	name := client.ObjectKeyFromObject(desired)
	if s.expired {
		return none, waiting(notMade, "%s was not made in time", kind)
	}
	err := r.Client.Create(ctx, desired)
	switch {
	case err == nil:
		return desired, nil
	case apierrors.IsAlreadyExists(err):
		return adopt(ctx, r, s, kind, desired)
	case apierrors.IsForbidden(err), expose.IsRefusal(err.Error()):
		return none, &waitingError{
			reason: expose.Refused(kind, s.du.Spec.CSISnapshot.StorageClass, err.Error()),
			after:  s.askAgain(),
		}
	case apierrors.IsInvalid(err):
		return none, terminal("%s is refused as invalid: %v", kind, err)
	default:
		return none, fmt.Errorf("creating %s %s: %w", kind, name, err)
	}
}

// adopt decides over an object that is already there: ours is as good as made, one on its way out or of somebody else
// must go first.
func adopt[T client.Object](ctx context.Context, r *Reconciler, s *scope, kind string, obj T) (T, error) {
	var none T
	name := client.ObjectKeyFromObject(obj)
	if err := r.Live.Get(ctx, name, obj); err != nil {
		return none, fmt.Errorf("reading %s %s: %w", kind, name, err)
	}
	if isDeleting(obj) {
		return none, waiting(beingDeleted, "an earlier %s %s is still being deleted", kind, obj.GetName())
	}
	if !ownedBy(obj, s.du) {
		return none, waiting(nameTaken, "%s %s exists, but does not belong to this DataUpload", kind, obj.GetName())
	}
	return obj, nil
}
