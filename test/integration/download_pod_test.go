package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// downloadText configures a download by the text of a ConfigMap.
func downloadText(content string) func(*download) {
	return func(d *download) {
		cfg, err := schema.Decoder{}.Decode("config", []byte(content))
		Expect(err).NotTo(HaveOccurred())
		d.r.Config = func() *config.Config { return cfg }
	}
}

var _ = Describe("a restore pod", func() {
	DescribeTable("is as it was configured", func(ctx context.Context, change func(*download), check func(*corev1.Pod)) {
		makePriorityClass(ctx, "low")
		d := newDownload(change)
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.provision(ctx)
		check(d.Pod(ctx))
	},
		Entry("podResources", downloadText(`podResources: {cpuRequest: 10m, memoryLimit: 1Gi}`), func(pod *corev1.Pod) {
			resources := pod.Spec.Containers[0].Resources
			Expect(resources.Requests).To(HaveKeyWithValue(corev1.ResourceCPU, resource.MustParse("10m")))
			Expect(resources.Limits).To(Equal(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}))
		}),
		Entry("podLabels, which cannot take the place of ours", downloadText(`podLabels: {team: storage}`), func(pod *corev1.Pod) {
			Expect(pod.Labels).To(And(HaveKeyWithValue("team", "storage"), HaveKeyWithValue(v2alpha1.DataDownloadLabel, pod.Name),
				HaveKeyWithValue(v2alpha1.ExposerPodGroupLabel, "generic-restore-exposer")))
		}),
		Entry("podAnnotations", downloadText(`podAnnotations: {example.com/note: x}`), func(pod *corev1.Pod) {
			Expect(pod.Annotations).To(HaveKeyWithValue("example.com/note", "x"))
		}),
		Entry("priorityClassName", downloadText(`priorityClassName: low`), func(pod *corev1.Pod) {
			Expect(pod.Spec.PriorityClassName).To(Equal("low"))
			Expect(pod.Spec.Priority).To(HaveValue(BeEquivalentTo(-5)))
		}),
		Entry("loadAffinity, by the class of the target PVC", downloadText(`
loadAffinity:
  - nodeSelector: {matchLabels: {any: node}}
  - nodeSelector: {matchLabels: {disk: ssd}}
    storageClass: fast
`), func(pod *corev1.Pod) {
			terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
			Expect(terms).To(ConsistOf(HaveField("MatchExpressions", ConsistOf(
				corev1.NodeSelectorRequirement{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}},
				HaveField("Key", "kubernetes.io/os"),
			))))
		}),
		Entry("nothing: it does not verify", func(*download) {}, func(pod *corev1.Pod) {
			Expect(pod.Spec.Containers[0].Args).NotTo(ContainElement(BeElementOf("--verify", "--strict")))
			Expect(pod.Spec.Containers[0].Resources).To(BeZero())
		}),
		Entry("--data-mover-restore-verify", func(d *download) { d.r.VerifyRestores = true }, func(pod *corev1.Pod) {
			Expect(pod.Spec.Containers[0].Args).To(ContainElement("--verify"))
		}),
		Entry("--data-mover-restore-strict", func(d *download) { d.r.StrictRestores = true }, func(pod *corev1.Pod) {
			Expect(pod.Spec.Containers[0].Args).To(ContainElement("--strict"))
		}),
	)

	It("waits for its priority class, and says so", func(ctx context.Context) {
		d := newDownload(downloadText(`priorityClassName: missing`))
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.provision(ctx)
		Expect(d.get(ctx).Status.Message).To(And(
			ContainSubstring("restore pod is refused"), ContainSubstring("no PriorityClass with name missing was found")))
		makePriorityClass(ctx, "missing")
		Eventually(func() *corev1.Pod {
			d.settle(ctx)
			return d.Pod(ctx)
		}).ShouldNot(BeNil(), "once it exists")
	})
})

var _ = It("a restore goes on after a restart in every phase", func(ctx context.Context) {
	d := newDownload()
	readyRepository(ctx)
	d.create(ctx)
	DeferCleanup(d.Forget)
	expectAfterRestart := func(phase v2alpha1.Phase) {
		GinkgoHelper()
		d.settle(ctx)
		before := d.get(ctx)
		Expect(before.Status.Phase).To(Or(Equal(phase), BeEmpty()))
		d.restart()
		d.settle(ctx)
		Expect(d.get(ctx)).To(Equal(before), "another process finds nothing to do")
	}
	expectAfterRestart(v2alpha1.PhaseNew)
	d.MakeTarget(ctx)
	expectAfterRestart(v2alpha1.PhaseAccepted)
	release := occupySlot(ctx)
	d.provision(ctx)
	Expect(d.RunPod(ctx, nodeName)).To(BeTrue())
	expectAfterRestart(v2alpha1.PhasePrepared)
	release()
	expectAfterRestart(v2alpha1.PhaseInProgress)
	Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
	for d.settle(ctx); d.Collect(ctx) || d.Bind(ctx); d.settle(ctx) {
		d.restart()
	}
	Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
	d.expectHandedOver(ctx)
	d.expectNothingMade(ctx)
})

var _ = It("a restore that is being canceled is canceled after a restart", func(ctx context.Context) {
	d := newDownload()
	d.advance(ctx, v2alpha1.PhaseCanceling)
	d.restart()
	d.settleAll(ctx)
	Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCanceled))
	d.expectNothingLeft(ctx)
})
