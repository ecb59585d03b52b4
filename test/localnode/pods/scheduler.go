package pods

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// selectedNodeAnnotation tells the provisioner of a late-binding class where its first consumer will run.
	selectedNodeAnnotation = "volume.kubernetes.io/selected-node"
	// bindTimeout is how often a pod is looked at whose volumes are being provisioned.
	bindTimeout = 10 * time.Second
)

// scheduler binds pods to nodes, or says in kube-scheduler's words why it cannot.
type scheduler struct {
	client.Client
	nodes  []string
	events events.EventRecorder
}

// errBeingProvisioned means that the pod fits, as soon as its volumes are there.
var errBeingProvisioned = errors.New("volumes are being provisioned")

// Reconcile looks at one pod.
func (s *scheduler) Reconcile(ctx context.Context, pod *corev1.Pod) (reconcile.Result, error) {
	if pod.Spec.NodeName != "" || !pod.DeletionTimestamp.IsZero() || pod.Spec.SchedulerName != corev1.DefaultSchedulerName {
		return reconcile.Result{}, nil
	}
	var reason unfit
	node, err := s.fit(ctx, pod)
	switch {
	case errors.Is(err, errBeingProvisioned):
		return reconcile.Result{RequeueAfter: bindTimeout}, nil
	case errors.As(err, &reason):
		return reconcile.Result{}, s.reject(ctx, pod, reason)
	case err != nil:
		return reconcile.Result{}, err
	}
	binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	if err := s.SubResource("binding").Create(ctx, pod, binding); err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("bind pod %s: %w", pod.Name, err)
	}
	s.events.Eventf(pod, nil, corev1.EventTypeNormal, "Scheduled", "Binding",
		"Successfully assigned %v/%v to %v", pod.Namespace, pod.Name, node)
	return reconcile.Result{}, nil
}

// fit finds a node for the pod and makes late-binding claims choose it.
func (s *scheduler) fit(ctx context.Context, pod *corev1.Pod) (string, error) {
	nodes, err := s.listNodes(ctx)
	if err != nil {
		return "", err
	}
	var late []*corev1.PersistentVolumeClaim
	var volumes []*corev1.PersistentVolume
	for _, name := range claimNames(pod) {
		claim, volume, err := s.claim(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name})
		if err != nil {
			return "", err
		}
		if volume != nil {
			volumes = append(volumes, volume)
		} else {
			late = append(late, claim)
		}
	}
	pods := &corev1.PodList{}
	if err := s.List(ctx, pods); err != nil {
		return "", fmt.Errorf("list pods: %w", err)
	}
	node, err := choose(pod, nodes, volumes, func(node string) int { return running(pods.Items, node) })
	if err != nil {
		return "", err
	}
	for _, claim := range late {
		if err := s.selectNode(ctx, claim, node); err != nil {
			return "", err
		}
	}
	if len(late) > 0 {
		return "", errBeingProvisioned
	}
	return node, nil
}

// listNodes returns the local node's own nodes.
func (s *scheduler) listNodes(ctx context.Context) ([]corev1.Node, error) {
	list := &corev1.NodeList{}
	if err := s.List(ctx, list); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(node corev1.Node) bool { return !slices.Contains(s.nodes, node.Name) }), nil
}

// running counts the pods of a node that are not done.
func running(pods []corev1.Pod, node string) int {
	n := 0
	for i := range pods {
		if pods[i].Spec.NodeName == node && !isTerminal(&pods[i]) {
			n++
		}
	}
	return n
}

// claim returns a claim of a pod and its volume. The volume is nil if the claim waits for the pod to be scheduled.
func (s *scheduler) claim(
	ctx context.Context, name types.NamespacedName,
) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume, error) {
	claim := &corev1.PersistentVolumeClaim{}
	err := s.Get(ctx, name, claim)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, unfit{nodes: len(s.nodes), general: fmt.Sprintf("persistentvolumeclaim %q not found", name.Name)}
	case err != nil:
		return nil, nil, err
	case !claim.DeletionTimestamp.IsZero():
		return nil, nil, unfit{nodes: len(s.nodes), general: fmt.Sprintf("persistentvolumeclaim %q is being deleted", name.Name)}
	case claim.Status.Phase == corev1.ClaimBound:
		volume := &corev1.PersistentVolume{}
		return claim, volume, s.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, volume)
	}
	class := &storagev1.StorageClass{}
	if claim.Spec.StorageClassName != nil {
		err = s.Get(ctx, types.NamespacedName{Name: *claim.Spec.StorageClassName}, class)
	}
	if client.IgnoreNotFound(err) != nil {
		return nil, nil, err
	}
	if class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
		return nil, nil, unfit{nodes: len(s.nodes), general: "pod has unbound immediate PersistentVolumeClaims"}
	}
	return claim, nil, nil
}

// selectNode tells the provisioner where the claim's volume will be used. What was selected once stays.
func (s *scheduler) selectNode(ctx context.Context, claim *corev1.PersistentVolumeClaim, node string) error {
	if claim.Annotations[selectedNodeAnnotation] != "" {
		return nil
	}
	before := claim.DeepCopy()
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, selectedNodeAnnotation, node)
	if err := s.Patch(ctx, claim, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("select node for claim %s: %w", claim.Name, err)
	}
	return nil
}

// reject says in condition and event why the pod fits nowhere, once per reason.
func (s *scheduler) reject(ctx context.Context, pod *corev1.Pod, reason unfit) error {
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: corev1.PodReasonUnschedulable, Message: reason.Error(),
	}
	before := pod.DeepCopy()
	if !setCondition(&pod.Status, condition) {
		return nil
	}
	s.events.Eventf(pod, nil, corev1.EventTypeWarning, "FailedScheduling", "Scheduling", "%s", condition.Message)
	if err := s.Status().Patch(ctx, pod, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("mark pod %s as unschedulable: %w", pod.Name, err)
	}
	return nil
}

func claimNames(pod *corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}
