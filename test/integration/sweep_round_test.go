package integration

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/sweep"
	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("the sweeper", func() {
	It("leaves alone what belongs to a DataUpload that goes on", func(ctx context.Context) {
		for _, phase := range []v2alpha1.Phase{
			v2alpha1.PhaseAccepted, v2alpha1.PhaseInProgress, v2alpha1.PhaseCanceling,
		} {
			t := newTrial()
			t.advance(ctx, phase)
			release(ctx, t.upload(ctx)) // even without a finalizer
			s := sweeperFor(ctx, t)
			s.clock.SetTime(s.clock.Now().Add(24 * time.Hour))
			t.syncCache(ctx)
			before := t.fingerprint(ctx, known)
			report, err := s.Round(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(s.mine(report.Left)).To(BeNil())
			Expect(t.fingerprint(ctx, known)).To(Equal(before))
			t.forsake(ctx)
			s.untilGone(ctx)
			t.expectNothingLeft(ctx)
		}
	})

	It("leaves alone what is not ours", func(ctx context.Context) {
		t := exposed(ctx)
		s := sweeperFor(ctx, t)
		du := t.upload(ctx)
		foreign := foreignTo(du)
		for _, obj := range foreign {
			Expect(live.Create(ctx, obj)).To(Succeed())
		}
		t.forsake(ctx)
		s.passGrace(ctx)
		s.clock.SetTime(s.clock.Now().Add(365 * 24 * time.Hour))
		Eventually(func() *snapshotv1.VolumeSnapshotContent {
			_, err := s.Round(ctx)
			Expect(err).NotTo(HaveOccurred())
			t.collect(ctx)
			_, alias := t.aliasPair(ctx)
			return alias
		}).Should(BeNil())
		_, err := s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		for _, obj := range foreign {
			version := obj.GetResourceVersion()
			Expect(live.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed(), obj.GetName())
			Expect(obj.GetResourceVersion()).To(Equal(version), obj.GetName())
			Expect(live.Delete(ctx, obj, client.GracePeriodSeconds(0))).To(Succeed())
			release(ctx, obj)
		}
	})

	It("asks the API server nothing while there is nothing to sweep", func(ctx context.Context) {
		t := exposed(ctx)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		reads := &counting{Reader: live}
		s.Live, s.Grace = reads, 24*time.Hour
		_, err := s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(reads.calls).To(BeZero())
		s.clock.SetTime(s.clock.Now().Add(48 * time.Hour))
		_, err = s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(reads.calls).NotTo(BeZero())
		s.untilGone(ctx)
	})

	It("touches nothing that only the cache still takes for left over", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		s := sweeperFor(ctx, t)
		t.syncCache(ctx)
		s.Reader = withoutUploads{Reader: cached}
		s.clock.SetTime(s.clock.Now().Add(24 * time.Hour))
		before := t.fingerprint(ctx, known)
		report, err := s.Round(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.mine(report.Left)).NotTo(BeNil())
		Expect(t.fingerprint(ctx, known)).To(Equal(before))
		t.abandon(ctx)
	})

	It("tries again what failed, says so once a round, and tells what it removed", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		s.passGrace(ctx)
		s.Removers = map[string]sweep.Remover{v2alpha1.KindDataUpload: &failing{next: t.r, fails: 2}}
		for range 2 {
			s.log.Reset()
			report, err := s.Round(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(report.Failed).To(HaveLen(1))
			Expect(report.Failed[0]).To(MatchError(ContainSubstring("leftovers of DataUpload velero/" + t.name + ": the storage is on fire")))
			Expect(entries(s.log.AllEntries(), logrus.WarnLevel)).To(HaveLen(1))
			Expect(sampleOf("node_agent_orphaned_objects", "Pod")).To(BeNumerically(">=", 1))
		}
		orphaned := sampleOf("node_agent_orphaned_objects", "PersistentVolume")
		swept := sampleOf("node_agent_swept_objects_total", "PersistentVolume")
		s.log.Reset()
		s.untilGone(ctx)
		t.expectNothingLeft(ctx)
		Eventually(func() []string {
			_, err := s.Round(ctx)
			Expect(err).NotTo(HaveOccurred())
			return removedIn(s.log.AllEntries(), t.name)
		}).Should(ConsistOf("Pod", "PersistentVolumeClaim", "PersistentVolume", "VolumeSnapshot", "VolumeSnapshotContent", "VolumeSnapshotContent"))
		Expect(sampleOf("node_agent_swept_objects_total", "PersistentVolume")).To(BeNumerically(">", max(swept, 0)))
		Expect(sampleOf("node_agent_orphaned_objects", "PersistentVolume")).To(Equal(orphaned - 1))
	})

	It("makes a round every half a minute", func(ctx context.Context) {
		t := exposed(ctx)
		s := sweeperFor(ctx, t)
		t.forsake(ctx)
		s.passGrace(ctx)
		s.clock.SetTime(s.clock.Now().Add(-time.Second))
		running, stop := context.WithCancel(ctx)
		ended := make(chan error)
		go func() { ended <- s.Start(running) }()
		alias := func() bool {
			found, _ := t.aliasPair(ctx)
			return found != nil
		}
		Eventually(s.clock.HasWaiters).Should(BeTrue())
		Expect(alias()).To(BeTrue())
		for left := s.marked(ctx); left > 0; left-- {
			t.syncCache(ctx)
			s.clock.Step(30 * time.Second)
			Eventually(func() int { return s.marked(ctx) }).Should(BeNumerically("<", left))
		}
		stop()
		Eventually(ended).Should(Receive(BeNil()))
		t.expectSourceLeft(ctx)
	})
})

