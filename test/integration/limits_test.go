package integration

import (
	"context"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

func concurrency(limits config.LoadConcurrency) func(*trial) {
	return configured(func(c *config.Config) { c.LoadConcurrency = &limits })
}

var _ = Describe("prepareQueueLength", func() {
	const waiting = "waiting to be prepared: place %d in the queue, 1 at a time (loadConcurrency.prepareQueueLength)"
	var first *trial

	BeforeEach(func(ctx context.Context) {
		first = newTrial(concurrency(config.LoadConcurrency{GlobalConfig: 1, PrepareQueueLength: 1}))
		first.advance(ctx, v2alpha1.PhaseAccepted)
	})

	// join makes another DataUpload, which the same process reconciles.
	join := func(ctx context.Context) *trial {
		t := newTrial()
		t.r, t.clock, t.recorder = first.r, first.clock, first.recorder
		t.makeSource(ctx)
		t.create(ctx)
		return t
	}

	It("holds the others back as New, and says which place they have", func(ctx context.Context) {
		others := []*trial{join(ctx), join(ctx)}
		var messages []string
		for _, t := range others {
			t.settle(ctx)
			du := t.upload(ctx)
			Expect(du.Status.Phase).To(BeEmpty())
			Expect(du.Status.AcceptedTimestamp).To(BeNil())
			messages = append(messages, du.Status.Message)
		}
		Expect(messages).To(ConsistOf(fmt.Sprintf(waiting, 1), fmt.Sprintf(waiting, 2)))
		Expect(first.events()).To(ContainElement("Normal WaitingForPreparation " + fmt.Sprintf(waiting, 1)))

		By("another process, which has accepted none of them")
		first.restart()
		for _, t := range others {
			t.r = first.r
			t.settle(ctx)
			Expect(t.status(ctx).Phase).To(BeEmpty())
		}

		By("the prepare timeout passing, which does not run yet")
		first.provision(ctx)
		first.runPod(ctx)
		first.settle(ctx)
		Expect(first.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		first.clock.SetTime(first.clock.Now().Add(2 * prepareTimeout))

		By("the first one moving data, so that the next is prepared")
		next := slices.Index(messages, fmt.Sprintf(waiting, 1))
		for _, t := range others {
			t.settle(ctx)
		}
		status := others[next].status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(status.AcceptedTimestamp.Time).To(BeTemporally("==", first.clock.Now()))
		Expect(status.Message).To(BeEmpty())
		last := others[1-next]
		Expect(last.status(ctx).Phase).To(BeEmpty())
		Expect(last.status(ctx).Message).To(Equal(fmt.Sprintf(waiting, 1)))

		for _, t := range append(others, first) {
			t.abandon(ctx)
		}
	})

	It("does not let go of the source snapshot of one that is canceled while it waits", func(ctx context.Context) {
		t := join(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(BeEmpty())
		Expect(live.Delete(ctx, t.upload(ctx))).To(Succeed())
		t.settle(ctx)
		for t.collect(ctx) {
			t.syncCache(ctx)
			_, err := t.r.Reconcile(ctx, t.request())
			Expect(err).NotTo(HaveOccurred())
		}
		t.expectNothingLeft(ctx)
		first.abandon(ctx)
	})

	It("does not count DataUploads of other data movers", func(ctx context.Context) {
		first.abandon(ctx)
		foreign := newTrial(func(t *trial) { t.spec = func(s *v2alpha1.DataUploadSpec) { s.DataMover = "vendor-mover" } })
		foreign.create(ctx)
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, foreign.upload(ctx))).To(Succeed()) })
		t := join(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		t.abandon(ctx)
	})
})

// setNodeLabel sets a label of the node, or removes it with nil.
func setNodeLabel(ctx context.Context, key string, value *string) {
	encoded := "null"
	if value != nil {
		encoded = fmt.Sprintf("%q", *value)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, key, encoded)
	Expect(live.Patch(ctx, node, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
	Eventually(func() map[string]string {
		Expect(cached.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
		return node.Labels
	}).Should(WithTransform(func(labels map[string]string) string { return labels[key] }, Equal(deref(value))))
}

func deref(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

var _ = Describe("loadConcurrency", func() {
	perNode := concurrency(config.LoadConcurrency{GlobalConfig: 1, PerNodeConfig: []config.PerNodeConfig{
		{NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{"disk": "ssd"}}, Number: 2},
		{NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{"disk": "ssd", "busy": "no"}}, Number: 4},
	}})

	It("gives a node the slots of the rule for its labels, also when those change", func(ctx context.Context) {
		t := newTrial(perNode)
		t.advance(ctx, v2alpha1.PhasePrepared)
		Expect(t.status(ctx).Message).To(ContainSubstring("place 1 in its queue, 1 at a time"))

		setNodeLabel(ctx, "disk", new("ssd"))
		DeferCleanup(setNodeLabel, "disk", (*string)(nil))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		t.abandon(ctx)
	})

	It("lets as many move data on a node as globalConfig says", func(ctx context.Context) {
		t := newTrial(concurrency(config.LoadConcurrency{GlobalConfig: 2}))
		DeferCleanup(occupySlot(ctx))
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.abandon(ctx)
	})

	It("is kept also by DataUploads that become prepared at once: each is seen to wait before it may start", func(ctx context.Context) {
		t := newTrial(concurrency(config.LoadConcurrency{GlobalConfig: 1}))
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		t.runPod(ctx)
		t.syncCache(ctx)
		_, err := t.r.Reconcile(ctx, t.request())
		Expect(err).NotTo(HaveOccurred())
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhasePrepared))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		t.abandon(ctx)
	})
})
