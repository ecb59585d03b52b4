// Package pods plays kube-scheduler and the kubelets of some nodes, without root and without containers: a pod's containers
// run as processes of the local node's own user.
//
// Where a container would see a mount, its process cannot. Arguments and environment values that begin with a mount
// path, a device path or the termination message path are therefore replaced by the local path. Read-only mounts, user
// IDs, resources and SELinux have no effect. Only pods of restartPolicy Never, without init containers, are run.
package pods

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/node-agent/node-agent/test/localnode/events"
	"github.com/node-agent/node-agent/test/localnode/storage"
)

const parallel = 4

// Options describe the nodes that run the pods.
type Options struct {
	// Nodes are their names.
	Nodes []string
	// Root is the directory for pods and their logs.
	Root string
	// Driver is the name of the CSI driver whose volumes it can mount.
	Driver string
	// Images are the images that can be "pulled".
	Images []string
	// Programs maps paths inside images to programs on this machine. Other commands are looked up on this machine.
	Programs map[string]string
	// Config says how pods reach the API server. They get credentials of their service accounts.
	Config *rest.Config
}

// Setup adds scheduler and kubelet to a manager.
func Setup(mgr manager.Manager, disks *storage.Storage, recorders *events.Recorders, options Options) error {
	scheduler := &scheduler{Client: mgr.GetClient(), nodes: options.Nodes, events: recorders.Scheduler()}
	pending := handler.EnqueueRequestsFromMapFunc(scheduler.unscheduled)
	if err := builder.ControllerManagedBy(mgr).Named("scheduler").
		For(&corev1.Pod{}).
		Watches(&corev1.PersistentVolumeClaim{}, pending).
		Watches(&corev1.Node{}, pending).
		Complete(reconcile.AsReconciler(mgr.GetClient(), scheduler)); err != nil {
		return err
	}
	kubelet, err := newKubelet(mgr, disks, recorders, options)
	if err != nil {
		return err
	}
	if err := mgr.Add(manager.RunnableFunc(kubelet.killAtEnd)); err != nil {
		return err
	}
	return builder.ControllerManagedBy(mgr).Named("kubelet").
		For(&corev1.Pod{}).
		WatchesRawSource(source.Channel(kubelet.exited, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallel}).
		Complete(kubelet)
}

func newKubelet(mgr manager.Manager, disks *storage.Storage, recorders *events.Recorders, options Options) (*kubelet, error) {
	k := &kubelet{
		Client:  mgr.GetClient(),
		options: options,
		disks:   disks,
		events:  map[string]record.EventRecorder{},
		exited:  make(chan event.GenericEvent),
		pods:    map[types.UID]*sandbox{},
	}
	for _, node := range options.Nodes {
		k.events[node] = recorders.Core("kubelet", node)
	}
	for _, dir := range []string{k.podsDir(), k.logsDir()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("make kubelet directory: %w", err)
		}
	}
	return k, nil
}

func (k *kubelet) podsDir() string { return filepath.Join(k.options.Root, "pods") }
func (k *kubelet) logsDir() string { return filepath.Join(k.options.Root, "logs") }

// killAtEnd ends all processes when the local node stops.
func (k *kubelet) killAtEnd(ctx context.Context) error {
	<-ctx.Done()
	for _, running := range k.all() {
		running.stop(0)
		<-running.done
	}
	return nil
}

// unscheduled lists the pods that a change of the cluster may make schedulable.
func (s *scheduler) unscheduled(ctx context.Context, _ client.Object) []reconcile.Request {
	pods := &corev1.PodList{}
	if err := s.List(ctx, pods); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName == "" {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
		}
	}
	return requests
}
