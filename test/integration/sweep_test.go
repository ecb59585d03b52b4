package integration

import (
	"context"
	"errors"
	"sync"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/sweep"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
)

// sweeping is the sweeper of a leader, with a clock that says when grace times are over.
type sweeping struct {
	*sweep.Sweeper
	clock *clocktesting.FakeClock
	log   *logtest.Hook
	of    types.UID
	t     *trial
}

// sweeperFor makes a sweeper that is asked about one trial.
func sweeperFor(ctx context.Context, t *trial) *sweeping {
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	s := &sweeping{clock: clocktesting.NewFakeClock(t.clock.Now()), log: logtest.NewLocal(log), of: t.upload(ctx).UID, t: t}
	s.Sweeper = &sweep.Sweeper{
		Namespace: velero, Grace: sweep.DefaultGrace, Reader: cached, Live: live, Removers: map[string]sweep.Remover{v2alpha1.KindDataUpload: t.r}, Clock: s.clock, Log: log,
	}
	return s
}

// mine picks the trial's orphans.
func (s *sweeping) mine(all []*sweep.Orphans) *sweep.Orphans {
	for _, orphans := range all {
		if orphans.UID() == s.of {
			return orphans
		}
	}
	return nil
}

// marked counts the trial's objects that carry our label.
func (s *sweeping) marked(ctx context.Context) int {
	GinkgoHelper()
	number := 0
	selector := client.MatchingLabels{expose.OwnerUIDLabel: string(s.of)}
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &corev1.PersistentVolumeClaimList{}, &corev1.PersistentVolumeList{},
		&snapshotv1.VolumeSnapshotList{}, &snapshotv1.VolumeSnapshotContentList{},
	} {
		Expect(live.List(ctx, list, selector)).To(Succeed())
		number += lengthOf(list)
	}
	return number
}

func lengthOf(list client.ObjectList) int {
	switch l := list.(type) {
	case *corev1.PodList:
		return len(l.Items)
	case *corev1.PersistentVolumeClaimList:
		return len(l.Items)
	case *corev1.PersistentVolumeList:
		return len(l.Items)
	case *snapshotv1.VolumeSnapshotList:
		return len(l.Items)
	default:
		return len(l.(*snapshotv1.VolumeSnapshotContentList).Items)
	}
}

// passGrace lets just so much time pass that the grace time of the trial's orphans is over.
func (s *sweeping) passGrace(ctx context.Context) {
	GinkgoHelper()
	s.t.syncCache(ctx)
	report, err := s.Look(ctx)
	Expect(err).NotTo(HaveOccurred())
	orphans := s.mine(append(report.Early, report.Left...))
	Expect(orphans).NotTo(BeNil(), "nothing is orphaned")
	s.clock.SetTime(orphans.Due)
	s.t.clock.SetTime(orphans.Due)
}

// untilGone makes rounds, and lets the cluster do its part, until nothing carries our label.
func (s *sweeping) untilGone(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) int {
		report, err := s.Round(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(report.Failed).To(BeEmpty())
		s.t.collect(ctx)
		return s.marked(ctx)
	}).Should(BeZero())
	s.t.collectAll(ctx)
}

// forsake takes the finalizer away and deletes the DataUpload, as people do with one that seems stuck.
func (t *trial) forsake(ctx context.Context) {
	GinkgoHelper()
	du := t.upload(ctx)
	release(ctx, du)
	Expect(live.Delete(ctx, du)).To(Succeed())
	Eventually(func() bool {
		return client.IgnoreNotFound(cached.Get(ctx, t.key(), du)) == nil && cached.Get(ctx, t.key(), du) != nil
	}).Should(BeTrue())
}

func (t *trial) source(ctx context.Context) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	if live.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "velero-" + t.name}, snapshot) != nil {
		snapshot = nil
	}
	if live.Get(ctx, client.ObjectKey{Name: "snapcontent-" + t.name}, content) != nil {
		content = nil
	}
	return snapshot, content
}

// expectSourceLeft checks that the source and its storage snapshot are as they were.
func (t *trial) expectSourceLeft(ctx context.Context) {
	GinkgoHelper()
	snapshot, content := t.source(ctx)
	Expect(snapshot).NotTo(BeNil())
	Expect(snapshot.DeletionTimestamp.IsZero()).To(BeTrue())
	Expect(content).NotTo(BeNil())
	Expect(content.DeletionTimestamp.IsZero()).To(BeTrue())
	Expect(content.Spec.DeletionPolicy).To(Equal(t.policy))
	Expect(world.Deleted()).NotTo(HaveKey(t.inCluster().Handle()))
}

