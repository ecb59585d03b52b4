package transfer

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// getSeenOrLive reads a cluster-scoped object from the cache, or from the API server if the cache does not show it, or not yet.
func (e Steps) getSeenOrLive(ctx context.Context, name string, obj client.Object) error {
	key := client.ObjectKey{Name: name}
	err := e.Client.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		err = e.Live.Get(ctx, key, obj)
	}
	return err
}

// IsDeleting tells whether an object is on its way out.
func IsDeleting(obj metav1.Object) bool {
	return !obj.GetDeletionTimestamp().IsZero()
}

// Delete deletes an object; gone already is as good. With a UID known, nothing else of that name is deleted.
func (e Steps) Delete(ctx context.Context, what string, obj client.Object) error {
	var options []client.DeleteOption
	if uid := obj.GetUID(); uid != "" {
		options = append(options, client.Preconditions{UID: &uid})
	}
	if err := client.IgnoreNotFound(e.Client.Delete(ctx, obj, options...)); err != nil {
		return fmt.Errorf("deleting %s %s: %w", what, client.ObjectKeyFromObject(obj), err)
	}
	return nil
}
