package e2e

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// expectNothingLeft waits until nothing is there any more that was made in order to move data: in no namespace, and not on the
// storage.
func expectNothingLeft(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		snapshots := &snapshotv1.VolumeSnapshotList{}
		g.Expect(cluster.List(ctx, snapshots)).To(Succeed())
		g.Expect(snapshots.Items).To(BeEmpty(), "VolumeSnapshots")
		contents := &snapshotv1.VolumeSnapshotContentList{}
		g.Expect(cluster.List(ctx, contents)).To(Succeed())
		g.Expect(contents.Items).To(BeEmpty(), "VolumeSnapshotContents")

		claims := &corev1.PersistentVolumeClaimList{}
		g.Expect(cluster.List(ctx, claims, client.InNamespace(veleroNamespace))).To(Succeed())
		g.Expect(claims.Items).To(BeEmpty(), "backupPVCs, restorePVCs and cachePVCs")
		movers := &corev1.PodList{}
		label := client.HasLabels{v2alpha1.ExposerPodGroupLabel}
		g.Expect(cluster.List(ctx, movers, client.InNamespace(veleroNamespace), label)).To(Succeed())
		g.Expect(movers.Items).To(BeEmpty(), "backup pods and restore pods")
		uploads := &v2alpha1.DataUploadList{}
		g.Expect(cluster.List(ctx, uploads)).To(Succeed())
		for _, upload := range uploads.Items {
			g.Expect(upload.Finalizers).To(BeEmpty(), "finalizers of DataUpload %s", upload.Name)
		}
		downloads := &v2alpha1.DataDownloadList{}
		g.Expect(cluster.List(ctx, downloads)).To(Succeed())
		for _, download := range downloads.Items {
			g.Expect(download.Finalizers).To(BeEmpty(), "finalizers of DataDownload %s", download.Name)
		}
		expectVolumesOfClaimsOnly(ctx, g)
	}).Should(Succeed())
}

// expectVolumesOfClaimsOnly checks that all PersistentVolumes are in use, and that the storage holds these and nothing else.
func expectVolumesOfClaimsOnly(ctx context.Context, g Gomega) {
	volumes := &corev1.PersistentVolumeList{}
	g.Expect(cluster.List(ctx, volumes)).To(Succeed())
	var handles []string
	for _, volume := range volumes.Items {
		g.Expect(volume.Status.Phase).To(Equal(corev1.VolumeBound), "PersistentVolume %s", volume.Name)
		handles = append(handles, volume.Spec.CSI.VolumeHandle)
	}
	if storage == "" {
		return
	}
	entries, err := os.ReadDir(storage)
	g.Expect(err).NotTo(HaveOccurred())
	var stored []string
	for _, entry := range entries {
		if entry.Name() != "state.json" {
			stored = append(stored, entry.Name())
		}
	}
	g.Expect(stored).To(ConsistOf(handles), "folders of volumes and files of snapshots in %s", storage)
}

// storedBytes is how much data of volumes the object store holds.
func storedBytes() int64 {
	GinkgoHelper()
	if objects == "" {
		return 0
	}
	var sum int64
	err := filepath.WalkDir(filepath.Join(objects, "velero", "kopia"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	Expect(err).NotTo(HaveOccurred())
	return sum
}
