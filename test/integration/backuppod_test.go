package integration

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// text configures a trial by the text of a ConfigMap.
func text(content string) func(*trial) {
	return func(t *trial) {
		cfg, err := schema.Decoder{}.Decode("config", []byte(content))
		Expect(err).NotTo(HaveOccurred())
		t.r.Config = func() *config.Config { return cfg }
	}
}

func makePriorityClass(ctx context.Context, name string) {
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: -5}
	Expect(live.Create(ctx, class)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, class)).To(Succeed()) })
}

var _ = Describe("a backup pod", func() {
	pod := func(ctx context.Context, t *trial) *corev1.Pod {
		GinkgoHelper()
		pod := &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		return pod
	}
	required := func(pod *corev1.Pod) []corev1.NodeSelectorTerm {
		return pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}

	It("is as the ConfigMap says", func(ctx context.Context) {
		makePriorityClass(ctx, "low")
		t := newTrial(lateBinding, text(`
backupPVC: {late: {storageClass: copy}}
loadAffinity:
  - nodeSelector: {matchLabels: {any: node}}
  - nodeSelector: {matchLabels: {disk: late}}
    storageClass: late
  - nodeSelector: {matchLabels: {disk: copy}, matchExpressions: [{key: critical, operator: DoesNotExist}]}
    storageClass: copy
podResources: {cpuRequest: 10m, memoryLimit: 1Gi}
priorityClassName: low
podLabels: {team: storage}
podAnnotations: {example.com/note: x}
`))
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		DeferCleanup(t.abandon)
		made := pod(ctx, t)
		Expect(made.Labels).To(And(HaveKeyWithValue("team", "storage"), HaveKeyWithValue("velero.io/data-upload", t.name)))
		Expect(made.Annotations).To(HaveKeyWithValue("example.com/note", "x"))
		Expect(made.Spec.PriorityClassName).To(Equal("low"))
		Expect(made.Spec.Priority).To(HaveValue(BeEquivalentTo(-5)))
		resources := made.Spec.Containers[0].Resources
		Expect(resources.Requests).To(HaveKeyWithValue(corev1.ResourceCPU, resource.MustParse("10m")))
		Expect(resources.Limits).To(Equal(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}))

		terms := required(made)
		Expect(terms).To(HaveLen(1))
		Expect(terms[0].MatchExpressions).To(ConsistOf(
			corev1.NodeSelectorRequirement{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"copy"}},
			corev1.NodeSelectorRequirement{Key: "critical", Operator: corev1.NodeSelectorOpDoesNotExist},
			HaveField("Key", "kubernetes.io/os"),
		))
	})

	It("is told what the agent's flags say of what is read again", func(ctx context.Context) {
		t := newTrial(func(t *trial) { t.r.VerifyPercent, t.r.FullReadEvery = 7, time.Hour })
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		DeferCleanup(t.abandon)
		Expect(pod(ctx, t).Spec.Containers[0].Args).To(ContainElements("--verify-percent=7", "--full-read-every=1h0m0s"))
	})

	DescribeTable("is told what the BackupRepository sets", func(ctx context.Context, value string, arg any, warning string) {
		setCacheLimit(ctx, value)
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		DeferCleanup(t.abandon)
		args, events := ContainElement(arg), ContainElement(And(HavePrefix("Warning RepositoryConfigIgnored "), ContainSubstring(warning)))
		if warning == "" {
			Expect(pod(ctx, t).Spec.Containers[0].Args).To(args)
			Expect(t.events()).NotTo(events)
		} else {
			Expect(pod(ctx, t).Spec.Containers[0].Args).NotTo(args)
			Expect(t.events()).To(events)
		}
	},
		Entry("a limit of the caches", "64", "--cache-limit-mb=64", ""),
		Entry("one that is wrong", "2Gi", HavePrefix("--cache-limit-mb"), `cacheLimitMB is "2Gi"`),
	)

	It("waits for its priority class, and says so", func(ctx context.Context) {
		t := newTrial(text(`priorityClassName: missing`))
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		Expect(t.status(ctx).Message).To(And(ContainSubstring("backup pod is refused"), ContainSubstring("no PriorityClass with name missing was found")))
		makePriorityClass(ctx, "missing")
		Eventually(func() error {
			t.settle(ctx)
			return live.Get(ctx, t.key(), &corev1.Pod{})
		}).Should(Succeed(), "once it exists")
		t.abandon(ctx)
	})

	It("keeps away from the node of the source volume where a linked clone of vSphere is asked for", func(ctx context.Context) {
		t := newTrial(backupPVC(config.BackupPVC{Annotations: map[string]string{"csi.vsphere.volume/fast-provisioning": "true"}}))
		for name, volume := range map[string]string{"here-" + t.name: "source-" + t.name, "other-" + t.name: "other"} {
			attachment := &storagev1.VolumeAttachment{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: storagev1.VolumeAttachmentSpec{
					Attacher: "csi.example.com", NodeName: "node-of-" + volume,
					Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume},
				},
			}
			Expect(live.Create(ctx, attachment)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, attachment)).To(Succeed()) })
		}
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		DeferCleanup(t.abandon)
		Expect(required(pod(ctx, t))[0].MatchFields).To(Equal([]corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"node-of-source-" + t.name}},
		}))
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, client.ObjectKey{Namespace: velero, Name: t.name}, pvc)).To(Succeed())
		Expect(pvc.Annotations).To(HaveKey("csi.vsphere.volume/fast-provisioning"))
	})
})
