package live

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// LimitCache lets a cache hold of all ConfigMaps this one only.
func (c *Configuration) LimitCache(options *cache.Options) {
	if c.ConfigMap.Name == "" {
		return
	}
	options.ByObject[&corev1.ConfigMap{}] = cache.ByObject{
		Namespaces: map[string]cache.Config{c.ConfigMap.Namespace: {}},
		Field:      fields.OneTermEqualSelector(metav1.ObjectNameField, c.ConfigMap.Name),
	}
}

// SetupWithManager lets the manager tell of every change of the ConfigMap, and of storage classes that are made or deleted.
func (c *Configuration) SetupWithManager(mgr ctrl.Manager) error {
	if c.ConfigMap.Name == "" {
		return nil
	}
	read := reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
		return reconcile.Result{}, c.Look(ctx, mgr.GetClient())
	})
	toConfigMap := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: c.ConfigMap}}
	})
	comeOrGo := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	err := ctrl.NewControllerManagedBy(mgr).Named("configuration").
		For(&corev1.ConfigMap{}).
		Watches(&storagev1.StorageClass{}, toConfigMap, builder.WithPredicates(comeOrGo)).
		Complete(read)
	if err != nil {
		return fmt.Errorf("setting up the watch of configmap %s: %w", c.ConfigMap, err)
	}
	return nil
}

// Look deals with the ConfigMap and the storage classes as they are now.
func (c *Configuration) Look(ctx context.Context, reader client.Reader) error {
	if err := c.refresh(ctx, reader); err != nil {
		return err
	}
	return c.judgeClasses(ctx, reader)
}