// exposed makes the alias, which is not ready, so that nothing is taken over.
func exposed(ctx context.Context) *trial {
	GinkgoHelper()
	t := newTrial()
	readyRepository(ctx)
	t.makeSource(ctx)
	t.create(ctx)
	t.settle(ctx)
	alias, content := t.aliasPair(ctx)
	Expect(alias).NotTo(BeNil())
	Expect(content.Spec.DeletionPolicy).To(Equal(snapshotv1.VolumeSnapshotContentRetain))
	return t
}

// removeSource makes the source vanish, but not the storage snapshot.
func (t *trial) removeSource(ctx context.Context) {
	GinkgoHelper()
	snapshot, content := t.source(ctx)
	for _, obj := range []client.Object{snapshot, content} {
		release(ctx, obj)
		Expect(client.IgnoreNotFound(live.Delete(ctx, obj))).To(Succeed())
	}
}

// halfTakenOver stops the reconciler right after the source gave up the storage snapshot.
func halfTakenOver(ctx context.Context) *trial {
	GinkgoHelper()
	t := exposed(ctx)
	t.bindAlias(ctx)
	transport := &killingTransport{at: 1} // after reading the source's content
	t.useTransport(transport)
	t.syncCache(ctx)
	_, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
	Expect(err).To(HaveOccurred())
	transport.revive()
	_, alias := t.aliasPair(ctx)
	_, source := t.source(ctx)
	Expect(alias.Spec.DeletionPolicy).To(Equal(snapshotv1.VolumeSnapshotContentRetain))
	Expect(source.Spec.DeletionPolicy).To(Equal(snapshotv1.VolumeSnapshotContentRetain))
	Eventually(func() error { return cached.Get(ctx, client.ObjectKeyFromObject(source), source) }).Should(Succeed())
	return t
}

