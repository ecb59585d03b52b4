package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/demo/tree"
	"github.com/node-agent/node-agent/test/installation"
)

// shownDifferences are enough to see what is wrong.
const shownDifferences = 30

// restore is the second act: a DataDownload gives a PVC that waits for it a volume with what was backed up.
func (d *demo) restore(ctx context.Context, source workload, du *v2alpha1.DataUpload) error {
	target := installation.NewTarget(source.claim, targetNamespace, "restore-1")
	if err := d.client.Create(ctx, target); err != nil {
		return fmt.Errorf("create target PVC: %w", err)
	}
	dd := installation.NewDataDownload(du, target, source.claim.Spec.VolumeName, "restore-1")
	if err := d.client.Create(ctx, dd); err != nil {
		return fmt.Errorf("create DataDownload: %w", err)
	}
	d.out.line("target PVC %s/%s", target.Namespace, target.Name)
	d.out.line("DataDownload %s\n", dd.Name)
	filled := ""
	dd, _, err := follow(ctx, d, dd, &v2alpha1.DataDownloadList{}, moveLimit, func(phase v2alpha1.Phase) (err error) {
		if phase == v2alpha1.PhaseInProgress {
			filled, err = d.showRestoring(ctx, dd, target)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.out.print("\n")
	if dd.Status.Phase != v2alpha1.PhaseCompleted {
		return fmt.Errorf("the DataDownload is %s, not Completed: %s", dd.Status.Phase, dd.Status.Message)
	}
	if err := d.checkHandedOver(ctx, target, filled); err != nil {
		return err
	}
	if err := d.checkCleanedUp(ctx, dd, nil); err != nil {
		return err
	}
	return d.checkContent(source.dir, d.node.Storage.VolumePath(target.Spec.VolumeName))
}

// showRestoring lists what node-agent has made for a DataDownload, and returns the volume that it fills.
func (d *demo) showRestoring(
	ctx context.Context, dd *v2alpha1.DataDownload, target *corev1.PersistentVolumeClaim,
) (string, error) {
	claim, pod := &corev1.PersistentVolumeClaim{}, &corev1.Pod{}
	for _, object := range []client.Object{claim, pod} {
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(dd), object); err != nil {
			return "", fmt.Errorf("look at what was made for the DataDownload: %w", err)
		}
	}
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(target), target); err != nil {
		return "", fmt.Errorf("look at the target PVC: %w", err)
	}
	d.out.print("\n")
	d.out.table([][]string{
		{"           target PVC", fmt.Sprintf("class %s, %s", *target.Spec.StorageClassName, target.Status.Phase)},
		{"           restorePVC", fmt.Sprintf("class %s, %s, %s", *claim.Spec.StorageClassName, accessModes(claim), claim.Status.Phase)},
		{"           restore pod", fmt.Sprintf("on node %s, %s, verifies what it has written", pod.Spec.NodeName, pod.Status.Phase)},
	})
	d.out.print("\n")
	if !slices.Contains(pod.Spec.Containers[0].Args, "--verify") {
		return "", errors.New("the restore pod does not verify, although the agent was asked to")
	}
	if target.Status.Phase != corev1.ClaimPending {
		return "", errors.New("the target PVC has a volume before its data is there")
	}
	return claim.Spec.VolumeName, nil
}

// checkHandedOver checks that the target PVC has the volume that was filled, as if that had been provisioned for it.
func (d *demo) checkHandedOver(ctx context.Context, target *corev1.PersistentVolumeClaim, filled string) error {
	volume, class := &corev1.PersistentVolume{}, &storagev1.StorageClass{}
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(target), target); err != nil {
		return fmt.Errorf("look at the target PVC: %w", err)
	}
	d.workloads, d.restored = append(d.workloads, target), filled
	if err := d.client.Get(ctx, client.ObjectKey{Name: filled}, volume); err != nil {
		return fmt.Errorf("look at the restored volume: %w", err)
	}
	if err := d.client.Get(ctx, client.ObjectKey{Name: volume.Spec.StorageClassName}, class); err != nil {
		return fmt.Errorf("look at the class of the restored volume: %w", err)
	}
	policy := volume.Spec.PersistentVolumeReclaimPolicy
	d.out.line("target PVC    %s, to volume %s, which was the restorePVC's", target.Status.Phase, target.Spec.VolumeName)
	d.out.line("volume        reclaim policy %s, class %s has %s", policy, class.Name, *class.ReclaimPolicy)
	switch {
	case target.Status.Phase != corev1.ClaimBound, target.Spec.VolumeName != filled, volume.Spec.ClaimRef.UID != target.UID:
		return errors.New("the target PVC is not bound to the restored volume")
	case policy != *class.ReclaimPolicy:
		return errors.New("the restored volume does not have the reclaim policy of its class")
	case !maps.Equal(volume.Labels, target.Spec.Selector.MatchLabels):
		return fmt.Errorf("the restored volume has labels %v, not those that the target PVC selects", volume.Labels)
	}
	for key := range volume.Annotations {
		if strings.Contains(key, "node-agent") {
			return fmt.Errorf("the restored volume still has annotation %s", key)
		}
	}
	return nil
}

// checkContent compares the restored volume with the one that was backed up, which has not changed since its snapshot.
func (d *demo) checkContent(source, restored string) error {
	d.out.print("\n")
	d.out.begin("comparing every byte, mode, owner, time and link")
	counts, differences, err := tree.Compare(source, restored)
	if err != nil {
		return err
	}
	d.out.done()
	d.out.line("%d files, %d directories, %d links, %s: %d differences",
		counts.Files, counts.Directories, counts.Links, mib(counts.Bytes), len(differences))
	if len(differences) > 0 {
		d.out.lines(differences[:min(len(differences), shownDifferences)])
		return errors.New("what was restored is not what was backed up")
	}
	return nil
}
