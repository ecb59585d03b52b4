package expose_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// combination is one way to fill an entry of backupPVC, for one kind of volume.
type combination struct {
	section config.BackupPVC
	mode    corev1.PersistentVolumeMode
}

func (c combination) String() string {
	return fmt.Sprintf("storageClass=%q readOnly=%t spcNoRelabeling=%t readWriteOncePod=%t annotations=%d %s",
		c.section.StorageClass, c.section.ReadOnly, c.section.SPCNoRelabeling, c.section.ReadWriteOncePod, len(c.section.Annotations), c.mode)
}

func combinations() []TableEntry {
	var entries []TableEntry
	for bits := range 1 << 6 {
		is := func(bit int) bool { return bits&(1<<bit) != 0 }
		c := combination{mode: corev1.PersistentVolumeFilesystem}
		c.section.ReadOnly, c.section.SPCNoRelabeling, c.section.ReadWriteOncePod = is(0), is(1), is(2)
		if is(3) {
			c.mode = corev1.PersistentVolumeBlock
		}
		if is(4) {
			c.section.StorageClass = "copy"
		}
		if is(5) {
			c.section.Annotations = map[string]string{"example.com/clone": "linked"}
		}
		entries = append(entries, Entry(c.String(), c))
	}
	return entries
}

var _ = DescribeTable("backupPVC and backup pod for every combination of the backupPVC section", func(c combination) {
	du := dataUpload()
	volume := volumeOf(c.mode)
	volume.StorageClass = expose.BackupStorageClass(du, c.section)
	pvc := expose.BackupPVC(du, c.section, volume)
	pod := expose.BackupPod(du, config.Upload{BackupPVC: c.section}, volumeOf(c.mode), expose.AgentTemplate{})

	By("the backupPVC")
	wantClass := "fast"
	if c.section.StorageClass != "" {
		wantClass = c.section.StorageClass
	}
	Expect(pvc.Spec.StorageClassName).To(HaveValue(Equal(wantClass)))
	wantAccess := corev1.ReadWriteOnce
	switch {
	case c.section.ReadOnly:
		wantAccess = corev1.ReadOnlyMany
	case c.section.ReadWriteOncePod:
		wantAccess = corev1.ReadWriteOncePod
	}
	Expect(pvc.Spec.AccessModes).To(Equal([]corev1.PersistentVolumeAccessMode{wantAccess}))
	Expect(pvc.Spec.VolumeMode).To(HaveValue(Equal(c.mode)))
	Expect(pvc.Annotations).To(Equal(c.section.Annotations))

	By("the backup pod's access to it")
	claim := pod.Spec.Volumes[0]
	Expect(claim.Name).To(Equal(uid))
	Expect(claim.PersistentVolumeClaim.ClaimName).To(Equal(du.Name))
	Expect(claim.PersistentVolumeClaim.ReadOnly).To(Equal(c.section.ReadOnly))
	mover := pod.Spec.Containers[0]
	if c.mode == corev1.PersistentVolumeBlock {
		Expect(mover.VolumeDevices).To(Equal([]corev1.VolumeDevice{{Name: uid, DevicePath: "/" + uid}}))
		Expect(mover.VolumeMounts).NotTo(ContainElement(HaveField("Name", uid)))
	} else {
		Expect(mover.VolumeMounts).To(ContainElement(corev1.VolumeMount{Name: uid, MountPath: "/" + uid, ReadOnly: c.section.ReadOnly}))
		Expect(mover.VolumeDevices).To(BeEmpty())
	}
	Expect(mover.Args).To(ContainElement("--volume-mode=" + string(c.mode)))

	By("its security context")
	Expect(pod.Spec.SecurityContext.RunAsUser).To(HaveValue(BeZero()))
	if c.section.ReadOnly && c.section.SPCNoRelabeling {
		Expect(pod.Spec.SecurityContext.SELinuxOptions).To(HaveValue(Equal(corev1.SELinuxOptions{Type: "spc_t"})))
	} else {
		Expect(pod.Spec.SecurityContext.SELinuxOptions).To(BeNil())
	}
	Expect(pod.Spec.SecurityContext.SELinuxChangePolicy).To(BeNil(), "Kubernetes 1.34 refuses it")
}, combinations())