var _ = Describe("leftovers", func() {
	DescribeTable("of a DataUpload that was forced away", append([]any{func(ctx context.Context, phase v2alpha1.Phase) {
		t := newTrial()
		t.advance(ctx, phase)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		if phase == v2alpha1.PhaseNew {
			Expect(s.marked(ctx)).To(BeZero())
			t.expectSourceLeft(ctx)
			return
		}
		s.passGrace(ctx)
		due := s.clock.Now()
		s.clock.SetTime(due.Add(-time.Second))
		before, number := t.fingerprint(ctx, known), s.marked(ctx)
		report, err := s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.mine(report.Early).Objects).To(HaveLen(number))
		Expect(s.mine(report.Early).Why).To(Equal("the DataUpload is gone"))
		Expect(t.fingerprint(ctx, known)).To(Equal(before), "the grace time is not over")

		s.clock.SetTime(due)
		s.untilGone(ctx)
		t.expectNothingLeft(ctx)
	}}, phases...)...)

	It("are removed and deleted once, at whatever call the agent was killed before", func(ctx context.Context) {
		calls := callsOfGoodRun(ctx)
		takenOver, left := 0, 0
		for at, call := range calls {
			By("killed after " + call)
			t := newTrial()
			transport := &killingTransport{at: at}
			t.useTransport(transport)
			readyRepository(ctx)
			t.makeSource(ctx)
			t.create(ctx)
			s := sweeperFor(ctx, t)
			for range 60 {
				t.syncCache(ctx)
				_, _ = t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()}) // it is killed in one of them
				if transport.dead {
					break
				}
				t.playCluster(ctx)
			}
			Expect(transport.dead).To(BeTrue())
			transport.revive()
			t.forsake(ctx)
			_, source := t.source(ctx)
			if s.marked(ctx) > 0 {
				s.passGrace(ctx)
				// The command may run beside the leader.
				command := sweeperOf(s, live)
				Eventually(func() int {
					sideBySide(ctx, s.Sweeper, command)
					t.collect(ctx)
					return s.marked(ctx)
				}).Should(BeZero())
				t.collectAll(ctx)
			}
			if source != nil && source.Labels[expose.OwnerUIDLabel] == "" && source.DeletionTimestamp.IsZero() {
				t.expectSourceLeft(ctx)
				left++
			} else {
				t.expectNothingLeft(ctx)
				takenOver++
			}
		}
		Expect(left).To(BeNumerically(">", 3))
		Expect(takenOver).To(BeNumerically(">", 10))
	})

	DescribeTable("of a DataUpload whose volume garbage collection had first", func(ctx context.Context, ready bool) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		if ready {
			t.runPod(ctx)
		}
		t.settle(ctx)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		for _, obj := range []client.Object{&corev1.Pod{}, &corev1.PersistentVolumeClaim{}} {
			obj.SetNamespace(velero)
			obj.SetName(t.name)
			Expect(live.Delete(ctx, obj)).To(Succeed())
		}
		t.collectAll(ctx)
		s.passGrace(ctx)
		s.untilGone(ctx)
		t.expectNothingLeft(ctx)
	},
		Entry("before the backup pod ran", false),
		Entry("while the backup pod ran", true),
	)

	It("of a DataUpload that has ended go after its end, and it is not written", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.clock.SetTime(t.clock.Now().Add(time.Hour))
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.syncCache(ctx)
		_, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
		Expect(err).NotTo(HaveOccurred())
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCompleted))
		s := sweeperFor(ctx, t)
		s.clock.SetTime(t.clock.Now().Add(24 * time.Hour))
		t.syncCache(ctx)
		report, err := s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.mine(report.Left)).To(BeNil(), "clean-up follows")

		release(ctx, t.upload(ctx))
		before := t.upload(ctx)
		s.passGrace(ctx)
		Expect(s.clock.Now()).To(BeTemporally("==", before.Status.CompletionTimestamp.Add(sweep.DefaultGrace)))
		s.untilGone(ctx)
		t.expectNothingLeft(ctx)
		Expect(t.upload(ctx)).To(Equal(before))
	})

	It("of a DataUpload that was canceled before it took over take the source with them", func(ctx context.Context) {
		t := exposed(ctx)
		t.cancel(ctx)
		t.syncCache(ctx)
		_, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
		Expect(err).NotTo(HaveOccurred())
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		s := sweeperFor(ctx, t)
		release(ctx, t.upload(ctx))
		s.passGrace(ctx)
		s.untilGone(ctx)
		t.expectNothingLeft(ctx)
	})

	DescribeTable("of the snapshot alone", func(ctx context.Context, prepare func(context.Context) *trial, change func(context.Context, *trial), deleted int) {
		t := prepare(ctx)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		change(ctx, t)
		s.passGrace(ctx)
		s.untilGone(ctx)
		if deleted == 0 {
			t.expectSourceLeft(ctx)
		} else {
			t.expectNothingLeft(ctx)
		}
	},
		Entry("a source that was never taken over is left to its owner", exposed, func(context.Context, *trial) {}, 0),
		Entry("also without its VolumeSnapshot", exposed, func(ctx context.Context, t *trial) {
			alias, _ := t.aliasPair(ctx)
			Expect(live.Delete(ctx, alias)).To(Succeed())
		}, 0),
		Entry("a source that is gone leaves the storage snapshot to the alias", exposed, func(ctx context.Context, t *trial) {
			t.bindAlias(ctx)
			t.removeSource(ctx)
		}, 1),
		Entry("a source that gave up the storage snapshot", halfTakenOver, func(context.Context, *trial) {}, 1),
		Entry("the same without the alias", halfTakenOver, func(ctx context.Context, t *trial) {
			t.removeAlias(ctx)
		}, 1),
		Entry("the same without alias and source VolumeSnapshot", halfTakenOver, func(ctx context.Context, t *trial) {
			t.removeAlias(ctx)
			source, _ := t.source(ctx)
			release(ctx, source)
			Expect(live.Delete(ctx, source)).To(Succeed())
		}, 1),
	)

	It("leave a storage snapshot that another DataUpload still uses", func(ctx context.Context) {
		t := exposed(ctx)
		t.bindAlias(ctx)
		s := sweeperFor(ctx, t)
		defer occupySlot(ctx)()
		list := &v2alpha1.DataUploadList{}
		Expect(live.List(ctx, list, client.InNamespace(velero))).To(Succeed())
		other := list.Items[len(list.Items)-1]
		for _, du := range list.Items {
			if du.Status.Phase == v2alpha1.PhaseInProgress {
				other = du
			}
		}
		_, alias := t.aliasPair(ctx)
		twin := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: other.Name}, Spec: alias.Spec}
		twin.Spec.VolumeSnapshotRef = corev1.ObjectReference{Namespace: velero, Name: other.Name}
		twin.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
		expose.Mark(twin, &other)
		Expect(live.Create(ctx, twin)).To(Succeed())
		Eventually(func() error { return cached.Get(ctx, client.ObjectKeyFromObject(twin), twin) }).Should(Succeed())
		t.forsake(ctx)
		t.removeSource(ctx)
		s.passGrace(ctx)
		s.untilGone(ctx)
		Expect(world.Deleted()).NotTo(HaveKey(t.inCluster().Handle()))
		Expect(live.Get(ctx, client.ObjectKeyFromObject(twin), twin)).To(Succeed())
		Expect(live.Delete(ctx, twin)).To(Succeed())
	})

	It("do not get into the hands of another DataUpload of the same name", func(ctx context.Context) {
		t := exposed(ctx)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		t.create(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("exists, but does not belong to this DataUpload"))
		s.passGrace(ctx)
		report, err := s.Look(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.mine(report.Left).Why).To(Equal("the DataUpload is gone, and another one has its name"))
		s.untilGone(ctx)
		t.expectSourceLeft(ctx)

		t.settle(ctx)
		t.bindAlias(ctx)
		t.settle(ctx)
		t.provision(ctx)
		t.runPod(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		before := t.fingerprint(ctx, known)
		s.clock.SetTime(s.clock.Now().Add(24 * time.Hour))
		_, err = s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(t.fingerprint(ctx, known)).To(Equal(before))
		t.abandon(ctx)
		t.expectNothingLeft(ctx)
	})

	It("are a volume whose reclaim policy somebody changed", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		pv := &corev1.PersistentVolume{}
		Expect(live.Get(ctx, client.ObjectKey{Name: pvc.Spec.VolumeName}, pv)).To(Succeed())
		before := pv.DeepCopy()
		pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		Expect(live.Patch(ctx, pv, client.MergeFrom(before))).To(Succeed())
		Expect(live.Delete(ctx, pvc)).To(Succeed())
		Expect(live.Delete(ctx, &corev1.Pod{ObjectMeta: pvc.ObjectMeta}, client.GracePeriodSeconds(0))).To(Succeed())
		release(ctx, pvc)
		s.passGrace(ctx)
		Eventually(func() corev1.PersistentVolumeReclaimPolicy {
			_, err := s.Round(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(live.Get(ctx, client.ObjectKeyFromObject(pv), pv)).To(Succeed())
			return pv.Spec.PersistentVolumeReclaimPolicy
		}).Should(Equal(corev1.PersistentVolumeReclaimDelete))
		t.inCluster().CollectPV(ctx, pv.Name)
		s.untilGone(ctx)
		t.expectNothingLeft(ctx)
	})
})

