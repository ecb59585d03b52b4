package integration

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/sweep"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/cluster"
)

// sweeperForDownload makes a sweeper whose grace times are over for all that exists now.
func sweeperForDownload(d *download) *sweep.Sweeper {
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	return &sweep.Sweeper{
		Namespace: velero, Grace: sweep.DefaultGrace, Reader: live, Live: live,
		Removers: map[string]sweep.Remover{v2alpha1.KindDataDownload: d.r, v2alpha1.KindDataUpload: newTrial().r},
		Clock:    clocktesting.NewFakeClock(time.Now().Add(2 * sweep.DefaultGrace)), Log: log,
	}
}

// forsake takes the finalizer away and deletes the DataDownload, as people do with one that seems stuck.
func (d *download) forsake(ctx context.Context) {
	GinkgoHelper()
	dd := d.get(ctx)
	release(ctx, dd)
	Expect(client.IgnoreNotFound(live.Delete(ctx, dd))).To(Succeed())
	Eventually(func() bool { return apierrors.IsNotFound(cached.Get(ctx, d.Key(), dd)) }).Should(BeTrue())
}

// sweepAll makes rounds, and lets the cluster do its part, until there is nothing to do for either.
func (d *download) sweepAll(ctx context.Context, s *sweep.Sweeper) {
	GinkgoHelper()
	quiet := 0
	Eventually(func(g Gomega) int {
		d.syncCache(ctx)
		before := d.fingerprint(ctx, live)
		report, err := s.Round(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(report.Failed).To(BeEmpty())
		did := d.Collect(ctx)
		if d.Bind(ctx) || did || d.fingerprint(ctx, live) != before {
			quiet = 0
		}
		quiet++
		return quiet
	}).Should(BeNumerically(">", 2))
}

var _ = Describe("leftovers of a restore", func() {
	DescribeTable("that was forced away are removed", func(ctx context.Context, phase v2alpha1.Phase) {
		d := newDownload()
		d.advance(ctx, phase)
		d.forsake(ctx)
		s := sweeperForDownload(d)
		s.Clock = clocktesting.NewFakeClock(time.Now())
		before := d.fingerprint(ctx, live)
		_, err := s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(d.fingerprint(ctx, live)).To(Equal(before), "the grace time is not over")

		d.sweepAll(ctx, sweeperForDownload(d))
		d.expectNothingLeft(ctx)
	},
		Entry("Accepted", v2alpha1.PhaseAccepted),
		Entry("Prepared", v2alpha1.PhasePrepared),
		Entry("InProgress", v2alpha1.PhaseInProgress),
		Entry("Canceling", v2alpha1.PhaseCanceling),
	)

	It("are no volume that its target PVC names: that gets it", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		for d.Target(ctx).Spec.VolumeName == "" {
			d.syncCache(ctx)
			_, err := d.r.Reconcile(ctx, ctrlRequest(d))
			Expect(err).NotTo(HaveOccurred())
			d.Collect(ctx)
		}
		Expect(d.Volumes(ctx)[0].Labels).To(HaveKey(expose.OwnerUIDLabel))
		d.forsake(ctx)
		d.sweepAll(ctx, sweeperForDownload(d))
		d.expectHandedOver(ctx)
		d.expectNothingMade(ctx)
	})

	It("are no object of somebody else", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		mark := d.Pod(ctx).Labels
		d.forsake(ctx)
		// One that was copied with its labels, under another name.
		pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "copy-of-" + d.Name, Labels: mark}}
		pvc.Spec = d.Target(ctx).Spec
		// One of the right name in another namespace.
		elsewhere := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Shop, Name: d.Name + "-cache", Labels: mark}}
		elsewhere.Spec = pvc.Spec
		// A volume of a stranger that carries the label, but is claimed by another PVC.
		pv := d.Volumes(ctx)[0].DeepCopy()
		pv.ObjectMeta = metav1.ObjectMeta{Name: "stranger-" + d.Name, Labels: pv.Labels, Annotations: pv.Annotations}
		pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: cluster.Shop, Name: "stranger"}
		pv.Spec.CSI.VolumeHandle = "stranger-" + d.Name
		foreign := []client.Object{pvc, elsewhere, pv}
		for _, obj := range foreign {
			Expect(live.Create(ctx, obj)).To(Succeed())
			DeferCleanup(func(ctx context.Context) {
				Expect(live.Delete(ctx, obj)).To(Succeed())
				Expect(live.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
				release(ctx, obj)
			})
		}
		d.sweepAll(ctx, sweeperForDownload(d))
		d.expectNothingLeft(ctx)
		for _, obj := range foreign {
			version := obj.GetResourceVersion()
			Expect(live.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
			Expect(obj.GetResourceVersion()).To(Equal(version), obj.GetName())
		}
	})
})