var _ = Describe("what does not depend on the configuration", func() {
	It("fills the backupPVC from the alias VolumeSnapshot and belongs to the DataUpload", func() {
		du := dataUpload()
		pvc := expose.BackupPVC(du, config.BackupPVC{}, volumeOf(corev1.PersistentVolumeFilesystem))
		Expect(pvc.Namespace).To(Equal("velero"))
		Expect(pvc.Name).To(Equal(du.Name))
		Expect(pvc.Spec.DataSource.Kind).To(Equal("VolumeSnapshot"))
		Expect(pvc.Spec.DataSource.Name).To(Equal(du.Name))
		Expect(pvc.Spec.DataSource.APIGroup).To(HaveValue(Equal("snapshot.storage.k8s.io")))
		Expect(pvc.Spec.DataSourceRef).To(BeNil())
		Expect(pvc.Spec.Resources.Requests.Storage().String()).To(Equal("5Gi"))
		Expect(expose.IsOurs(pvc, du)).To(BeTrue())
	})

	It("does not share annotations with the configuration", func() {
		section := config.BackupPVC{Annotations: map[string]string{"a": "b"}}
		pvc := expose.BackupPVC(dataUpload(), section, volumeOf(corev1.PersistentVolumeFilesystem))
		pvc.Annotations["c"] = "d"
		Expect(section.Annotations).To(HaveLen(1))
	})

	It("runs the mover as Velero's agent does", func() {
		du := dataUpload()
		template := expose.AgentTemplate{Image: "velero/velero:v1.18.3", LogArgs: []string{"--log-level=debug"}, ServiceAccountName: "velero"}
		pod := expose.BackupPod(du, config.Upload{}, volumeOf(corev1.PersistentVolumeFilesystem), template)
		mover := pod.Spec.Containers[0]
		Expect(mover.Name).To(Equal(uid))
		Expect(mover.Image).To(Equal("velero/velero:v1.18.3"))
		Expect(mover.Command).To(Equal([]string{"/velero", "data-mover", "backup"}))
		Expect(mover.Args).To(Equal([]string{
			"--volume-path=/" + uid, "--volume-mode=Filesystem", "--data-upload=" + du.Name,
			"--resource-timeout=10m0s", "--log-level=debug",
		}))
		Expect(pod.Spec.RestartPolicy).To(Equal(corev1.RestartPolicyNever))
		Expect(pod.Spec.ServiceAccountName).To(Equal("velero"))
		Expect(pod.Spec.OS.Name).To(Equal(corev1.Linux))
		Expect(pod.Labels).To(HaveKeyWithValue("velero.io/data-upload", du.Name))
		Expect(pod.Labels).To(HaveKeyWithValue("velero.io/exposer-pod-group", "snapshot-exposer"))
		Expect(expose.IsOurs(pod, du)).To(BeTrue())
	})

	It("tells the mover what to read again", func() {
		volume := volumeOf(corev1.PersistentVolumeFilesystem)
		volume.VerifyPercent, volume.FullReadEvery = 5, 720*time.Hour
		pod := expose.BackupPod(dataUpload(), config.Upload{}, volume, expose.AgentTemplate{})
		Expect(pod.Spec.Containers[0].Args).To(ContainElements("--verify-percent=5", "--full-read-every=720h0m0s"))
	})

	It("tells the mover what limits the caches of the repository", func() {
		pod := expose.BackupPod(dataUpload(), config.Upload{}, volumeOf(corev1.PersistentVolumeFilesystem), expose.AgentTemplate{CacheLimit: 64})
		Expect(pod.Spec.Containers[0].Args).To(ContainElement("--cache-limit-mb=64"))
	})

	It("runs a later attempt rather on nodes where none was lost", func() {
		du := dataUpload()
		attempts.Record(du, attempts.Lost{Node: "n1", Reason: "evicted"})
		attempts.Record(du, attempts.Lost{Reason: "deleted before it had a node"})
		attempts.Record(du, attempts.Lost{Node: "n2", Reason: "evicted"})
		pod := expose.BackupPod(du, config.Upload{}, volumeOf(corev1.PersistentVolumeFilesystem), expose.AgentTemplate{})
		Expect(pod.Spec.Containers[0].Args).To(ContainElement("--attempt=4"))
		preferred := pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		Expect(preferred).To(HaveLen(1))
		Expect(preferred[0].Preference.MatchFields).To(Equal([]corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"n1"}},
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"n2"}},
		}))
	})

	It("runs where the source volume can be used, and never changes the volume's own topology", func() {
		topology := &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}}}},
			{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"b"}}}},
		}}
		volume := volumeOf(corev1.PersistentVolumeFilesystem)
		volume.Topology = topology
		pod := expose.BackupPod(dataUpload(), config.Upload{}, volume, expose.AgentTemplate{})
		terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		Expect(terms).To(HaveLen(2))
		for i, zone := range []string{"a", "b"} {
			Expect(terms[i].MatchExpressions).To(HaveLen(2))
			Expect(terms[i].MatchExpressions[0].Values).To(Equal([]string{zone}))
			Expect(terms[i].MatchExpressions[1].Values).To(Equal([]string{"windows"}))
		}
		Expect(topology.NodeSelectorTerms[0].MatchExpressions).To(HaveLen(1))
	})

	It("labels with a shortened name where the name is longer than a label may be", func() {
		du := dataUpload()
		du.Name = "a-very-long-name-that-somebody-gave-to-a-dataupload-by-hand-and-that-does-not-fit"
		Expect(len(expose.Labels(du)["velero.io/data-upload"])).To(BeNumerically("<=", 63))
	})
})
