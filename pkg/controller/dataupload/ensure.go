package dataupload

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Codes of reasons that come from creating objects.
const (
	notMade          = "NotMade"
	beingDeleted     = "BeingDeleted"
	nameTaken        = "NameTaken"
	quotaExceeded    = "QuotaExceeded"
	admissionRefused = "AdmissionRefused"
)

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
	case apierrors.IsInvalid(err):
		return none, terminal("%s is refused as invalid: %v", kind, err)
	case apierrors.IsForbidden(err):
		code := admissionRefused
		if strings.Contains(err.Error(), "exceeded quota") {
			code = quotaExceeded
		}
		return none, waiting(code, "%s is refused: %v", kind, err)
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
