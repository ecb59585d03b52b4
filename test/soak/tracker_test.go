package soak

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/installation"
)

// slotsPerNode is what nobody has configured.
const slotsPerNode = 1

// tracker sees every change of DataUploads and backup pods, past the proxy, and remembers what must not be forgotten.
type tracker struct {
	stop context.CancelFunc

	mu      sync.Mutex
	records map[string]*record
	// crowded tells of nodes on which more DataUploads moved data than there are slots.
	crowded []string
}

// record is the history of one DataUpload.
type record struct {
	// du is its latest version; it is kept when it is gone.
	du   *v2alpha1.DataUpload
	gone bool
	// accepted are the distinct times of its acceptance.
	accepted []metav1.Time
	// pods are the latest versions of its pods, also of those that are gone, by UID. order is that of their coming.
	pods  map[types.UID]*corev1.Pod
	order []types.UID
	// processes are the distinct processes of each pod.
	processes map[types.UID][]string
}

func startTracker(scheme *runtime.Scheme) (*tracker, error) {
	informers, err := cache.New(plane.Config, cache.Options{
		Scheme: scheme, DefaultNamespaces: map[string]cache.Config{installation.VeleroNamespace: {}},
	})
	if err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &tracker{stop: stop, records: map[string]*record{}}
	for object, handler := range map[client.Object]toolscache.ResourceEventHandler{
		&v2alpha1.DataUpload{}: handlers(t.seeUpload), &corev1.Pod{}: handlers(t.seePod),
	} {
		informer, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err == nil {
			_, err = informer.AddEventHandler(handler)
		}
		if err != nil {
			stop()
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
	}
	go func() { _ = informers.Start(ctx) }() // What it does not see will be missed.
	return t, nil
}

func handlers[T client.Object](see func(object T, gone bool)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { see(object.(T), false) },
		UpdateFunc: func(_, object any) { see(object.(T), false) },
		DeleteFunc: func(object any) {
			if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			see(object.(T), true)
		},
	}
}

func (t *tracker) seeUpload(du *v2alpha1.DataUpload, gone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.recordOf(du.Name)
	r.du, r.gone = du, gone
	if at := du.Status.AcceptedTimestamp; at != nil && !slices.Contains(r.accepted, *at) {
		r.accepted = append(r.accepted, *at)
	}
	if !gone && holdsSlot(du) {
		t.countSlots(du.Status.Node)
	}
}

func holdsSlot(du *v2alpha1.DataUpload) bool {
	return du.Status.Phase == v2alpha1.PhaseInProgress || du.Status.Phase == v2alpha1.PhaseCanceling
}

func (t *tracker) countSlots(node string) {
	var busy []string
	for name, r := range t.records {
		if r.du != nil && !r.gone && holdsSlot(r.du) && r.du.Status.Node == node {
			busy = append(busy, name)
		}
	}
	if len(busy) > slotsPerNode {
		slices.Sort(busy)
		t.crowded = append(t.crowded, fmt.Sprintf("%s: %v", node, busy))
	}
}

func (t *tracker) seePod(pod *corev1.Pod, _ bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.recordOf(pod.Name)
	if r.pods[pod.UID] == nil {
		r.order = append(r.order, pod.UID)
	}
	r.pods[pod.UID] = pod
	for _, container := range pod.Status.ContainerStatuses {
		id := container.ContainerID
		if id != "" && !slices.Contains(r.processes[pod.UID], id) {
			r.processes[pod.UID] = append(r.processes[pod.UID], id)
		}
	}
}

func (t *tracker) recordOf(name string) *record {
	r := t.records[name]
	if r == nil {
		r = &record{pods: map[types.UID]*corev1.Pod{}, processes: map[types.UID][]string{}}
		t.records[name] = r
	}
	return r
}

// get returns what is known of a DataUpload now.
func (t *tracker) get(name string) record {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := *t.recordOf(name)
	r.pods, r.processes = maps.Clone(r.pods), maps.Clone(r.processes)
	r.accepted, r.order = slices.Clone(r.accepted), slices.Clone(r.order)
	return r
}

// all returns what is known of every DataUpload there ever was.
func (t *tracker) all() []record {
	t.mu.Lock()
	names := slices.Collect(maps.Keys(t.records))
	t.mu.Unlock()
	var records []record
	for _, name := range names {
		records = append(records, t.get(name))
	}
	return records
}

// await waits until a condition holds for a DataUpload.
func (t *tracker) await(ctx context.Context, name string, limit time.Duration, condition func(record) bool) error {
	const often = 50 * time.Millisecond
	return wait.PollUntilContextTimeout(ctx, often, limit, true, func(context.Context) (bool, error) {
		return condition(t.get(name)), nil
	})
}

func (t *tracker) crowds() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.crowded)
}

func (r record) phase() v2alpha1.Phase {
	if r.du == nil {
		return ""
	}
	return r.du.Status.Phase
}

// settled tells whether nothing more is to come.
func (r record) settled() bool {
	return r.gone || r.phase().IsTerminal() && !controllerutil.ContainsFinalizer(r.du, v2alpha1.Finalizer)
}

// pod is the pod that came last, or nil.
func (r record) pod() *corev1.Pod {
	if len(r.order) == 0 {
		return nil
	}
	return r.pods[r.order[len(r.order)-1]].DeepCopy()
}
