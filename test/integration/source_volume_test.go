package integration

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("the source volume", func() {
	// exposed brings a DataUpload to where its backupPVC can be made, and returns that.
	exposed := func(ctx context.Context, t *trial, change func()) *corev1.PersistentVolumeClaim {
		GinkgoHelper()
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		DeferCleanup(t.abandon)
		t.settle(ctx)
		t.bindAlias(ctx)
		change()
		t.settle(ctx)
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(client.IgnoreNotFound(live.Get(ctx, t.key(), pvc))).To(Succeed())
		return pvc
	}
	nothing := func() {}

	DescribeTable("decides where the backup pod runs if the class of the backupPVC binds with the first consumer, and only then",
		func(ctx context.Context, source, backup string, follows bool) {
			t := newTrial(text(fmt.Sprintf(`backupPVC: {%s: {storageClass: %s}}`, source, backup)))
			t.class = source
			pvc := exposed(ctx, t, nothing)
			Expect(pvc.Spec.StorageClassName).To(HaveValue(Equal(backup)))
			if backup != lateClass {
				t.provision(ctx) // the pod comes when the volume is there
			}
			terms := t.pod(ctx).Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
			zone := ContainElement(HaveField("Key", "zone"))
			if follows {
				Expect(terms).To(HaveEach(HaveField("MatchExpressions", zone)))
			} else {
				Expect(terms).To(HaveEach(HaveField("MatchExpressions", Not(zone))))
			}
		},
		Entry("both at once", fastClass, copyClass, false), Entry("both late", lateClass, lateClass, true),
		Entry("the source's late, the backupPVC's at once", lateClass, copyClass, false),
		Entry("the source's at once, the backupPVC's late", fastClass, lateClass, true),
		Entry("the backupPVC's is gone, and its volume there", lateClass, "none", false),
	)

	It("is as large as it has become, where the driver does not say what a clone needs", func(ctx context.Context) {
		t := newTrial()
		pvc := exposed(ctx, t, func() {
			alias := &snapshotv1.VolumeSnapshot{}
			Expect(live.Get(ctx, t.key(), alias)).To(Succeed())
			alias.Status.RestoreSize = nil
			Expect(live.Status().Update(ctx, alias)).To(Succeed())
			source := &corev1.PersistentVolumeClaim{}
			Expect(live.Get(ctx, client.ObjectKey{Namespace: "shop", Name: t.name}, source)).To(Succeed())
			source.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("900Gi")}
			Expect(live.Status().Update(ctx, source)).To(Succeed())
		})
		Expect(pvc.Spec.Resources.Requests.Storage().String()).To(Equal("900Gi"))
	})

	It("may have no storage class if the ConfigMap names one for the backupPVC", func(ctx context.Context) {
		t := newTrial(text(`backupPVC: {"": {storageClass: copy}}`))
		t.class = ""
		Expect(exposed(ctx, t, nothing).Spec.StorageClassName).To(HaveValue(Equal(copyClass)))
	})

	It("has the class of its PV where the source PVC names none", func(ctx context.Context) {
		t := newTrial()
		t.class = ""
		pvc := exposed(ctx, t, func() {
			pv := &corev1.PersistentVolume{}
			Expect(live.Get(ctx, client.ObjectKey{Name: "source-" + t.name}, pv)).To(Succeed())
			pv.Spec.StorageClassName = lateClass
			Expect(live.Update(ctx, pv)).To(Succeed())
		})
		Expect(pvc.Spec.StorageClassName).To(HaveValue(Equal(lateClass)))
	})

	It("without any class fails the DataUpload, which says what to do", func(ctx context.Context) {
		t := newTrial()
		t.class = ""
		exposed(ctx, t, nothing)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(t.status(ctx).Message).To(And(
			ContainSubstring("source PVC shop/"+t.name+" has no storage class"),
			ContainSubstring(`{"backupPVC": {"": {"storageClass": "NAME"}}}`), ContainSubstring("csi.example.com")))
		t.settleAll(ctx)
		t.expectNothingLeft(ctx)
	})
})

var _ = Describe("a VolumeSnapshot that names the content of another", func() {
	It("is not used, and that content is left alone", func(ctx context.Context) {
		victim, t := newTrial(retainedClass), newTrial()
		victim.makeSource(ctx)
		readyRepository(ctx)
		t.makeSource(ctx)
		content := func() *snapshotv1.VolumeSnapshotContent {
			content := &snapshotv1.VolumeSnapshotContent{}
			Expect(live.Get(ctx, client.ObjectKey{Name: victim.inCluster().SourceContent()}, content)).To(Succeed())
			return content
		}
		before := content()
		t.boundTo(ctx, before.Name)
		t.create(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(t.status(ctx).Message).To(ContainSubstring("volumesnapshotcontent " + before.Name + " of volumesnapshot shop/velero-" + t.name +
			" not found, or it is another's"))
		t.cancel(ctx)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(content()).To(Equal(before))
	})
})
