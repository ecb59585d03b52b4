package controlplane

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memory knows what the API server holds, from the answers to all writes. It lists a kind at the first question about it, and
// again after a write whose answer does not tell what came of it.
type memory struct {
	next   http.RoundTripper
	decode func(data []byte) (runtime.Object, error)

	mutex sync.Mutex
	kinds map[schema.GroupResource]*knownKind
}

// knownKind is what is known of one kind of object.
type knownKind struct {
	// objects are all there are; nil if they have to be listed.
	objects map[client.ObjectKey]client.Object
	// writing counts the writes that are on their way, written those that were.
	writing, written int
}

// outcome is what a write has come to: an object as it is now, or that nothing was written, or that nobody knows.
type outcome struct {
	written client.Object
	refused bool
}

var unknown, refused = outcome{}, outcome{refused: true}

// RoundTrip lets a call through, and takes note of what it writes. A write that is on its way is not called back.
func (m *memory) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet {
		return m.next.RoundTrip(request)
	}
	resource := resourceOf(request.URL.Path)
	m.begin(resource)
	outcome := unknown
	defer func() { m.end(resource, outcome) }()
	response, err := m.next.RoundTrip(request.WithContext(context.WithoutCancel(request.Context())))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := cmp.Or(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	switch code := response.StatusCode; {
	case code >= http.StatusBadRequest && code < http.StatusInternalServerError:
		outcome = refused
	case code < http.StatusMultipleChoices && request.Method != http.MethodDelete:
		outcome = m.outcome(body)
	}
	return response, nil
}

// outcome reads the answer to a write. It does not tell whether an object that is being deleted is still there: a write that
// takes the last finalizer off it looks like any other.
func (m *memory) outcome(body []byte) outcome {
	decoded, err := m.decode(body)
	if err != nil {
		return unknown
	}
	obj, ok := decoded.(client.Object)
	if !ok || obj.GetUID() == "" || !obj.GetDeletionTimestamp().IsZero() {
		return unknown
	}
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{}) // as what a typed client reads
	return outcome{written: obj}
}

func (m *memory) begin(resource schema.GroupResource) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.kind(resource).writing++
}

// end takes note of what a write has come to.
func (m *memory) end(resource schema.GroupResource, o outcome) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	k := m.kind(resource)
	k.writing--
	k.written++
	switch {
	case o == refused, k.objects == nil:
	case o == unknown:
		k.objects = nil
	default:
		key := client.ObjectKeyFromObject(o.written)
		if before := k.objects[key]; before == nil || version(before) < version(o.written) {
			k.objects[key] = o.written
		}
	}
}

// version is the time of an object's last change, as etcd counts it.
func version(obj client.Object) uint64 {
	number, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		panic(err) // kube-apiserver's are numbers
	}
	return number
}

// recall returns all objects of a kind in any order, nil if they are not known, and how much had been written then.
func (m *memory) recall(resource schema.GroupResource) (Objects, int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	k := m.kind(resource)
	if k.writing > 0 || k.objects == nil {
		return nil, k.written
	}
	all := make(Objects, 0, len(k.objects))
	for _, obj := range k.objects {
		all = append(all, obj)
	}
	return all, k.written
}

// remember keeps what was listed, unless something was written since it was asked for.
func (m *memory) remember(resource schema.GroupResource, written int, listed Objects) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	k := m.kind(resource)
	if k.writing > 0 || k.written != written {
		return
	}
	k.objects = map[client.ObjectKey]client.Object{}
	for _, obj := range listed {
		k.objects[client.ObjectKeyFromObject(obj)] = obj
	}
}

func (m *memory) kind(resource schema.GroupResource) *knownKind {
	if m.kinds[resource] == nil {
		m.kinds[resource] = &knownKind{}
	}
	return m.kinds[resource]
}

// resourceOf is the kind of object that a path is about.
func resourceOf(path string) schema.GroupResource {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	group := ""
	if parts[0] == "apis" {
		group, parts = parts[1], parts[1:]
	}
	if parts = parts[2:]; parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	return schema.GroupResource{Group: group, Resource: parts[0]}
}
