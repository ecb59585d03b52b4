package integration

import (
	"context"
	"fmt"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

// missingClass asks for a backupPVC of a class that does not exist.
var missingClass = backupPVC(config.BackupPVC{StorageClass: "missing"})

var _ = Describe("the prepare timeout", func() {
	It("cancels on time with the cause, and deletes everything", func(ctx context.Context) {
		t := newTrial(missingClass)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		start := t.status(ctx).AcceptedTimestamp.Time
		Expect(t.status(ctx).Message).To(ContainSubstring(`storage class "missing" not found`), "while it waits")

		t.clock.SetTime(start.Add(prepareTimeout - time.Second))
		Expect(t.settle(ctx).RequeueAfter).To(BeNumerically("<=", time.Second), "it looks again on time")
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))

		t.clock.SetTime(start.Add(prepareTimeout))
		t.settleAll(ctx)
		status := t.status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(status.Message).To(And(
			ContainSubstring("not prepared within the prepare timeout of 30m0s"), ContainSubstring(`storage class "missing" not found`)))
		Expect(status.CompletionTimestamp.Time).To(BeTemporally("==", start.Add(prepareTimeout)))
		t.expectNothingLeft(ctx)
	})

	It("makes nothing any more when nobody was there until it had passed", func(ctx context.Context) {
		t := newTrial()
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		t.bindAlias(ctx)
		t.clock.SetTime(t.clock.Now().Add(2 * prepareTimeout))
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(t.status(ctx).Message).To(ContainSubstring("backupPVC was not made in time"))
		t.expectNothingLeft(ctx)
	})

	It("does not count once prepared", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhasePrepared)
		t.clock.SetTime(t.clock.Now().Add(2 * prepareTimeout))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhasePrepared))
		t.cancel(ctx)
		t.settleAll(ctx)
		t.expectNothingLeft(ctx)
	})
})

