package live

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
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

// SetupWithManager lets the manager tell of every change of the ConfigMap.
func (c *Configuration) SetupWithManager(mgr ctrl.Manager) error {
	if c.ConfigMap.Name == "" {
		return nil
	}
	read := reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
		return reconcile.Result{}, c.refresh(ctx, mgr.GetClient())
	})
	if err := ctrl.NewControllerManagedBy(mgr).Named("configuration").For(&corev1.ConfigMap{}).Complete(read); err != nil {
		return fmt.Errorf("setting up the watch of configmap %s: %w", c.ConfigMap, err)
	}
	return nil
}
