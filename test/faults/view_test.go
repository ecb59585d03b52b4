package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/test/cluster"
	"github.com/node-agent/node-agent/test/controlplane"
)

// view is a reconciler's cache whose contents a test decides on: they change between two passes only, and may be as old
// as the test wants. It holds what the real cache would, by the same options and indexes.
type view struct {
	live    client.Client
	options map[reflect.Type]cache.ByObject
	indexes map[string]client.IndexerFunc
	kinds   map[schema.GroupVersionKind]*kindView
	// lag, if not nil, decides how far behind each kind is. No kind ever goes back.
	lag *rand.Rand
}

// kindView is what the cache has held of one kind, from pass to pass.
type kindView struct {
	list    client.ObjectList
	limits  []client.ListOption
	history []controlplane.Objects
	at      int
	// moved is set when it has come forward since the last refresh.
	moved bool
}

func newView(ctx context.Context, live client.Client, lag *rand.Rand) (*view, error) {
	v := &view{
		live: live, options: map[reflect.Type]cache.ByObject{}, indexes: map[string]client.IndexerFunc{},
		kinds: map[schema.GroupVersionKind]*kindView{}, lag: lag,
	}
	for obj, options := range engine.CacheOptions(cluster.Velero).ByObject {
		v.options[reflect.TypeOf(obj)] = options
	}
	if err := engine.AddIndexes(ctx, v); err != nil {
		return nil, err
	}
	return v, dataupload.AddIndexes(ctx, v)
}

// IndexField keeps the index, as a manager would.
func (v *view) IndexField(_ context.Context, obj client.Object, field string, extract client.IndexerFunc) error {
	gvk, err := apiutil.GVKForObject(obj, v.live.Scheme())
	v.indexes[gvk.Kind+"/"+field] = extract
	return err
}

// kind returns the view of a kind. As with the real cache, the first question about it lets it be watched.
func (v *view) kind(ctx context.Context, obj runtime.Object) (*kindView, error) {
	gvk, err := apiutil.GVKForObject(obj, v.live.Scheme())
	if err != nil {
		return nil, err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	if k := v.kinds[gvk]; k != nil {
		return k, nil
	}
	single, err := v.live.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	list, err := v.live.Scheme().New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		return nil, err
	}
	k := &kindView{list: list.(client.ObjectList)}
	options := v.options[reflect.TypeOf(single)]
	for namespace := range options.Namespaces {
		k.limits = append(k.limits, client.InNamespace(namespace))
	}
	if options.Label != nil {
		k.limits = append(k.limits, client.MatchingLabelsSelector{Selector: options.Label})
	}
	if options.Field != nil {
		k.limits = append(k.limits, client.MatchingFieldsSelector{Selector: options.Field})
	}
	v.kinds[gvk] = k
	return k, v.look(ctx, k)
}

// refresh reads what the API server holds now, and lets the view come forward. It tells whether anything has changed in
// it, which is when watches would wake the reconciler.
func (v *view) refresh(ctx context.Context) (bool, error) {
	changed := false
	for _, gvk := range slices.SortedFunc(maps.Keys(v.kinds), func(a, b schema.GroupVersionKind) int { return strings.Compare(a.Kind, b.Kind) }) {
		k := v.kinds[gvk]
		if err := v.look(ctx, k); err != nil {
			return false, err
		}
		if v.lag == nil || v.lag.IntN(2) == 0 {
			v.comeForward(k)
		}
		changed = changed || k.moved
		k.moved = false
	}
	return changed, nil
}

// look adds the present to the history of a kind.
func (v *view) look(ctx context.Context, k *kindView) error {
	list := k.list.DeepCopyObject().(client.ObjectList)
	if err := v.live.List(ctx, list, k.limits...); err != nil {
		return fmt.Errorf("looking at what the cache would show: %w", err)
	}
	objects, err := controlplane.ItemsOf(list)
	if err != nil {
		return err
	}
	if len(k.history) == 0 || versions(k.history[len(k.history)-1]) != versions(objects) {
		k.history = append(k.history, objects)
	}
	return nil
}

func versions(objects controlplane.Objects) string {
	var all strings.Builder
	for _, obj := range objects {
		fmt.Fprintf(&all, "%s@%s ", obj.GetUID(), obj.GetResourceVersion())
	}
	return all.String()
}

// comeForward lets a kind show something newer, without lag the newest.
func (v *view) comeForward(k *kindView) {
	before, newest := k.at, len(k.history)-1
	k.at = newest
	if v.lag != nil && newest > before {
		k.at = before + v.lag.IntN(newest-before+1)
	}
	k.moved = k.moved || k.at != before
}

// behind tells whether there is something that the view does not show yet.
func (v *view) behind() bool {
	for _, k := range v.kinds {
		if k.at < len(k.history)-1 {
			return true
		}
	}
	return false
}

// read returns what a kind shows. A lagging cache may come forward in the middle of a pass.
func (v *view) read(ctx context.Context, obj runtime.Object) (controlplane.Objects, error) {
	k, err := v.kind(ctx, obj)
	if err != nil {
		return nil, err
	}
	if v.lag != nil && v.lag.IntN(8) == 0 {
		v.comeForward(k)
	}
	return k.history[k.at], nil
}

// Get reads an object as the cache shows it.
func (v *view) Get(ctx context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	objects, err := v.read(ctx, obj)
	if err != nil {
		return err
	}
	if objects.Get(key, obj) {
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: fmt.Sprintf("%T", obj)}, key.Name)
}

// List reads objects as the cache shows them.
func (v *view) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	objects, err := v.read(ctx, list)
	if err != nil {
		return err
	}
	return objects.List(list, opts, v.matchesIndex)
}

// matchesIndex knows the fields that are indexed, as the real cache does.
func (v *view) matchesIndex(obj client.Object, selector fields.Selector) (bool, error) {
	gvk, err := apiutil.GVKForObject(obj, v.live.Scheme())
	if err != nil {
		return false, err
	}
	for _, requirement := range selector.Requirements() {
		extract, found := v.indexes[gvk.Kind+"/"+requirement.Field]
		if !found {
			return false, fmt.Errorf("no index of %s by %s", gvk.Kind, requirement.Field)
		}
		if !slices.Contains(extract(obj), requirement.Value) {
			return false, nil
		}
	}
	return true, nil
}

// relist lets every kind show the present, as after the start of a process.
func (v *view) relist(ctx context.Context) error {
	for _, k := range v.kinds {
		if err := v.look(ctx, k); err != nil {
			return err
		}
		k.at, k.moved = len(k.history)-1, true
	}
	return nil
}
