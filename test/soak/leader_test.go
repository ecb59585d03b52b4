package soak

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/installation"
)

const (
	// takeOver is how long another agent may take to lead after the leader was killed.
	takeOver = 20 * time.Second

	holdFinalizer = "node-agent.io/test-hold"
)

var _ = Describe("a leader that is killed", func() {
	It("has a successor that goes on in every phase and repeats nothing", func(ctx context.Context) {
		agents := startAgents(ctx)
		Eventually(agents.leader).WithArguments(ctx).ShouldNot(BeNil())
		held := heldSource(ctx)

		By("bringing DataUploads into every phase")
		ended := heldInCleanUp(ctx)
		accepted := begin(ctx, held)
		expectPhase(ctx, accepted, v2alpha1.PhaseAccepted)
		var moving []*upload
		for range nodes {
			moving = append(moving, frozen(ctx, v2alpha1.PhaseInProgress))
		}
		prepared := frozen(ctx, v2alpha1.PhasePrepared)
		canceling := moving[0]
		leader, former := agents.leader(ctx), holder(ctx)
		Expect(canceling.cancel(ctx)).To(Succeed())
		expectPhase(ctx, canceling, v2alpha1.PhaseCanceling)
		Expect(leader.Signal(freeze)).To(Succeed())
		isNew := begin(ctx, sources[1])
		uploads := slices.Concat(moving, []*upload{ended, accepted, prepared, isNew})
		before := map[string]record{}
		for _, u := range uploads {
			before[u.name] = seen.get(u.name)
		}
		Expect(phases(before)).To(ConsistOf(BeEmpty(), BeEquivalentTo("Accepted"), BeEquivalentTo("Prepared"),
			BeEquivalentTo("InProgress"), BeEquivalentTo("InProgress"), BeEquivalentTo("Canceling"), BeEquivalentTo("Completed")))

		By("killing the leader")
		killedAt := time.Now()
		leader.Kill()
		Eventually(holder).WithArguments(ctx).WithTimeout(takeOver).Should(And(Not(BeEmpty()), Not(Equal(former))))
		Eventually(func() v2alpha1.Phase { return seen.get(isNew.name).phase() }).
			WithTimeout(takeOver - time.Since(killedAt)).ShouldNot(BeEmpty())
		AddReportEntry("another agent leads and works", time.Since(killedAt).Round(time.Second/10).String())

		By("letting everything go on")
		letGo(ctx, ended)
		Expect(cluster.Create(ctx, installation.NewStorageClass(laterClass))).To(Succeed())
		for _, u := range append(moving, prepared) {
			signalMover(seen.get(u.name).pod(), resume)
		}
		for _, u := range uploads {
			done := suffered{canceled: u == canceling}
			expectEndedRight(ctx, u, done)
			Expect(seen.get(u.name).order).To(HaveLen(1), "one pod of %s", u.name)
			if was := before[u.name].accepted; len(was) > 0 {
				Expect(seen.get(u.name).accepted).To(Equal(was), "%s is not accepted again", u.name)
			}
			if u != canceling {
				Expect(seen.get(u.name).phase()).To(Equal(v2alpha1.PhaseCompleted), seen.get(u.name).message())
			}
		}
		Expect(seen.get(canceling.name).phase()).To(Equal(v2alpha1.PhaseCanceled))
		Expect(seen.crowds()).To(BeEmpty(), "nodes with more DataUploads than slots")
		expectNothingLeft(ctx, uploads...)
		expectRestored(ctx, uploads...)
	})
})

// heldSource is a volume whose backupPVC is of a class that is not there yet.
func heldSource(ctx context.Context) *source {
	made := makeSource(ctx, "shop", "held", heldClass)
	sources = append(sources, made)
	return made
}

// heldInCleanUp is an upload that is Completed, and whose clean-up does not come to an end until letGo.
func heldInCleanUp(ctx context.Context) *upload {
	u := begin(ctx, sources[0])
	pvc := &corev1.PersistentVolumeClaim{}
	Eventually(func() error {
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: installation.VeleroNamespace, Name: u.name}, pvc); err != nil {
			return err
		}
		before := pvc.DeepCopy()
		controllerutil.AddFinalizer(pvc, holdFinalizer)
		return cluster.Patch(ctx, pvc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}).Should(Succeed())
	expectPhase(ctx, u, v2alpha1.PhaseCompleted)
	return u
}

func letGo(ctx context.Context, u *upload) {
	Eventually(func() error {
		pvc := &corev1.PersistentVolumeClaim{}
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: installation.VeleroNamespace, Name: u.name}, pvc); err != nil {
			return err
		}
		before := pvc.DeepCopy()
		controllerutil.RemoveFinalizer(pvc, holdFinalizer)
		return cluster.Patch(ctx, pvc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}).Should(Succeed())
}

func phases(records map[string]record) []v2alpha1.Phase {
	var found []v2alpha1.Phase
	for _, r := range records {
		found = append(found, r.phase())
	}
	return found
}
