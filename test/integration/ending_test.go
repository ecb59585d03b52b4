package integration

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var phases = []any{
	Entry("New", v2alpha1.PhaseNew),
	Entry("Accepted", v2alpha1.PhaseAccepted),
	Entry("Prepared", v2alpha1.PhasePrepared),
	Entry("InProgress", v2alpha1.PhaseInProgress),
	Entry("Canceling", v2alpha1.PhaseCanceling),
}

var _ = DescribeTable("cancel", append([]any{func(ctx context.Context, phase v2alpha1.Phase) {
	t := newTrial()
	t.advance(ctx, phase)
	t.cancel(ctx)
	t.settleAll(ctx)
	du := t.upload(ctx)
	Expect(du.Status.Phase).To(Equal(v2alpha1.PhaseCanceled))
	if phase == v2alpha1.PhaseCanceling {
		phase = v2alpha1.PhaseInProgress // it was canceled then
	}
	Expect(du.Status.Message).To(ContainSubstring("canceled by request while " + string(phase)))
	Expect(du.Status.CompletionTimestamp).NotTo(BeNil())
	Expect(du.Status.StartTimestamp).NotTo(BeNil())
	Expect(du.Labels).NotTo(HaveKey("velero.io/expose-on-going"))
	Expect(du.Finalizers).To(BeEmpty())
	t.expectNothingLeft(ctx)
}}, phases...)...)

var _ = DescribeTable("deletion", append([]any{func(ctx context.Context, phase v2alpha1.Phase) {
	t := newTrial()
	t.advance(ctx, phase)
	if phase == v2alpha1.PhaseNew {
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

// refusingConfigMaps is the client of an agent that may not make ConfigMaps.
type refusingConfigMaps struct{ client.Client }

func (c refusingConfigMaps) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if _, is := obj.(*corev1.ConfigMap); is {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, obj.GetName(), errors.New("no right"))
	}
	return c.Client.Create(ctx, obj, opts...)
}

var _ = Describe("an end", func() {
	It("keeps the snapshot of a mover that was done before it heard of the cancel", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.cancel(ctx)
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCompleted))
		Expect(t.status(ctx).SnapshotID).To(Equal("k1"))
		t.expectNothingLeft(ctx)
	})

	It("removes a pod by force that its node does not stop", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseCanceling)
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
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		t.expectNothingLeft(ctx)
	})

	DescribeTable("Failed always says why", func(ctx context.Context, end func(context.Context, *trial), words string) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		end(ctx, t)
		t.settleAll(ctx)
		status := t.status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.PhaseFailed))
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

	Describe("of a DataUpload whose mover may have saved a snapshot", func() {
		const id = "0123456789abcdef0123456789abcdef"
		info := func(t *trial) *corev1.ConfigMap {
			return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: t.name + "-info"}}
		}
		fail := func(ctx context.Context, t *trial, labels string) {
			t.advance(ctx, v2alpha1.PhaseInProgress)
			patch := `{"metadata":{"annotations":{"node-agent.io/snapshot-id":"` + id + `"},"labels":` + labels + `}}`
			Expect(live.Patch(ctx, t.upload(ctx), client.RawPatch(types.MergePatchType, []byte(patch)))).To(Succeed())
			t.settle(ctx)
			t.events()
			t.endPod(ctx, corev1.PodFailed, "no space left")
			t.settleAll(ctx)
			Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseFailed))
			Expect(t.upload(ctx).Finalizers).To(BeEmpty())
			t.expectNothingLeft(ctx)
		}

		It("lets Velero delete it with the backup", func(ctx context.Context) {
			t := newTrial()
			fail(ctx, t, `{"velero.io/backup-name":"nightly"}`)
			left := info(t)
			Expect(live.Get(ctx, client.ObjectKeyFromObject(left), left)).To(Succeed())
			Expect(left.Labels).To(HaveKeyWithValue("velero.io/backup-name", "nightly"))
			Expect(left.Data).To(HaveKeyWithValue("snapshotID", id))
			Expect(live.Delete(ctx, left)).To(Succeed())
		})

		It("says so if there is no backup", func(ctx context.Context) {
			t := newTrial()
			fail(ctx, t, `{"velero.io/backup-name":null}`)
			Expect(t.events()).To(ContainElement(And(HavePrefix("Warning SnapshotLeft snapshot "+id), ContainSubstring("no backup"))))
			Expect(live.Get(ctx, client.ObjectKeyFromObject(info(t)), info(t))).NotTo(Succeed())
		})

		It("says so if the ConfigMap is refused", func(ctx context.Context) {
			t := newTrial()
			t.r.Client = refusingConfigMaps{t.r.Client}
			fail(ctx, t, `{"velero.io/backup-name":"nightly"}`)
			Expect(t.events()).To(ContainElement(And(HavePrefix("Warning SnapshotLeft snapshot "+id), ContainSubstring("cannot be told to delete it"))))
		})
	})

	It("leaves what belongs to somebody else", func(ctx context.Context) {
		t := newTrial()
		foreign := &corev1.Pod{
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}
		foreign.Namespace, foreign.Name, foreign.Labels = velero, t.name, map[string]string{v2alpha1.ExposerPodGroupLabel: "another"}
		Expect(live.Create(ctx, foreign)).To(Succeed())
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		t.bindAlias(ctx)
		t.settle(ctx)
		t.provision(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("backup pod " + t.name + " exists, but does not belong to this DataUpload"))
		t.cancel(ctx)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(live.Get(ctx, t.key(), foreign)).To(Succeed())
		Expect(live.Delete(ctx, foreign, client.GracePeriodSeconds(0))).To(Succeed())
		t.expectNothingLeft(ctx)
	})
})
