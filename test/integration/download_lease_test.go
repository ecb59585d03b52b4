package integration

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// leaseOver is when nothing of a lost mover can reach the volume any more.
const leaseOver = 4 * time.Minute

var _ = Describe("a restore pod that is lost", func() {
	pass := func(d *download, by time.Duration) { d.clock.SetTime(d.clock.Now().Add(by)) }

	It("is followed by another one when its mover has ended for certain", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		Expect(d.EndPod(ctx, 137, "Error", "")).To(BeTrue())
		d.settleAll(ctx)
		pass(d, 10*time.Second)
		d.settleAll(ctx)
		Expect(d.Pod(ctx).Spec.Containers[0].Args).To(ContainElement("--attempt=2"))
	})

	DescribeTable("keeps the volume to itself as long as its mover may write", func(ctx context.Context, lose func(context.Context, *download)) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		first := d.Pod(ctx).UID
		lose(ctx, d)
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(d.get(ctx).Status.Message).To(HavePrefix("attempt 2 of 3: starts 4m0s after the loss, because its mover may write until then; attempt 1"))
		pass(d, leaseOver-time.Second)
		d.settleAll(ctx)
		Expect(d.Pod(ctx)).To(BeNil())
		pass(d, time.Second)
		d.settleAll(ctx)
		Expect(d.Pod(ctx).UID).NotTo(Equal(first))
	},
		Entry("removed by force", func(ctx context.Context, d *download) { d.KillPod(ctx) }),
		Entry("called evicted, while nobody has seen its container end", func(ctx context.Context, d *download) {
			d.PodStatus(ctx, func(s *corev1.PodStatus) { s.Phase, s.Reason = corev1.PodFailed, "Evicted" })
		}),
		Entry("missed by its node", func(ctx context.Context, d *download) { d.EndPod(ctx, 137, "ContainerStatusUnknown", "") }),
	)

	It("does not count that time for the prepare timeout", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		d.KillPod(ctx)
		d.settleAll(ctx)
		pass(d, leaseOver+prepareTimeout-time.Second)
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseAccepted))
		pass(d, time.Second)
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCanceled))
	})

	It("waits for nothing if it never had its turn", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhasePrepared)
		d.KillPod(ctx)
		d.settleAll(ctx)
		Expect(attempts.LostBy(d.get(ctx))).To(HaveExactElements(HaveField("Ended", true)))
	})
})

var _ = Describe("the hand-over of a volume", func() {
	It("waits until no mover of a lost attempt can write to it, whatever has come of the last one", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		dd := d.get(ctx)
		before := dd.DeepCopy()
		attempts.Record(dd, attempts.Lost{At: metav1.Time{Time: d.clock.Now()}, Reason: "written by an earlier version"})
		Expect(live.Patch(ctx, dd, client.MergeFrom(before))).To(Succeed())
		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		d.settleAll(ctx)
		d.clock.SetTime(d.clock.Now().Add(leaseOver - time.Second))
		d.settleAll(ctx)
		Expect(d.Target(ctx).Spec.VolumeName).To(BeEmpty())
		Expect(d.get(ctx).Status.Message).To(ContainSubstring("the mover of a lost attempt may still write to it"))
		d.clock.SetTime(d.clock.Now().Add(time.Second))
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
		d.expectHandedOver(ctx)
	})
})
