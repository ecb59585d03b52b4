package transfer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Codes of reasons that concern Secrets and ConfigMaps to be copied.
const (
	originalMissing = "OriginalMissing"
	accessDenied    = "AccessDenied"
)

// A copy is a Secret or ConfigMap that a driver looks for in the namespace of the backupPVC or restorePVC, and that is in that of
// the source or target PVC: Velero documents them as secretNames and configMapNames of backupPVC and restorePVC. Its name is given,
// so volumes share a copy, and it goes with the last one. Copies are read by name and neither listed nor watched: the agent need
// not see any other Secret.

// Copies says what is to be copied.
type Copies struct {
	// From is the namespace of the originals. If it is Velero's, all of it is there.
	From string
	// SecretNames and ConfigMapNames are the names of originals and copies.
	SecretNames, ConfigMapNames []string
	// Optional says that an original may be missing. It is copied in a later pass if it comes.
	Optional bool
	// NamedBy is the section of the configuration that names them, for messages.
	NamedBy string
}

// copied names an object that is copied.
type copied struct {
	kind, name string
	empty      func() client.Object
}

// to lists what is to be copied into a namespace.
func (c Copies) to(namespace string) []copied {
	if c.From == namespace {
		return nil
	}
	var all []copied
	for _, name := range c.SecretNames {
		all = append(all, copied{"secret", name, func() client.Object { return &corev1.Secret{} }})
	}
	for _, name := range c.ConfigMapNames {
		all = append(all, copied{"configmap", name, func() client.Object { return &corev1.ConfigMap{} }})
	}
	return all
}

// EnsureCopies makes the copies, or becomes one more user of those that are there.
func (e Steps) EnsureCopies(ctx context.Context, s *engine.Scope, copies Copies) error {
	for _, c := range copies.to(s.Object.GetNamespace()) {
		err := e.ensureCopy(ctx, s, copies, c)
		if apierrors.IsForbidden(err) {
			return engine.Waitf(accessDenied, "%v", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e Steps) ensureCopy(ctx context.Context, s *engine.Scope, copies Copies, c copied) error {
	present, err := e.readCopied(ctx, c, s.Object.GetNamespace())
	if err != nil || present != nil && expose.Uses(s.Object, present) && !IsDeleting(present) {
		return err
	}
	original, err := e.readCopied(ctx, c, copies.From)
	switch {
	case err != nil:
		return err
	case original == nil && copies.Optional:
		return nil
	case original == nil:
		return engine.WaitFor(s.AskAgain(), waiting.Reason{
			Code:    originalMissing,
			Message: fmt.Sprintf("%s %s/%s, which %s names, not found", c.kind, copies.From, c.name, copies.NamedBy),
		})
	case present == nil:
		_, err := Ensure(ctx, e, s, "copy of "+c.kind, expose.Copy(s.Object, original))
		return err
	case IsDeleting(present):
		return engine.Waitf(BeingDeleted, "%s %s/%s is being deleted", c.kind, s.Object.GetNamespace(), c.name)
	case !expose.SameContent(present, original):
		return collision(s, copies, c, present)
	case !expose.IsCopy(present):
		return nil // somebody else put it there: as good as a copy, but not ours to remove
	case s.Expired:
		return e.NotMade(s, "%s was not copied in time", c.kind)
	default:
		return e.addUser(ctx, s, c, present)
	}
}

// collision says why there cannot be a copy of the name. The driver would not find one of another name.
func collision(s *engine.Scope, copies Copies, c copied, present client.Object) error {
	if !expose.IsCopy(present) {
		return engine.Waitf(NameTaken,
			"%s %s cannot be copied from namespace %s: in namespace %s there is one with other content",
			c.kind, c.name, copies.From, s.Object.GetNamespace())
	}
	return engine.Waitf(NameTaken,
		"%s %s of namespace %s must wait: a copy with other content, from namespace %s, is in use by %s",
		c.kind, c.name, copies.From, present.GetLabels()[expose.CopiedFromLabel], expose.Users(present))
}

func (e Steps) addUser(ctx context.Context, s *engine.Scope, c copied, present client.Object) error {
	before := present.DeepCopyObject().(client.Object)
	expose.AddUser(present, s.Object)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := e.Client.Patch(ctx, present, patch); err != nil {
		return fmt.Errorf("sharing the copy of %s %s: %w", c.kind, c.name, err)
	}
	return nil
}

// RemoveCopies takes the DataUpload or DataDownload from the users of the copies, and deletes those that nobody uses any more.
// Between reading and writing nobody can have become a user: the write would fail with a conflict.
func (e Steps) RemoveCopies(ctx context.Context, s *engine.Scope, copies Copies) (string, error) {
	for _, c := range copies.to(s.Object.GetNamespace()) {
		present, err := e.readCopied(ctx, c, s.Object.GetNamespace())
		if err != nil {
			return "", err
		}
		if present == nil || !expose.Uses(s.Object, present) || IsDeleting(present) {
			continue
		}
		if err := e.removeUser(ctx, s, c, present); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (e Steps) removeUser(ctx context.Context, s *engine.Scope, c copied, present client.Object) error {
	before := present.DeepCopyObject().(client.Object)
	var err error
	if expose.RemoveUser(present, s.Object) > 0 {
		err = e.Client.Patch(ctx, present, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	} else {
		uid, version := before.GetUID(), before.GetResourceVersion()
		err = e.Client.Delete(ctx, before, client.Preconditions{UID: &uid, ResourceVersion: &version})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the copy of %s %s: %w", c.kind, c.name, err)
	}
	return nil
}

// read reads a Secret or ConfigMap from the API server; nil if there is none.
func (e Steps) readCopied(ctx context.Context, c copied, namespace string) (client.Object, error) {
	obj := c.empty()
	if err := e.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: c.name}, obj); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading %s %s/%s: %w", c.kind, namespace, c.name, err)
	}
	return obj, nil
}
