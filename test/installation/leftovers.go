package installation

import (
	"context"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

// Leftovers names all that is in the cluster and on the storage besides the volumes of workloads.
func Leftovers(
	ctx context.Context, c client.Client, disks *storage.Storage, workloads ...*corev1.PersistentVolumeClaim,
) ([]string, error) {
	var own, left []string
	for _, claim := range workloads {
		volume := claim.Spec.VolumeName
		own = append(own, "PersistentVolumeClaim "+claim.Name, "PersistentVolume "+volume, "directory of volume "+volume)
	}
	for kind, list := range map[string]client.ObjectList{
		"Pod": &corev1.PodList{}, "PersistentVolumeClaim": &corev1.PersistentVolumeClaimList{},
		"PersistentVolume": &corev1.PersistentVolumeList{}, "VolumeSnapshot": &snapshotv1.VolumeSnapshotList{},
		"VolumeSnapshotContent": &snapshotv1.VolumeSnapshotContentList{},
	} {
		if err := c.List(ctx, list); err != nil {
			return nil, err
		}
		err := meta.EachListItem(list, func(object runtime.Object) error {
			accessor, err := meta.Accessor(object)
			if err == nil {
				left = append(left, kind+" "+accessor.GetName())
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	volumes, err := disks.Volumes()
	if err != nil {
		return nil, err
	}
	for _, volume := range volumes {
		left = append(left, "directory of volume "+volume)
	}
	snapshots, err := disks.Snapshots()
	for _, handle := range snapshots {
		left = append(left, "storage snapshot "+handle)
	}
	left = slices.DeleteFunc(left, func(name string) bool { return slices.Contains(own, name) })
	slices.Sort(left)
	return left, err
}