var _ = Describe("a DataUpload that waits", func() {
	DescribeTable("says for what", func(ctx context.Context, change func(*trial), hinder func(context.Context, *trial), words string) {
		t := newTrial(change)
		readyRepository(ctx)
		t.makeSource(ctx)
		hinder(ctx, t)
		t.create(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(t.status(ctx).Message).To(ContainSubstring(words))
		Expect(t.events()).To(ContainElement(ContainSubstring(words)))
		readyRepository(ctx)
		t.cancel(ctx)
		t.settleAll(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring(words), "the last cause is kept")
		Expect(t.upload(ctx).Finalizers).To(BeEmpty())
	},
		Entry("storage location missing", func(t *trial) {
			t.spec = func(s *v2alpha1.DataUploadSpec) { s.BackupStorageLocation = "nowhere" }
		}, func(context.Context, *trial) {}, `backup storage location "nowhere" not found`),
		Entry("repository not ready", func(*trial) {}, func(ctx context.Context, _ *trial) {
			repositoryError(ctx, "access denied")
		}, "backup repository shop-default-kopia is not ready: access denied"),
		Entry("VolumeSnapshot missing", func(t *trial) {
			t.spec = func(s *v2alpha1.DataUploadSpec) { s.CSISnapshot.VolumeSnapshot = "nothing" }
		}, func(context.Context, *trial) {}, "volumesnapshot shop/nothing not found"),
		Entry("VolumeSnapshot failed", func(*trial) {}, func(ctx context.Context, t *trial) {
			t.sourceStatus(ctx, &snapshotv1.VolumeSnapshotStatus{Error: &snapshotv1.VolumeSnapshotError{Message: new("too many snapshots")}})
		}, "too many snapshots"),
		Entry("content of the VolumeSnapshot missing", func(*trial) {}, func(ctx context.Context, t *trial) {
			t.sourceStatus(ctx, &snapshotv1.VolumeSnapshotStatus{
				BoundVolumeSnapshotContentName: new("nothing"), ReadyToUse: new(true),
			})
		}, "volumesnapshotcontent nothing of volumesnapshot shop/"),
	)

	It("changes its message when the cause changes, and does not repeat it when not", func(ctx context.Context) {
		t := newTrial(missingClass)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		t.events()
		version := t.upload(ctx).ResourceVersion
		t.settle(ctx)
		Expect(t.upload(ctx).ResourceVersion).To(Equal(version))
		Expect(t.events()).To(BeEmpty())

		t.provision(ctx)
		Expect(t.status(ctx).Message).To(HaveSuffix("is not running yet"))
		t.events()
		t.podStatus(ctx, func(s *corev1.PodStatus) {
			s.Conditions = []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available: 1 Insufficient memory.",
			}}
		})
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("1 Insufficient memory."))
		Expect(t.events()).To(ConsistOf(HavePrefix("Warning Unschedulable")))
	})

	It("quotes the provisioner", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		Expect(live.Create(ctx, &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "e-"}, Type: corev1.EventTypeWarning,
			InvolvedObject: corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: velero, Name: pvc.Name, UID: pvc.UID},
			Reason:         "ProvisioningFailed", Message: "driver cannot make ReadOnlyMany volumes", LastTimestamp: metav1.Now(),
		})).To(Succeed())
		Eventually(func() string { t.settle(ctx); return t.status(ctx).Message }).
			Should(ContainSubstring("driver cannot make ReadOnlyMany volumes"))
	})

	It("has its backup pod made when the backupPVC is bound, and says until then what keeps that from it", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		Expect(t.inCluster().Pod(ctx)).To(BeNil())
		t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", "pool is full")
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("pool is full"))
		Expect(t.inCluster().Pod(ctx)).To(BeNil())
		t.events()

		t.provision(ctx)
		Expect(t.inCluster().Pod(ctx)).NotTo(BeNil())
		Expect(t.status(ctx).Message).To(HaveSuffix("is not running yet"))
		Expect(t.events()).To(ConsistOf(HavePrefix("Normal WaitingForBackupPod backup pod ")))
	})

	It("has its backup pod made at once where the class binds with the first consumer", func(ctx context.Context) {
		t := newTrial(lateBinding)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		Expect(t.inCluster().Pod(ctx)).NotTo(BeNil())
	})

	It("mentions a healthy wait only when it lasts", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		Expect(t.status(ctx).Message).To(BeEmpty())
		t.clock.SetTime(t.clock.Now().Add(5 * time.Second))
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("is not bound yet"))
	})

	It("creates the BackupRepository as Velero's mover does, and waits for it", func(ctx context.Context) {
		t := newTrial(func(t *trial) {
			t.spec = func(s *v2alpha1.DataUploadSpec) { s.SourceNamespace = "store" }
		})
		t.create(ctx)
		t.settle(ctx)
		DeferCleanup(t.abandon)
		repository := &velerov1.BackupRepository{}
		Expect(live.Get(ctx, client.ObjectKey{Namespace: velero, Name: "store-default-kopia"}, repository)).To(Succeed())
		Expect(repository.Labels).To(Equal(map[string]string{
			"velero.io/volume-namespace": "store", "velero.io/storage-location": "default", "velero.io/repository-type": "kopia",
		}))
		Expect(repository.Spec.RepositoryType).To(Equal("kopia"))
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
	})

	It("creates the BackupRepository also where the names of namespace and location do not fit into its own", func(ctx context.Context) {
		location := &velerov1.BackupStorageLocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: strings.Repeat("long-location.", 18)[:validation.DNS1123SubdomainMaxLength-2]},
			Spec:       velerov1.BackupStorageLocationSpec{Provider: "aws"},
		}
		Expect(live.Create(ctx, location)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, location)).To(Succeed()) })
		Eventually(func() error {
			return cached.Get(ctx, client.ObjectKeyFromObject(location), &velerov1.BackupStorageLocation{})
		}).Should(Succeed())
		t := newTrial(func(t *trial) {
			t.spec = func(s *v2alpha1.DataUploadSpec) { s.BackupStorageLocation = location.Name }
		})
		t.create(ctx)
		t.settle(ctx)
		DeferCleanup(t.abandon)
		repositories := &velerov1.BackupRepositoryList{}
		Expect(live.List(ctx, repositories,
			client.MatchingLabels{"velero.io/storage-location": velerov1.LabelValue(location.Name)})).To(Succeed())
		Expect(repositories.Items).To(HaveExactElements(HaveField("Spec.BackupStorageLocation", location.Name)))
	})

	DescribeTable("says that spc_t and the pod security level exclude each other", func(ctx context.Context, level string) {
		t := newTrial(backupPVC(config.BackupPVC{ReadOnly: true, SPCNoRelabeling: true}))
		t.enforce(ctx, level)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		Expect(t.status(ctx).Message).To(And(
			ContainSubstring("pod security level "+level), ContainSubstring("spc_t"), ContainSubstring("backupPVC.fast.spcNoRelabeling")))
		t.enforce(ctx, "privileged")
		t.settle(ctx)
		Expect(live.Get(ctx, t.key(), &corev1.Pod{})).To(Succeed(), "it goes on when that is mended")
		t.abandon(ctx)
	},
		Entry("restricted", "restricted"),
		Entry("baseline", "baseline"),
	)

	It("quotes the API server when the backup pod is refused", func(ctx context.Context) {
		t := newTrial()
		t.enforce(ctx, "restricted")
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		Expect(t.status(ctx).Message).To(And(
			ContainSubstring("backup pod is refused"), ContainSubstring(`violates PodSecurity "restricted:latest"`)))
		Expect(t.events()).To(ContainElement(HavePrefix("Warning PodSecurityRefused")))
		t.enforce(ctx, "privileged")
		t.abandon(ctx)
		t.expectNothingLeft(ctx)
	})

	It("warns that spcNoRelabeling without readOnly is ignored", func(ctx context.Context) {
		t := newTrial(backupPVC(config.BackupPVC{SPCNoRelabeling: true}))
		t.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(t.abandon)
		Expect(t.events()).To(ContainElement(HavePrefix("Warning SPCNoRelabelingIgnored")))
		t.provision(ctx)
		pod := &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		Expect(pod.Spec.SecurityContext.SELinuxOptions).To(BeNil())
	})
})

