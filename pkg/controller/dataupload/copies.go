package dataupload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/datamovement"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Codes of reasons that concern Secrets and ConfigMaps to be copied.
const (
	originalMissing = "OriginalMissing"
	accessDenied    = "AccessDenied"
)

// A copy is a Secret or ConfigMap of the source namespace that a driver looks for in the namespace of the backupPVC: Velero
// documents them as secretNames and configMapNames of backupPVC. Its name is given, so volumes share a copy, and it goes with
// the last one. Copies are read by name and neither listed nor watched: the agent need not see any other Secret.

// copied names an object that is copied.
type copied struct {
	kind, name string
	empty      func() client.Object
}

// copies lists what the configuration wants to be copied for the DataUpload.
func (s *scope) copies() []copied {
	if s.du.Spec.SourceNamespace == s.du.Namespace {
		return nil // all of it is there
	}
	var all []copied
	for _, name := range s.section.SecretNames {
		all = append(all, copied{"secret", name, func() client.Object { return &corev1.Secret{} }})
	}
	for _, name := range s.section.ConfigMapNames {
		all = append(all, copied{"configmap", name, func() client.Object { return &corev1.ConfigMap{} }})
	}
	return all
}

// ensureCopies makes the copies, or becomes one more user of those that are there.
func (r *Reconciler) ensureCopies(ctx context.Context, s *scope) (datamovement.Outcome, error) {
	for _, c := range s.copies() {
		err := r.ensureCopy(ctx, s, c)
		if apierrors.IsForbidden(err) {
			return datamovement.Outcome{}, datamovement.Waiting(accessDenied, "%v", err)
		}
		if err != nil {
			return datamovement.Outcome{}, err
		}
	}
	return datamovement.Outcome{}, nil
}

func (r *Reconciler) ensureCopy(ctx context.Context, s *scope, c copied) error {
	present, err := r.read(ctx, c, s.du.Namespace)
	if err != nil || present != nil && expose.Uses(s.du, present) && !datamovement.IsDeleting(present) {
		return err
	}
	original, err := r.read(ctx, c, s.du.Spec.SourceNamespace)
	switch {
	case err != nil:
		return err
	case original == nil:
		return datamovement.Waiting(originalMissing, "%s %s/%s, which backupPVC.%s names, not found",
			c.kind, s.du.Spec.SourceNamespace, c.name, s.Class)
	case present == nil:
		_, err := datamovement.Ensure(ctx, &r.Engine, s.Scope, "copy of "+c.kind, expose.Copy(s.du, original))
		return err
	case datamovement.IsDeleting(present):
		return datamovement.Waiting(datamovement.BeingDeleted, "%s %s/%s is being deleted", c.kind, s.du.Namespace, c.name)
	case !expose.SameContent(present, original):
		return r.collision(s, c, present)
	case !expose.IsCopy(present):
		return nil // somebody else put it there: as good as a copy, but not ours to remove
	case s.Expired:
		return datamovement.Waiting(datamovement.NotMade, "%s was not copied in time", c.kind)
	default:
		return r.addUser(ctx, s, c, present)
	}
}

// collision says why there cannot be a copy of the name. The driver would not find one of another name.
func (r *Reconciler) collision(s *scope, c copied, present client.Object) error {
	if !expose.IsCopy(present) {
		return datamovement.Waiting(datamovement.NameTaken,
			"%s %s cannot be copied from namespace %s: in namespace %s there is one with other content",
			c.kind, c.name, s.du.Spec.SourceNamespace, s.du.Namespace)
	}
	return datamovement.Waiting(datamovement.NameTaken,
		"%s %s of namespace %s must wait: a copy with other content, from namespace %s, is in use by %d DataUploads",
		c.kind, c.name, s.du.Spec.SourceNamespace, present.GetLabels()[expose.CopiedFromLabel], len(present.GetOwnerReferences()))
}

func (r *Reconciler) addUser(ctx context.Context, s *scope, c copied, present client.Object) error {
	before := present.DeepCopyObject().(client.Object)
	expose.AddUser(present, s.du)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, present, patch); err != nil {
		return fmt.Errorf("sharing the copy of %s %s: %w", c.kind, c.name, err)
	}
	return nil
}

// removeCopies takes the DataUpload from the users of the copies, and deletes those that nobody uses any more. Between
// reading and writing nobody can have become a user: the write would fail with a conflict.
func (r *Reconciler) removeCopies(ctx context.Context, s *scope) (string, error) {
	for _, c := range s.copies() {
		present, err := r.read(ctx, c, s.du.Namespace)
		if err != nil {
			return "", err
		}
		if present == nil || !expose.Uses(s.du, present) || datamovement.IsDeleting(present) {
			continue
		}
		if err := r.removeUser(ctx, s, c, present); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (r *Reconciler) removeUser(ctx context.Context, s *scope, c copied, present client.Object) error {
	before := present.DeepCopyObject().(client.Object)
	var err error
	if expose.RemoveUser(present, s.du) > 0 {
		err = r.Client.Patch(ctx, present, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	} else {
		uid, version := before.GetUID(), before.GetResourceVersion()
		err = r.Client.Delete(ctx, before, client.Preconditions{UID: &uid, ResourceVersion: &version})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the copy of %s %s: %w", c.kind, c.name, err)
	}
	return nil
}

// read reads a Secret or ConfigMap from the API server; nil if there is none.
func (r *Reconciler) read(ctx context.Context, c copied, namespace string) (client.Object, error) {
	obj := c.empty()
	if err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: c.name}, obj); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading %s %s/%s: %w", c.kind, namespace, c.name, err)
	}
	return obj, nil
}
