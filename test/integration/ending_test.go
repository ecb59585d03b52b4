package integration

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var phases = []any{
	Entry("New", v2alpha1.DataUploadPhaseNew),
	Entry("Accepted", v2alpha1.DataUploadPhaseAccepted),
	Entry("Prepared", v2alpha1.DataUploadPhasePrepared),
	Entry("InProgress", v2alpha1.DataUploadPhaseInProgress),
	Entry("Canceling", v2alpha1.DataUploadPhaseCanceling),
}

var _ = DescribeTable("cancel", append([]any{func(ctx context.Context, phase v2alpha1.DataUploadPhase) {
	t := newTrial()
	t.advance(ctx, phase)
	t.cancel(ctx)
	t.settleAll(ctx)
	du := t.upload(ctx)
	Expect(du.Status.Phase).To(Equal(v2alpha1.DataUploadPhaseCanceled))
	if phase == v2alpha1.DataUploadPhaseCanceling {
		phase = v2alpha1.DataUploadPhaseInProgress // it was canceled then
	}
	Expect(du.Status.Message).To(ContainSubstring("canceled by request while " + string(phase)))
	Expect(du.Status.CompletionTimestamp).NotTo(BeNil())
	Expect(du.Status.StartTimestamp).NotTo(BeNil())
	Expect(du.Labels).NotTo(HaveKey("velero.io/expose-on-going"))
	Expect(du.Finalizers).To(BeEmpty())
	t.expectNothingLeft(ctx)
}}, phases...)...)

var _ = DescribeTable("deletion", append([]any{func(ctx context.Context, phase v2alpha1.DataUploadPhase) {
	t := newTrial()
	t.advance(ctx, phase)
	if phase == v2alpha1.DataUploadPhaseNew {
		t.settle(ctx) // before it is accepted nothing guards it, and nothing has been made
	}
	Expect(live.Delete(ctx, t.upload(ctx))).To(Succeed())
	Eventually(func() bool {
		du := &v2alpha1.DataUpload{}
		return cached.Get(ctx, t.key(), du) != nil || !du.DeletionTimestamp.IsZero()
	}).Should(BeTrue())
	t.settleAll(ctx)
	Expect(apierrors.IsNotFound(live.Get(ctx, t.key(), &v2alpha1.DataUpload{}))).To(BeTrue())
	t.expectNothingLeft(ctx)
}}, phases...)...)

var _ = Describe("an end", func() {
	It("keeps the snapshot of a mover that was done before it heard of the cancel", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.DataUploadPhaseInProgress)
		t.cancel(ctx)
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.DataUploadPhaseCompleted))
		Expect(t.status(ctx).SnapshotID).To(Equal("k1"))
		t.expectNothingLeft(ctx)
	})

	It("removes a pod by force that its node does not stop", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.DataUploadPhaseCanceling)
		pod := &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		Expect(pod.DeletionTimestamp.IsZero()).To(BeFalse())
		t.clock.SetTime(pod.DeletionTimestamp.Add(9 * time.Second))
		t.settle(ctx)
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		t.clock.SetTime(pod.DeletionTimestamp.Add(10 * time.Second))
		t.settle(ctx)
		Expect(apierrors.IsNotFound(live.Get(ctx, t.key(), pod))).To(BeTrue())
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.DataUploadPhaseCanceled))
		t.expectNothingLeft(ctx)
	})

	DescribeTable("Failed always says why", func(ctx context.Context, end func(context.Context, *trial), words string) {
		t := newTrial()
		t.advance(ctx, v2alpha1.DataUploadPhaseInProgress)
		end(ctx, t)
		t.settleAll(ctx)
		status := t.status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.DataUploadPhaseFailed))
		Expect(status.Message).To(ContainSubstring(words))
		Expect(status.SnapshotID).To(BeEmpty())
		t.expectNothingLeft(ctx)
	},
		Entry("the mover's own words", func(ctx context.Context, t *trial) {
			t.endPod(ctx, corev1.PodFailed, "cannot read /data/secret: permission denied")
		}, "cannot read /data/secret: permission denied"),
		Entry("success without a result", func(ctx context.Context, t *trial) {
			t.endPod(ctx, corev1.PodSucceeded, "")
		}, "left no usable result"),
		Entry("success without a snapshot", func(ctx context.Context, t *trial) {
			t.endPod(ctx, corev1.PodSucceeded, `{"snapshotID":""}`)
		}, "left no usable result"),
	)

	It("leaves what belongs to somebody else", func(ctx context.Context) {
		t := newTrial()
		foreign := &corev1.Pod{
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}
		foreign.Namespace, foreign.Name, foreign.Labels = velero, t.name, map[string]string{"velero.io/data-upload": "another"}
		Expect(live.Create(ctx, foreign)).To(Succeed())
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		t.bindAlias(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("backup pod " + t.name + " exists, but does not belong to this DataUpload"))
		t.cancel(ctx)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.DataUploadPhaseCanceled))
		Expect(live.Get(ctx, t.key(), foreign)).To(Succeed())
		Expect(live.Delete(ctx, foreign, client.GracePeriodSeconds(0))).To(Succeed())
		t.expectNothingLeft(ctx)
	})
})
