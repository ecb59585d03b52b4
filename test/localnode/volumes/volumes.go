// Package volumes plays what a cluster has for PersistentVolumeClaims: the PV controller and the protection controllers
// of kube-controller-manager, and the external-provisioner of a CSI driver whose volumes are directories. Volumes are
// provisioned; a claim gets one that exists already only if it names that.
package volumes

import (
	"cmp"
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/events"
	"github.com/node-agent/node-agent/test/localnode/storage"
)

const (
	// Driver is the name of the CSI driver and of its provisioner.
	Driver = "localnode.node-agent.io"
	// ReadOnlyManyParameter of a StorageClass says whether the driver makes ReadOnlyMany volumes: "true" unless "false".
	ReadOnlyManyParameter = "readOnlyMany"

	// selectedNodeAnnotation is set by the scheduler on a claim that waits for its first consumer.
	selectedNodeAnnotation = "volume.kubernetes.io/selected-node"

	// resync is how often kube-controller-manager looks again at a claim that it cannot do anything for.
	resync = 15 * time.Second
	// retry is how long the provisioner waits after a failure.
	retry = 2 * time.Second

	parallel = 4
)

// Setup adds the controllers to a manager.
func Setup(mgr manager.Manager, disks *storage.Storage, recorders *events.Recorders) error {
	cached, live := mgr.GetClient(), mgr.GetAPIReader()
	provisioner := recorders.Core(Driver, "")
	claims := &claimReconciler{
		Client: cached, live: live, disks: disks,
		events: recorders.Core("persistentvolume-controller", ""), provisioner: provisioner,
	}
	if err := builder.ControllerManagedBy(mgr).Named("persistentvolumeclaim").
		For(&corev1.PersistentVolumeClaim{}).
		Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(claimOfVolume)).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallel}).
		Complete(reconcile.AsReconciler(cached, claims)); err != nil {
		return err
	}
	protection := &protectionReconciler{Client: cached, live: live}
	if err := builder.ControllerManagedBy(mgr).Named("pvc-protection").
		For(&corev1.PersistentVolumeClaim{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(claimsOfPod)).
		Complete(reconcile.AsReconciler(cached, protection)); err != nil {
		return err
	}
	volumes := &volumeReconciler{Client: cached, live: live, disks: disks, events: provisioner}
	return builder.ControllerManagedBy(mgr).Named("persistentvolume").
		For(&corev1.PersistentVolume{}).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(volumeOfClaim)).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallel}).
		Complete(reconcile.AsReconciler(cached, volumes))
}

func claimsOfPod(_ context.Context, pod client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, volume := range pod.(*corev1.Pod).Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			name := types.NamespacedName{Namespace: pod.GetNamespace(), Name: volume.PersistentVolumeClaim.ClaimName}
			requests = append(requests, reconcile.Request{NamespacedName: name})
		}
	}
	return requests
}

func claimOfVolume(_ context.Context, volume client.Object) []reconcile.Request {
	ref := volume.(*corev1.PersistentVolume).Spec.ClaimRef
	if ref == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}}}
}

func volumeOfClaim(_ context.Context, object client.Object) []reconcile.Request {
	claim := object.(*corev1.PersistentVolumeClaim)
	name := cmp.Or(claim.Spec.VolumeName, volumeName(claim))
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
}

// volumeName is the name of the volume that is provisioned for a claim.
func volumeName(claim *corev1.PersistentVolumeClaim) string {
	return "pvc-" + string(claim.UID)
}
