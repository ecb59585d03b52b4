package controlplane

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// remembering reads from memory and writes to the API server.
type remembering struct {
	client.Client
	memory *memory
}

// Remember returns a client for a test that looks at everything after every step, of which a step changes one or two: what it
// reads costs no request. From now on Config takes note of writes, and whoever writes in another way, such as another process,
// is not minded.
func (c *ControlPlane) Remember() (client.Client, error) {
	next, err := rest.TransportFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("make a transport to the API server: %w", err)
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	known := &memory{
		next: next, kinds: map[schema.GroupResource]*knownKind{},
		decode: func(data []byte) (runtime.Object, error) {
			obj, _, err := decoder.Decode(data, nil, nil)
			return obj, err
		},
	}
	c.Config = &rest.Config{Host: c.Config.Host, Transport: known, QPS: -1}
	direct, err := client.New(c.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &remembering{Client: direct, memory: known}, nil
}

// Get reads an object.
func (r *remembering) Get(ctx context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	gvk, err := apiutil.GVKForObject(obj, r.Scheme())
	if err != nil {
		return err
	}
	all, resource, err := r.all(ctx, gvk)
	if err != nil {
		return err
	}
	if all.Get(key, obj) {
		return nil
	}
	return apierrors.NewNotFound(resource, key.Name)
}

// List reads objects of one kind, in the order in which the API server lists them.
func (r *remembering) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	gvk, err := apiutil.GVKForObject(list, r.Scheme())
	if err != nil {
		return err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	all, _, err := r.all(ctx, gvk)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b client.Object) int {
		return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
	})
	return all.List(list, opts, func(obj client.Object, selector fields.Selector) (bool, error) {
		return selector.Matches(fieldsOf(obj)), nil
	})
}

// all returns all objects of a kind.
func (r *remembering) all(ctx context.Context, gvk schema.GroupVersionKind) (Objects, schema.GroupResource, error) {
	mapping, err := r.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, schema.GroupResource{}, err
	}
	resource := mapping.Resource.GroupResource()
	known, written := r.memory.recall(resource)
	if known != nil {
		return known, resource, nil
	}
	empty, err := r.Scheme().New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		return nil, resource, err
	}
	list := empty.(client.ObjectList)
	if err := r.Client.List(ctx, list); err != nil {
		return nil, resource, err
	}
	if known, err = ItemsOf(list); err != nil {
		return nil, resource, err
	}
	r.memory.remember(resource, written, known)
	return known, resource, nil
}

// fieldsOf are the fields of an object by which a test selects. The API server knows more of them.
func fieldsOf(obj client.Object) fields.Set {
	set := fields.Set{"metadata.name": obj.GetName(), "metadata.namespace": obj.GetNamespace()}
	if event, ok := obj.(*corev1.Event); ok {
		set["reason"], set["involvedObject.kind"] = event.Reason, event.InvolvedObject.Kind
	}
	return set
}
