package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// checkCleanedUp waits until the DataUpload is let go and nothing intermediate is left, and shows the count.
func (d *demo) checkCleanedUp(ctx context.Context, du *v2alpha1.DataUpload, source workload, taken storageSnapshot) error {
	d.out.begin("waiting until all that was made for it is gone")
	var left []string
	err := wait.PollUntilContextTimeout(ctx, pollInterval, waitTimeout, true, func(ctx context.Context) (bool, error) {
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(du), du); err != nil {
			return false, err
		}
		found, err := d.leftovers(ctx, source)
		left = found
		held := controllerutil.ContainsFinalizer(du, v2alpha1.DataUploadFinalizer)
		return len(left) == 0 && !held, err
	})
	if err != nil {
		d.out.print("\n")
		return errors.Join(fmt.Errorf("left over: %s", strings.Join(left, ", ")), err)
	}
	d.out.done()
	deletions := d.node.Storage.Deletions(taken.handle)
	d.out.line("left over: 0 pods, 0 PVCs, 0 PVs, 0 VolumeSnapshots, 0 VolumeSnapshotContents, 0 storage snapshots")
	d.out.line("storage snapshot deleted: %s", times(deletions))
	if deletions != 1 {
		return fmt.Errorf("the storage snapshot %s was deleted %s", taken.handle, times(deletions))
	}
	return nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// leftovers names all that is in the cluster and on the storage besides the workload's own volume.
func (d *demo) leftovers(ctx context.Context, source workload) ([]string, error) {
	own := []string{"PersistentVolumeClaim " + source.claim.Name, "PersistentVolume " + source.claim.Spec.VolumeName}
	var left []string
	for kind, list := range map[string]client.ObjectList{
		"Pod": &corev1.PodList{}, "PersistentVolumeClaim": &corev1.PersistentVolumeClaimList{},
		"PersistentVolume": &corev1.PersistentVolumeList{}, "VolumeSnapshot": &snapshotv1.VolumeSnapshotList{},
		"VolumeSnapshotContent": &snapshotv1.VolumeSnapshotContentList{},
	} {
		if err := d.client.List(ctx, list); err != nil {
			return nil, err
		}
		err := meta.EachListItem(list, func(object runtime.Object) error {
			accessor, err := meta.Accessor(object)
			if err == nil && !slices.Contains(own, kind+" "+accessor.GetName()) {
				left = append(left, kind+" "+accessor.GetName())
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	volumes, err := d.node.Storage.Volumes()
	if err != nil {
		return nil, err
	}
	for _, volume := range volumes {
		if volume != source.claim.Spec.VolumeName {
			left = append(left, "directory of volume "+volume)
		}
	}
	snapshots, err := d.node.Storage.Snapshots()
	for _, handle := range snapshots {
		left = append(left, "storage snapshot "+handle)
	}
	slices.Sort(left)
	return left, err
}
