package pods

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

// retry is how long the kubelet waits when something that a pod needs is missing.
const retry = time.Second

// kubelet runs the pods that are bound to its nodes.
type kubelet struct {
	client.Client
	options Options
	disks   *storage.Storage
	// events are recorded for each node.
	events map[string]record.EventRecorder
	exited chan event.GenericEvent

	mu   sync.Mutex
	pods map[types.UID]*sandbox
}

// Reconcile looks at one pod, or at what is left of it.
func (k *kubelet) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	pod := &corev1.Pod{}
	if err := k.Get(ctx, request.NamespacedName, pod); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	// A pod that was not found has no UID and no node.
	if err := k.forget(request.NamespacedName, pod.UID); err != nil {
		return reconcile.Result{}, err
	}
	if !slices.Contains(k.options.Nodes, pod.Spec.NodeName) {
		return reconcile.Result{}, nil
	}
	running := k.sandboxOf(pod.UID)
	switch {
	case !pod.DeletionTimestamp.IsZero():
		return reconcile.Result{}, k.terminate(ctx, pod, running)
	case isTerminal(pod) && running != nil && !running.isDone():
		// Somebody else has ended the pod, as an eviction does.
		running.stop(0)
		return reconcile.Result{}, nil
	case isTerminal(pod):
		k.disks.Unpublish(podKey(pod.UID))
		return reconcile.Result{}, nil
	case running != nil:
		return reconcile.Result{}, k.writeStatus(ctx, pod, runningStatus(pod, running.processes))
	case pod.Status.Phase == corev1.PodRunning:
		return reconcile.Result{}, k.writeStatus(ctx, pod, lostStatus(pod))
	default:
		return k.start(ctx, pod)
	}
}

// start makes processes of a pod, or says what is missing.
func (k *kubelet) start(ctx context.Context, pod *corev1.Pod) (reconcile.Result, error) {
	if len(pod.Spec.InitContainers) > 0 || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return reconcile.Result{}, k.writeStatus(ctx, pod, rejectedStatus(pod, "NotSupported",
			"the local node runs pods of restartPolicy Never without init containers only"))
	}
	if waiting := k.pullImages(pod); len(waiting) > 0 {
		return reconcile.Result{RequeueAfter: retry}, k.writeStatus(ctx, pod, waitingStatus(pod, waiting))
	}
	commands, err := k.prepare(ctx, pod)
	if err != nil {
		// Nothing is kept until the next try: the pod may be gone by then, and nobody would know what it had.
		status := k.explain(pod, errors.Join(err, k.cleanUp(pod.UID)))
		return reconcile.Result{RequeueAfter: retry}, k.writeStatus(ctx, pod, status)
	}
	running := newSandbox(client.ObjectKeyFromObject(pod), commands, k.wakeUp(pod))
	k.mu.Lock()
	k.pods[pod.UID] = running
	k.mu.Unlock()
	for _, container := range pod.Spec.Containers {
		k.events[pod.Spec.NodeName].Event(pod, corev1.EventTypeNormal, "Started", "Started container "+container.Name)
	}
	return reconcile.Result{}, k.writeStatus(ctx, pod, runningStatus(pod, running.processes))
}

