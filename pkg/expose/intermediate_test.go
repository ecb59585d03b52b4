package expose_test

import (
	"fmt"
	"maps"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

const excludeLabel = "velero.io/exclude-from-backup"

// named is the name of a DataUpload or DataDownload that is so many characters long.
func named(length int) string { return strings.Repeat("backup.one-", 30)[:length-1] + "x" }

func dataDownload(name string) *v2alpha1.DataDownload {
	return &v2alpha1.DataDownload{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: name, UID: uid},
		Spec:       v2alpha1.DataDownloadSpec{TargetVolume: v2alpha1.TargetVolumeSpec{Namespace: "shop", PVC: "data"}},
	}
}

func readyContent() *snapshotv1.VolumeSnapshotContent {
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-1"},
		Status:     &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: new("snap-1")},
	}
}

// madeFor are all objects that are made for a DataUpload and a DataDownload of a name.
func madeFor(name string) []client.Object {
	GinkgoHelper()
	du := dataUpload()
	du.Name = name
	dd := dataDownload(name)
	content, err := expose.AliasContent(du, readyContent())
	Expect(err).NotTo(HaveOccurred())
	volume := volumeOf(corev1.PersistentVolumeFilesystem)
	podLabels := map[string]string{excludeLabel: "false"}
	volumes := []*corev1.PersistentVolume{{}, {}}
	expose.Mark(volumes[0], du)
	expose.Retain(volumes[1], dd)
	for i, v := range volumes {
		v.Name = fmt.Sprintf("pvc-%d", i)
	}
	return []client.Object{
		expose.BackupPVC(du, config.BackupPVC{}, volume),
		expose.BackupPod(du, config.Upload{Pod: config.Pod{PodLabels: podLabels}}, volume, expose.AgentTemplate{}),
		content,
		expose.AliasSnapshot(du, content, nil),
		expose.SnapshotInfo(du, "snapshot"),
		expose.RestorePVC(dd, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Labels: podLabels}}),
		expose.RestorePod(dd, config.Download{}, expose.RestoreTarget{WithCache: true}, expose.AgentTemplate{}),
		expose.CachePVC(dd, "fast", 1),
		expose.Copy(du, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}}).(client.Object),
		expose.Copy(dd, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}}).(client.Object),
		volumes[0], volumes[1],
	}
}

var _ = Describe("what is there only while data moves", func() {
	It("is not taken into a backup", func() {
		for _, obj := range madeFor("move-1") {
			Expect(obj.GetLabels()).To(HaveKeyWithValue(excludeLabel, "true"), "%T %s", obj, obj.GetName())
		}
	})

	DescribeTable("has names and labels that Kubernetes takes, for a name of any length", func(length int) {
		name := named(length)
		Expect(validation.IsDNS1123Subdomain(name)).To(BeEmpty(), "as the test wants it")
		for _, obj := range madeFor(name) {
			Expect(validation.IsDNS1123Subdomain(obj.GetName())).To(BeEmpty(), "%T", obj)
			for key, value := range obj.GetLabels() {
				Expect(validation.IsValidLabelValue(value)).To(BeEmpty(), "%T, label %s", obj, key)
			}
			if pod, isPod := obj.(*corev1.Pod); isPod {
				Expect(validation.IsDNS1123Label(pod.Spec.Containers[0].Name)).To(BeEmpty())
				for _, volume := range pod.Spec.Volumes {
					Expect(validation.IsDNS1123Label(volume.Name)).To(BeEmpty())
				}
			}
		}
	},
		Entry("1", 1), Entry("63", 63), Entry("64", 64), Entry("247", 247), Entry("248", 248), Entry("249", 249), Entry("253", 253))

	It("has another name for each DataDownload, and leads back to it", func() {
		short, long, alike := dataDownload("restore-1"), dataDownload(named(253)), dataDownload(named(253))
		alike.Name = long.Name[:252] + "y"
		names := map[string]bool{}
		for _, dd := range []*v2alpha1.DataDownload{short, long, alike} {
			cache := expose.CachePVC(dd, "fast", 1)
			names[cache.Name] = true
			Expect(expose.DownloadOf(cache)).To(Equal(dd.Name))
			Expect(expose.DownloadOf(expose.RestorePVC(dd, &corev1.PersistentVolumeClaim{}))).To(Equal(dd.Name))
		}
		Expect(names).To(HaveLen(3))
		Expect(names).To(HaveKey("restore-1-cache"), "which is what Velero calls it")
	})

	It("does not mark the volume any more when that is the target PVC's", func() {
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"own": "x"}}}
		expose.Retain(pv, dataDownload("restore-1"))
		Expect(pv.Labels).To(HaveKey(excludeLabel))
		expose.BindVolume(pv, &corev1.PersistentVolumeClaim{})
		Expect(pv.Labels).NotTo(HaveKey(excludeLabel), "a backup may come before all marks are gone")
		expose.Unmark(pv)
		Expect(pv.Labels).To(Equal(map[string]string{"own": "x"}))
	})
})

var _ = Describe("a restorePVC", func() {
	taken := map[string]string{
		"app": "shop", "storage.example.com/tier": "gold", "app.kubernetes.io/name": "shop",
		"recurring-job.longhorn.io/daily": "enabled", "notargoproj.io/x": "1", "fluxcd": "1",
	}
	foreign := []string{
		"argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by",
		"kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace", "helm.toolkit.fluxcd.io/name",
		"meta.helm.sh/release-name", "helm.sh/chart", "kapp.k14s.io/app", "objectset.rio.cattle.io/hash", "fleet.cattle.io/bundle-id",
		"applyset.kubernetes.io/part-of", "kubectl.kubernetes.io/last-applied-configuration", "config.k8s.io/owning-inventory",
		"configsync.gke.io/declared-fields", "cdi.kubevirt.io/storage.import.endpoint", "cdi.kubevirt.io/storage.contentType",
		"volsync.backube/cleanup", "cleanup.kyverno.io/ttl", "janitor/ttl", "resize.topolvm.io/threshold", "olm.owner",
	}
	target := func() *corev1.PersistentVolumeClaim {
		all := maps.Clone(taken)
		for _, key := range foreign {
			all[key] = "x"
		}
		annotations := map[string]string{"volume.kubernetes.io/selected-node": "n1", "pv.kubernetes.io/bind-completed": "yes"}
		maps.Copy(annotations, all)
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Labels: all, Annotations: annotations}}
	}

	It("takes over what may shape the volume, but nothing that other controllers act on", func() {
		of := target()
		pvc := expose.RestorePVC(dataDownload("restore-1"), of)
		Expect(pvc.Annotations).To(Equal(taken))
		for _, key := range foreign {
			Expect(pvc.Labels).NotTo(HaveKey(key))
		}
		for key, value := range taken {
			Expect(pvc.Labels).To(HaveKeyWithValue(key, value))
		}
		Expect(of).To(Equal(target()), "the target PVC keeps all")
	})
})
