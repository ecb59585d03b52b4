package controlplane

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Objects are those of one kind that a reader of its own holds, instead of asking the API server.
type Objects []client.Object

// ItemsOf returns the objects of a list.
func ItemsOf(list client.ObjectList) (Objects, error) {
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	objects := make(Objects, len(items))
	for i := range items {
		objects[i] = items[i].(client.Object)
	}
	return objects, nil
}

// Get copies the object of that key to obj, and tells whether there is one.
func (o Objects) Get(key client.ObjectKey, obj client.Object) bool {
	for _, found := range o {
		if client.ObjectKeyFromObject(found) == key {
			reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
			return true
		}
	}
	return false
}

// List copies to list what the options select. Which fields one can select by is the reader's affair.
func (o Objects) List(
	list client.ObjectList, opts []client.ListOption, byFields func(client.Object, fields.Selector) (bool, error),
) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	var selected []runtime.Object
	for _, obj := range o {
		if options.Namespace != "" && obj.GetNamespace() != options.Namespace ||
			options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(obj.GetLabels())) {
			continue
		}
		if options.FieldSelector != nil {
			if matches, err := byFields(obj, options.FieldSelector); err != nil {
				return err
			} else if !matches {
				continue
			}
		}
		selected = append(selected, obj.DeepCopyObject())
	}
	return meta.SetList(list, selected)
}