// enforce sets the pod security level of Velero's namespace.
func enforce(ctx context.Context, level string) {
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":%q}}}`, level)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: velero}}
	Expect(live.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
}

var _ = Describe("slots", func() {
	It("let one DataUpload move data on a node at a time, and the next start when it ends", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		release := occupySlot(ctx)
		t.provision(ctx)
		t.runPod(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhasePrepared))
		Expect(t.status(ctx).Message).To(HavePrefix(
			"waiting for a slot on node node-1: place 1 in its queue, 1 at a time: taken by DataUpload other-"))
		release()
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		Expect(t.status(ctx).Message).To(BeEmpty())
		t.abandon(ctx)
	})
})

var _ = DescribeTable("a DataUpload that nobody can serve fails at once", func(ctx context.Context, spec func(*v2alpha1.DataUploadSpec), words string) {
	t := newTrial(func(t *trial) { t.spec = spec })
	t.makeSource(ctx)
	t.create(ctx)
	t.settleAll(ctx)
	du := t.upload(ctx)
	if namesSource(t, &du.Spec) {
		t.expectNothingLeft(ctx)
	}
	Expect(du.Status.Phase).To(Equal(v2alpha1.PhaseFailed))
	Expect(du.Status.Message).To(ContainSubstring(words))
	Expect(du.Status.CompletionTimestamp).NotTo(BeNil())
	Expect(du.Finalizers).To(BeEmpty())
	t.events()
},
	Entry("unknown snapshot type", func(s *v2alpha1.DataUploadSpec) { s.SnapshotType = "Tape" }, `spec.snapshotType is "Tape", expected "CSI"`),
	Entry("no snapshot", func(s *v2alpha1.DataUploadSpec) { s.CSISnapshot = nil }, "spec.csiSnapshot is missing"),
	Entry("no snapshot name", func(s *v2alpha1.DataUploadSpec) { s.CSISnapshot.VolumeSnapshot = "" }, "volumeSnapshot is empty"),
	Entry("a data mover that Velero's own agent serves", func(s *v2alpha1.DataUploadSpec) { s.DataMover = "velero-block" },
		`spec.datamover is "velero-block", which this node-agent does not serve`),
	Entry("no source PVC", func(s *v2alpha1.DataUploadSpec) { s.SourcePVC = "" }, "sourcePVC is empty"),
	Entry("no source namespace", func(s *v2alpha1.DataUploadSpec) { s.SourceNamespace = "" }, "sourceNamespace is empty"),
	Entry("no location", func(s *v2alpha1.DataUploadSpec) { s.BackupStorageLocation = "" }, "backupStorageLocation is empty"),
	Entry("read-only location", func(s *v2alpha1.DataUploadSpec) { s.BackupStorageLocation = "archive" }, `"archive" is read-only`),
)

// namesSource tells whether a spec leads to the trial's own source snapshot.
func namesSource(t *trial, spec *v2alpha1.DataUploadSpec) bool {
	return spec.SnapshotType == v2alpha1.SnapshotTypeCSI && spec.SourceNamespace == "shop" &&
		spec.CSISnapshot != nil && spec.CSISnapshot.VolumeSnapshot == "velero-"+t.name
}

var _ = DescribeTable("data movers", func(ctx context.Context, mover string, ours bool) {
	t := newTrial(func(t *trial) {
		t.spec = func(s *v2alpha1.DataUploadSpec) { s.DataMover = mover }
	})
	t.create(ctx)
	before := t.upload(ctx)
	t.settle(ctx)
	if ours {
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		t.abandon(ctx)
		return
	}
	Expect(t.upload(ctx)).To(Equal(before), "it is not touched at all")
},
	Entry("default", "", true), Entry("velero", "velero", true), Entry("velero-fs", "velero-fs", true),
	Entry("another", "vendor-mover", false), Entry("another, of a name like Velero's", "velero-block-vendor", false),
)
