package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// showExposed lists what node-agent has made for a DataUpload, and checks the documented settings of the backupPVC.
func (d *demo) showExposed(ctx context.Context, du *v2alpha1.DataUpload) error {
	key := client.ObjectKeyFromObject(du)
	claim, pod := &corev1.PersistentVolumeClaim{}, &corev1.Pod{}
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	for _, object := range []client.Object{claim, pod, snapshot} {
		if err := d.client.Get(ctx, key, object); err != nil {
			return fmt.Errorf("look at what was made for the DataUpload: %w", err)
		}
	}
	if err := d.client.Get(ctx, client.ObjectKey{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content); err != nil {
		return fmt.Errorf("look at what was made for the DataUpload: %w", err)
	}
	class, selinux := *claim.Spec.StorageClassName, "none"
	if security := pod.Spec.SecurityContext; security != nil && security.SELinuxOptions != nil {
		selinux = security.SELinuxOptions.Type
	}
	d.out.print("\n")
	d.out.table([][]string{
		{"           VolumeSnapshot", fmt.Sprintf("of the storage snapshot, policy %s", content.Spec.DeletionPolicy)},
		{"           backupPVC", fmt.Sprintf("class %s, %s, %s", class, accessModes(claim), claim.Status.Phase)},
		{"           backup pod", fmt.Sprintf("SELinux type %s, on node %s, %s", selinux, pod.Spec.NodeName, pod.Status.Phase)},
	})
	d.out.print("\n")
	if class != backupClass || !slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}) ||
		selinux != "spc_t" {
		return fmt.Errorf("the backupPVC is not as the ConfigMap says")
	}
	return nil
}

func accessModes(claim *corev1.PersistentVolumeClaim) string {
	modes := make([]string, 0, len(claim.Spec.AccessModes))
	for _, mode := range claim.Spec.AccessModes {
		modes = append(modes, string(mode))
	}
	return strings.Join(modes, ",")
}

// showWarnings lists the warnings that components of the cluster gave.
func (d *demo) showWarnings(ctx context.Context) {
	events := &corev1.EventList{}
	if err := d.client.List(ctx, events); err != nil {
		d.out.line("cannot list events: %v", err)
		return
	}
	for _, event := range events.Items {
		if event.Type == corev1.EventTypeWarning {
			object := event.InvolvedObject
			d.out.line("%s %s/%s: %s: %s", object.Kind, object.Namespace, object.Name, event.Reason, event.Message)
		}
	}
}
