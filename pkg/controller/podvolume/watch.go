package podvolume

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bombsimon/logrusr/v4"
	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// forEver is how long to wait until the kinds can be watched: without the right to, all else goes on.
const forEver = 10 * 365 * 24 * time.Hour

// Options say where to look.
type Options struct {
	// Namespace is Velero's.
	Namespace string
	// NodeName is the node of this agent.
	NodeName string
	Clock    clock.PassiveClock
	Log      logrus.FieldLogger
}

// SetupWithManager looks, while the manager runs, at the kinds that the cluster serves now; where it serves none, it costs nothing.
// The informers are not among the manager's: what they may not watch keeps nobody from working.
func SetupWithManager(mgr ctrl.Manager, options Options) error {
	var served []string
	for _, kind := range Kinds {
		gvk := newObject(kind).GroupVersionKind()
		switch _, err := mgr.GetRESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version); {
		case err == nil:
			served = append(served, kind)
		case !meta.IsNoMatchError(err):
			return fmt.Errorf("finding out whether the cluster serves %s: %w", kind, err)
		}
	}
	if len(served) == 0 {
		return nil
	}
	informers, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultNamespaces:        map[string]cache.Config{options.Namespace: {}},
		DefaultTransform:         keepPhase,
		DefaultWatchErrorHandler: (&refusals{log: options.Log}).tell,
	})
	if err != nil {
		return fmt.Errorf("making a cache for file-system backups: %w", err)
	}
	if err := mgr.Add(informers); err != nil {
		return fmt.Errorf("adding a cache for file-system backups: %w", err)
	}
	for _, kind := range served {
		if err := add(mgr, informers, kind, options); err != nil {
			return fmt.Errorf("setting up the watch of %s: %w", kind, err)
		}
	}
	return nil
}

// add lets the manager run a controller for one kind. Each object is looked at once, when it is first seen.
func add(mgr ctrl.Manager, informers cache.Cache, kind string, options Options) error {
	c, err := controller.NewUnmanaged(strings.ToLower(kind), controller.Options{
		Reconciler: &Reconciler{
			Kind: kind, Reader: informers, Writer: mgr.GetClient(), NodeName: options.NodeName,
			Clock: options.Clock, Log: options.Log,
		},
		CacheSyncTimeout: forEver,
		Logger:           logrusr.New(options.Log),
	})
	if err != nil {
		return err
	}
	firstSeen := predicate.Funcs{
		UpdateFunc: func(event.UpdateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
	var watched client.Object = newObject(kind)
	if err := c.Watch(source.Kind(informers, watched, &handler.EnqueueRequestForObject{}, firstSeen)); err != nil {
		return err
	}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return c.Start(ctx) }))
}

// keepPhase drops all that is not needed: these objects live as long as their backup.
func keepPhase(in any) (any, error) {
	obj, ok := in.(*unstructured.Unstructured)
	if !ok {
		return in, nil
	}
	kept := newObject(obj.GetKind())
	kept.SetNamespace(obj.GetNamespace())
	kept.SetName(obj.GetName())
	kept.SetUID(obj.GetUID())
	kept.SetResourceVersion(obj.GetResourceVersion())
	kept.SetCreationTimestamp(obj.GetCreationTimestamp())
	kept.SetDeletionTimestamp(obj.GetDeletionTimestamp())
	phase, found, err := unstructured.NestedString(obj.Object, "status", "phase")
	if err == nil && found {
		err = unstructured.SetNestedField(kept.Object, phase, "status", "phase")
	}
	return kept, err
}

// refusals says once that the right to watch is missing; informers try again and again.
type refusals struct {
	log  logrus.FieldLogger
	once sync.Once
}

// tell is called by informers.
func (r *refusals) tell(ctx context.Context, reflector *toolscache.Reflector, err error) {
	if !apierrors.IsForbidden(err) {
		toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
		return
	}
	r.once.Do(func() {
		r.log.WithError(err).Warn("File-system backups and restores, which are not served, cannot be told so: " +
			"the right to see them is missing (kubectl apply -k config/rbac)")
	})
}