// explain turns a failure to prepare a pod into what a kubelet shows: a container that cannot be configured waits with a
// reason, a volume that cannot be mounted is an event.
func (k *kubelet) explain(pod *corev1.Pod, err error) corev1.PodStatus {
	if config, ok := errors.AsType[configError](err); ok {
		k.events[pod.Spec.NodeName].Event(pod, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
		return waitingStatus(pod, map[string]corev1.ContainerStateWaiting{
			config.container: {Reason: "CreateContainerConfigError", Message: err.Error()},
		})
	}
	k.events[pod.Spec.NodeName].Event(pod, corev1.EventTypeWarning, "FailedMount", err.Error())
	return waitingStatus(pod, nil)
}

// wakeUp returns a function that makes the kubelet look at the pod again.
func (k *kubelet) wakeUp(pod *corev1.Pod) func() {
	object := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	return func() {
		go func() { k.exited <- event.GenericEvent{Object: object} }()
	}
}

// terminate ends the processes of a pod that is being deleted, and removes the pod when they are over.
func (k *kubelet) terminate(ctx context.Context, pod *corev1.Pod, running *sandbox) error {
	if running != nil && !running.isDone() {
		running.stop(gracePeriod(pod))
		return nil
	}
	if running != nil {
		if err := k.writeStatus(ctx, pod, runningStatus(pod, running.processes)); err != nil {
			return err
		}
	}
	if err := k.cleanUp(pod.UID); err != nil {
		return err
	}
	options := &client.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	if err := k.Delete(ctx, pod, options); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove pod %s: %w", pod.Name, err)
	}
	return nil
}

func isTerminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func gracePeriod(pod *corev1.Pod) time.Duration {
	if pod.DeletionGracePeriodSeconds == nil {
		return 0
	}
	return time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
}

// forget ends what still runs under a name although its pod is gone from the API server, by a forced deletion.
func (k *kubelet) forget(name types.NamespacedName, current types.UID) error {
	for uid, running := range k.all() {
		if running.name != name || uid == current {
			continue
		}
		running.stop(time.Second)
		if running.isDone() {
			if err := k.cleanUp(uid); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanUp frees what a pod had on the node. Its logs stay.
func (k *kubelet) cleanUp(uid types.UID) error {
	k.disks.Unpublish(podKey(uid))
	k.mu.Lock()
	delete(k.pods, uid)
	k.mu.Unlock()
	if err := os.RemoveAll(filepath.Join(k.podsDir(), string(uid))); err != nil {
		return fmt.Errorf("remove directory of pod: %w", err)
	}
	return nil
}

func (k *kubelet) sandboxOf(uid types.UID) *sandbox {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pods[uid]
}

func (k *kubelet) all() map[types.UID]*sandbox {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.pods)
}

func (k *kubelet) writeStatus(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	if equality.Semantic.DeepEqual(pod.Status, status) {
		return nil
	}
	before := pod.DeepCopy()
	pod.Status = status
	if err := k.Status().Patch(ctx, pod, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status of pod %s: %w", pod.Name, err)
	}
	return nil
}

// podKey names a pod towards the storage.
func podKey(uid types.UID) string {
	return string(uid)
}

// pullImages returns the containers that wait for an image that cannot be had.
func (k *kubelet) pullImages(pod *corev1.Pod) map[string]corev1.ContainerStateWaiting {
	waiting := map[string]corev1.ContainerStateWaiting{}
	for i, container := range pod.Spec.Containers {
		if slices.Contains(k.options.Images, container.Image) {
			continue
		}
		state := pullFailure(container, waited(pod, i))
		k.events[pod.Spec.NodeName].Event(pod, corev1.EventTypeWarning, "Failed", state.Message)
		waiting[container.Name] = state
	}
	return waiting
}

// waited tells whether a pull of a container's image has failed before.
func waited(pod *corev1.Pod, container int) bool {
	return len(pod.Status.ContainerStatuses) > container && pod.Status.ContainerStatuses[container].State.Waiting != nil
}

func pullFailure(container corev1.Container, again bool) corev1.ContainerStateWaiting {
	failure := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: not found",
		container.Image, container.Image)
	switch {
	case container.ImagePullPolicy == corev1.PullNever:
		return corev1.ContainerStateWaiting{
			Reason:  "ErrImageNeverPull",
			Message: fmt.Sprintf("Container image %q is not present with pull policy of Never", container.Image),
		}
	case !again:
		return corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "rpc error: code = NotFound desc = " + failure}
	default:
		return corev1.ContainerStateWaiting{
			Reason:  "ImagePullBackOff",
			Message: fmt.Sprintf("Back-off pulling image %q: ErrImagePull: rpc error: code = NotFound desc = %s", container.Image, failure),
		}
	}
}