// sweeperOf is a sweeper beside another one, with another view of the cluster.
func sweeperOf(s *sweeping, reader client.Client) *sweep.Sweeper {
	return &sweep.Sweeper{
		Namespace: s.Namespace, Grace: s.Grace, Reader: reader, Live: live, Clock: s.clock, Log: s.Log,
		Removers: map[string]sweep.Remover{v2alpha1.KindDataUpload: dataupload.New(
			engine.Engine{Options: s.t.r.Options, Client: reader, Live: live, Clock: s.clock, Log: s.Log})},
	}
}

// sideBySide lets sweepers make a round each, at the same time. One may find done what it is about to do.
func sideBySide(ctx context.Context, sweepers ...*sweep.Sweeper) {
	var group sync.WaitGroup
	for _, sweeper := range sweepers {
		group.Go(func() {
			defer GinkgoRecover()
			_, err := sweeper.Round(ctx)
			Expect(err).NotTo(HaveOccurred())
		})
	}
	group.Wait()
}

// removeAlias makes the alias vanish, but not the storage snapshot.
func (t *trial) removeAlias(ctx context.Context) {
	GinkgoHelper()
	alias, content := t.aliasPair(ctx)
	for _, obj := range []client.Object{alias, content} {
		release(ctx, obj)
		Expect(live.Delete(ctx, obj)).To(Succeed())
	}
}

// failing is a Remover that does not succeed at first.
type failing struct {
	next  sweep.Remover
	fails int
}

func (f *failing) RemoveLeftovers(ctx context.Context, l transfer.Leftovers) (string, error) {
	if f.fails > 0 {
		f.fails--
		return "", errors.New("the storage is on fire")
	}
	return f.next.RemoveLeftovers(ctx, l)
}

// counting counts reads.
type counting struct {
	client.Reader
	calls int
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	c.calls++
	return c.Reader.Get(ctx, key, obj, options...)
}

func (c *counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.calls++
	return c.Reader.List(ctx, list, options...)
}

// sampleOf is the value of a metric for a kind.
func sampleOf(name, kind string) float64 {
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == kind {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}
