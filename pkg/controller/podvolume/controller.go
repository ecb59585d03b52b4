// Package podvolume says on PodVolumeBackups and PodVolumeRestores that this node-agent does not serve them. Velero's server makes
// them for file-system backups and waits for hours for somebody who does; without a word nobody would know why.
//
// It keeps no state: what it has said is an Event whose name follows from the object, so that nobody says it twice.
package podvolume

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

// Kinds are those of Velero's file-system backups, in group velero.io/v1.
var Kinds = []string{kindBackup, kindRestore}

const (
	kindBackup  = "PodVolumeBackup"
	kindRestore = "PodVolumeRestore"
)

// patience is how long an object may be New before it is said. On Windows nodes stock Velero's agent may run, which serves it.
const patience = 10 * time.Second

// Reconciler looks at the objects of one kind.
type Reconciler struct {
	Kind string
	// Reader reads them, Writer makes Events.
	Reader client.Reader
	Writer client.Writer
	// NodeName is the node of this agent, named in Events.
	NodeName string
	Clock    clock.PassiveClock
	Log      logrus.FieldLogger
}

// Reconcile says it on an object that nobody has begun to serve.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	obj := newObject(r.Kind)
	if err := r.Reader.Get(ctx, request.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !isNew(obj) || obj.GetDeletionTimestamp() != nil {
		return ctrl.Result{}, nil
	}
	now := r.Clock.Now()
	if wait := obj.GetCreationTimestamp().Add(patience).Sub(now); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	event := notSupported(obj, r.NodeName, now)
	log := r.Log.WithField(strings.ToLower(r.Kind[:1])+r.Kind[1:], request.String())
	switch err := r.Writer.Create(ctx, event); {
	case err == nil:
		log.Warn(event.Note)
	case apierrors.IsAlreadyExists(err): // it was said
	case apierrors.IsForbidden(err):
		log.WithError(err).Warn(event.Note)
	default:
		return ctrl.Result{}, fmt.Errorf("making an event on %s %s: %w", r.Kind, request, err)
	}
	return ctrl.Result{}, nil
}

// isNew tells whether nobody has begun to serve an object, as far as it says.
func isNew(obj *unstructured.Unstructured) bool {
	phase, _, err := unstructured.NestedString(obj.Object, "status", "phase")
	return err == nil && slices.Contains([]string{"", "New"}, phase)
}

// newObject is empty. These types are Velero's alone, so there are no Go types for them here.
func newObject(kind string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(velerov1.GroupVersion.WithKind(kind))
	return obj
}
