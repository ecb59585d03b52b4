package integration

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

const (
	goodResult  = `{"snapshotID":"k1","emptySnapshot":false,"source":{"byPath":"/x","volumeMode":"Filesystem"},"totalBytes":100,"incrementalBytes":7}`
	emptyResult = `{"snapshotID":"k2","emptySnapshot":true,"source":{"byPath":"/x","volumeMode":"Filesystem"}}`
)

func blockVolume(t *trial)   { t.mode = corev1.PersistentVolumeBlock }
func lateBinding(t *trial)   { t.class = lateClass }
func retainedClass(t *trial) { t.policy = snapshotv1.VolumeSnapshotContentRetain }

// configured changes the trial's configuration.
func configured(change func(*config.Config)) func(*trial) {
	return func(t *trial) {
		cfg := config.Default()
		*cfg = *t.r.Config()
		change(cfg)
		t.r.Config = func() *config.Config { return cfg }
	}
}

func backupPVC(section config.BackupPVC) func(*trial) {
	return func(t *trial) {
		configured(func(c *config.Config) { c.BackupPVC = map[string]config.BackupPVC{t.class: section} })(t)
	}
}

var _ = DescribeTable("a good run ends Completed and leaves nothing", func(ctx context.Context, changes ...func(*trial)) {
	t := newTrial(changes...)

	t.advance(ctx, v2alpha1.PhaseAccepted)
	du := t.upload(ctx)
	Expect(du.Finalizers).To(ContainElement("velero.io/data-upload-download-finalizer"))
	Expect(du.Labels).To(And(
		HaveKeyWithValue("velero.io/expose-on-going", "true"), HaveKeyWithValue("velero.io/async-operation-id", "du-"+t.name)))
	Expect(du.Status.AcceptedByNode).To(Equal("agent-node"))
	Expect(du.Status.AcceptedTimestamp.Time).To(BeTemporally("==", t.clock.Now()))

	t.provision(ctx)
	t.runPod(ctx)
	t.settle(ctx)
	du = t.upload(ctx)
	Expect(du.Status.Phase).To(Equal(v2alpha1.PhaseInProgress))
	Expect(du.Status.Node).To(Equal(nodeName))
	Expect(du.Status.NodeOS).To(Equal(v2alpha1.NodeOSLinux))
	Expect(du.Status.StartTimestamp).NotTo(BeNil())
	Expect(du.Labels).NotTo(HaveKey("velero.io/expose-on-going"))

	t.endPod(ctx, corev1.PodSucceeded, goodResult)
	t.settleAll(ctx)
	du = t.upload(ctx)
	Expect(du.Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
	Expect(du.Status.SnapshotID).To(Equal("k1"))
	Expect(du.Status.Path).To(Equal("/" + string(du.UID)))
	Expect(du.Status.IncrementalBytes).To(BeEquivalentTo(7))
	Expect(du.Status.Progress).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
	Expect(du.Status.CompletionTimestamp).NotTo(BeNil())
	Expect(du.Status.Message).To(BeEmpty())
	Expect(du.Finalizers).To(BeEmpty())
	t.expectNothingLeft(ctx)
},
	Entry("file system"),
	Entry("block volume", blockVolume),
	Entry("class that binds with the first consumer", lateBinding),
	Entry("snapshot class with policy Retain", retainedClass),
	Entry("read-only backupPVC of another class", backupPVC(config.BackupPVC{StorageClass: copyClass, ReadOnly: true, SPCNoRelabeling: true})),
)

// setCredential changes the Secret of the location, and waits until the cache knows.
func setCredential(ctx context.Context, secret *corev1.SecretKeySelector) {
	GinkgoHelper()
	location := &velerov1.BackupStorageLocation{}
	Expect(live.Get(ctx, client.ObjectKey{Namespace: "velero", Name: goodPlace}, location)).To(Succeed())
	location.Spec.Credential = secret
	Expect(live.Update(ctx, location)).To(Succeed())
	seen := &velerov1.BackupStorageLocation{}
	Eventually(func(g Gomega) {
		g.Expect(cached.Get(ctx, client.ObjectKeyFromObject(location), seen)).To(Succeed())
		g.Expect(seen.ResourceVersion).To(Equal(location.ResourceVersion))
	}).Should(Succeed())
}

var _ = Describe("a good run", func() {
	It("exposes the snapshot as configured", func(ctx context.Context) {
		t := newTrial(backupPVC(config.BackupPVC{
			StorageClass: copyClass, ReadOnly: true, SPCNoRelabeling: true, Annotations: map[string]string{"a.example.com/b": "c"},
		}), blockVolume)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		t.provision(ctx)
		pvc, pod := &corev1.PersistentVolumeClaim{}, &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		Expect(pvc.Spec.AccessModes).To(Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}))
		Expect(pvc.Spec.StorageClassName).To(HaveValue(Equal(copyClass)))
		Expect(pvc.Spec.VolumeMode).To(HaveValue(Equal(corev1.PersistentVolumeBlock)))
		Expect(pvc.Annotations).To(HaveKeyWithValue("a.example.com/b", "c"))
		Expect(pod.Spec.SecurityContext.SELinuxOptions.Type).To(Equal("spc_t"))
		Expect(pod.Spec.ServiceAccountName).To(Equal("velero"), "that of the agent, where there is no other")
		Expect(pod.Spec.Containers[0].Image).To(Equal("node-agent:test"))
	})

	It("lets the mover have an account of its own, where there is one, and the Secrets of its location", func(ctx context.Context) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "node-agent-mover"}}
		Expect(live.Create(ctx, account)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, account)).To(Succeed()) })
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		t.provision(ctx)
		pod := &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		Expect(pod.Spec.ServiceAccountName).To(Equal("node-agent-mover"))
		Expect(pod.Spec.Volumes).To(ContainElement(HaveField("Projected.Sources", ContainElement(
			HaveField("Secret.Name", "velero-repo-credentials")))))
	})

	DescribeTable("lets the mover have the account that the agent has made only where it needs no cloud identity",
		func(ctx context.Context, secret *corev1.SecretKeySelector, identity, expected string) {
			account := expose.MoverAccount("velero", nil)
			Expect(live.Create(ctx, account)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, account)).To(Succeed()) })
			setCredential(ctx, secret)
			DeferCleanup(setCredential, (*corev1.SecretKeySelector)(nil))
			t := newTrial()
			t.r.Identity = identity
			t.advance(ctx, v2alpha1.PhaseAccepted)
			DeferCleanup(t.abandon)
			t.provision(ctx)
			pod := &corev1.Pod{}
			Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
			Expect(pod.Spec.ServiceAccountName).To(Equal(expected))
		},
		Entry("a Secret", &corev1.SecretKeySelector{Key: "cloud"}, "", "node-agent-mover"),
		Entry("no Secret", nil, "", "velero"),
		Entry("a Secret, and an identity that the agent was given", &corev1.SecretKeySelector{Key: "cloud"},
			"AWS_WEB_IDENTITY_TOKEN_FILE", "velero"),
	)

	It("exposes the snapshot to a single pod as configured", func(ctx context.Context) {
		t := newTrial(backupPVC(config.BackupPVC{ReadWriteOncePod: true}))
		t.advance(ctx, v2alpha1.PhaseInProgress)
		DeferCleanup(t.abandon)
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		Expect(pvc.Spec.AccessModes).To(Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}))
	})

	It("takes the storage snapshot over before data moves, and keeps it until the end", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		DeferCleanup(t.abandon)
		t.collect(ctx)
		content := &snapshotv1.VolumeSnapshotContent{}
		Expect(live.Get(ctx, client.ObjectKey{Name: t.name}, content)).To(Succeed())
		Expect(content.Spec.DeletionPolicy).To(Equal(snapshotv1.VolumeSnapshotContentDelete))
		Expect(live.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "velero-" + t.name}, &snapshotv1.VolumeSnapshot{})).NotTo(Succeed())
		Expect(world.Deleted()).NotTo(HaveKey(t.inCluster().Handle()))
	})

	It("goes on with the snapshot content of a stock agent that it has replaced", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		t.settleAll(ctx)
		By("making the content what stock Velero makes, which the cache of an agent does not hold")
		content := &snapshotv1.VolumeSnapshotContent{}
		Expect(live.Get(ctx, client.ObjectKey{Name: t.name}, content)).To(Succeed())
		content.Labels, content.Annotations, content.OwnerReferences = nil, nil, nil
		Expect(live.Update(ctx, content)).To(Succeed())
		inCache := func() error { return cached.Get(ctx, client.ObjectKeyFromObject(content), content) }
		Eventually(inCache).ShouldNot(Succeed())
		Expect(live.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "velero-" + t.name}, &snapshotv1.VolumeSnapshot{})).NotTo(Succeed())

		_, err := t.r.Reconcile(ctx, t.request())
		Expect(err).NotTo(HaveOccurred())
		Eventually(inCache).Should(Succeed(), "it is marked")
		t.provision(ctx)
		t.runPod(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
	})

	It("puts the backup pod where the source volume is, for a class that binds with the first consumer", func(ctx context.Context) {
		t := newTrial(lateBinding)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		pod := &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		Expect(terms).To(HaveLen(1))
		Expect(terms[0].MatchExpressions).To(ContainElement(HaveField("Key", "zone")))
	})

	It("needs no source PVC once there is a snapshot that says enough", func(ctx context.Context) {
		t := newTrial()
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		t.bindAlias(ctx)
		content := &snapshotv1.VolumeSnapshotContent{}
		Expect(live.Get(ctx, client.ObjectKey{Name: t.name}, content)).To(Succeed())
		Expect(content.Spec.SourceVolumeMode).To(BeNil(), "this source does not tell its volume mode")
		t.deleteSourcePVC(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("source PVC shop/" + t.name + " not found"))
		t.cancel(ctx)
		t.settleAll(ctx)
		t.expectNothingLeft(ctx)
	})

	It("says so when the volume was empty", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.endPod(ctx, corev1.PodSucceeded, emptyResult)
		t.settleAll(ctx)
		status := t.status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.PhaseCompleted))
		Expect(status.Message).To(Equal("volume was empty so no data was upload"))
		Expect(status.SnapshotID).To(Equal("k2"))
	})

	It("goes on after a restart in every phase", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.restart()
		t.provision(ctx)
		t.runPod(ctx)
		t.restart()
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		t.restart()
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.restart()
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCompleted))
		t.expectNothingLeft(ctx)
	})

	It("emits few events: accepted, started and completed", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.settleAll(ctx)
		Expect(t.events()).To(Equal([]string{
			"Normal Accepted default configuration, because no node-agent ConfigMap is given",
			"Normal Started moving data on node " + nodeName,
			"Normal Completed snapshot k1: 100 bytes, 7 of them new or changed",
		}))
	})
})