// foreignTo makes objects that look like those of a DataUpload, but are not.
func foreignTo(du *v2alpha1.DataUpload) []client.Object {
	ours := expose.Labels(du)
	container := []corev1.Container{{Name: "c", Image: "i"}}
	claim := corev1.PersistentVolumeClaimSpec{
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		StorageClassName: new(fastClass),
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}
	content := snapshotv1.VolumeSnapshotContentSpec{
		Driver: "csi.example.com", DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
		Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: new("foreign")},
		VolumeSnapshotRef: corev1.ObjectReference{Namespace: "elsewhere", Name: du.Name},
	}
	elsewhere := du.DeepCopy()
	elsewhere.Namespace = "elsewhere"
	ofAnotherVelero := &snapshotv1.VolumeSnapshotContent{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere-" + du.Name}, Spec: content}
	expose.Mark(ofAnotherVelero, elsewhere)
	reused := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "reused-" + du.Name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Resources.Requests,
			AccessModes:                   claim.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: "shop", Name: "restored"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: "reused-" + du.Name},
			},
		},
	}
	expose.Mark(reused, du)
	return []client.Object{
		&corev1.Pod{ // stock Velero's, of a DataUpload that is gone
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: du.Name, Labels: map[string]string{
				v2alpha1.DataUploadLabel: du.Name, v2alpha1.ExposerPodGroupLabel: "snapshot-exposer",
			}},
			Spec: corev1.PodSpec{Containers: container},
		},
		&corev1.Pod{ // a copy that somebody made to look into it
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: du.Name + "-copy", Labels: ours},
			Spec:       corev1.PodSpec{Containers: container},
		},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: du.Name + "-claim", Labels: ours}, Spec: claim},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: du.Name + "-claim", Labels: ours}, Spec: claim},
		&snapshotv1.VolumeSnapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: du.Name, Labels: ours},
			Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: new("x")}},
		},
		ofAnotherVelero,
		reused,
	}
}

// withoutUploads is a view of the cluster in which no DataUpload exists.
type withoutUploads struct{ client.Reader }

func (w withoutUploads) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	if _, isUpload := obj.(*v2alpha1.DataUpload); isUpload {
		return apierrors.NewNotFound(v2alpha1.GroupVersion.WithResource("datauploads").GroupResource(), key.Name)
	}
	return w.Reader.Get(ctx, key, obj, options...)
}

func entries(all []*logrus.Entry, level logrus.Level) []*logrus.Entry {
	var some []*logrus.Entry
	for _, entry := range all {
		if entry.Level == level {
			some = append(some, entry)
		}
	}
	return some
}

// removedIn lists the kinds of objects that were logged as gone for a DataUpload.
func removedIn(all []*logrus.Entry, dataUpload string) []string {
	var list []string
	for _, entry := range entries(all, logrus.InfoLevel) {
		if entry.Message == "a leftover is gone" && fmt.Sprint(entry.Data["owner"]) == "DataUpload "+velero+"/"+dataUpload {
			list = append(list, entry.Data["kind"].(string))
		}
	}
	return list
}
