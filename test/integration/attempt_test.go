package integration

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
)

// A way to lose a backup pod.
type losing func(context.Context, *trial)

func deletePod(ctx context.Context, t *trial) {
	Expect(live.Delete(ctx, t.pod(ctx), client.GracePeriodSeconds(0))).To(Succeed())
}

func evict(ctx context.Context, t *trial) {
	t.podStatus(ctx, func(s *corev1.PodStatus) {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
	})
}

func endMover(code int32, reason, message string) losing {
	return func(ctx context.Context, t *trial) {
		t.podStatus(ctx, func(s *corev1.PodStatus) {
			s.Phase = corev1.PodFailed
			s.ContainerStatuses = []corev1.ContainerStatus{{Name: string(t.upload(ctx).UID), State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
			}}}
		})
	}
}

func (t *trial) pod(ctx context.Context) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
	return pod
}

// loseAttempt loses the backup pod and lets the next one come to be.
func (t *trial) loseAttempt(ctx context.Context, lose losing) {
	GinkgoHelper()
	lose(ctx, t)
	t.settleAll(ctx)
	t.clock.SetTime(t.clock.Now().Add(time.Minute))
	t.settleAll(ctx)
}

var _ = Describe("a lost backup pod", func() {
	DescribeTable("is followed by another one from the same snapshot", func(ctx context.Context, phase v2alpha1.Phase, lose losing, words string) {
		t := newTrial()
		t.advance(ctx, phase)
		if phase == v2alpha1.PhaseAccepted {
			t.provision(ctx)
		}
		first, started := t.pod(ctx), t.status(ctx).StartTimestamp
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		t.clock.SetTime(t.clock.Now().Add(5 * time.Minute))
		t.events()

		lose(ctx, t)
		t.settleAll(ctx)
		status := t.status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(status.Message).To(HavePrefix("attempt 2 of 3: starts after a back-off of 10s; attempt 1"))
		Expect(status.Message).To(ContainSubstring(words))
		Expect(t.upload(ctx).Labels).To(HaveKey("velero.io/expose-on-going"))
		Expect(t.events()).To(HaveExactElements(And(HavePrefix("Warning BackupPodLost"), ContainSubstring(words))))
		Expect(live.Get(ctx, t.key(), &corev1.Pod{})).NotTo(Succeed(), "not before the back-off is over")

		t.clock.SetTime(t.clock.Now().Add(10*time.Second - time.Millisecond))
		t.settle(ctx)
		Expect(live.Get(ctx, t.key(), &corev1.Pod{})).NotTo(Succeed())
		t.clock.SetTime(t.clock.Now().Add(time.Millisecond))
		t.settle(ctx)
		second := t.pod(ctx)
		Expect(second.UID).NotTo(Equal(first.UID))
		Expect(second.Spec.Containers[0].Args).To(ContainElement("--attempt=2"))
		if phase != v2alpha1.PhaseAccepted { // there it never ran on a node
			avoided := second.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
			Expect(avoided).To(HaveLen(1))
			Expect(avoided[0].Preference.MatchFields[0].Values).To(Equal([]string{nodeName}))
		}
		again := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, t.key(), again)).To(Succeed())
		Expect(again.UID).To(Equal(pvc.UID))

		t.restart()
		t.runPod(ctx)
		t.settle(ctx)
		if phase == v2alpha1.PhasePrepared {
			Expect(t.status(ctx).Phase).To(Equal(phase), "the slot still is another's")
			t.abandon(ctx)
			return
		}
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		if started != nil {
			Expect(t.status(ctx).StartTimestamp).To(Equal(started))
		}
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCompleted))
		Expect(t.status(ctx).Message).To(And(HavePrefix("attempt 2 of 3; attempt 1"), ContainSubstring(words)))
		t.expectNothingLeft(ctx)
	},
		Entry("deleted by hand", v2alpha1.PhaseInProgress, losing(deletePod), "backup pod is gone"),
		Entry("evicted", v2alpha1.PhaseInProgress, losing(evict), "Evicted: The node was low on resource: memory."),
		Entry("out of memory", v2alpha1.PhaseInProgress, endMover(137, "OOMKilled", ""), "killed because its node had no memory left"),
		Entry("killed", v2alpha1.PhaseInProgress, endMover(137, "Error", "opening\nuploading"), `was lost: killed by signal SIGKILL (exit code 137, reason Error), not by itself; the last line of its log: "uploading"`),
		Entry("interrupted", v2alpha1.PhaseInProgress, endMover(75, "Error", "the store does not answer"), "the store does not answer"),
		Entry("without a word", v2alpha1.PhaseInProgress, losing(func(ctx context.Context, t *trial) {
			t.podStatus(ctx, func(s *corev1.PodStatus) { s.Phase = corev1.PodFailed })
		}), "nothing says why"),
		Entry("ended by the cluster", v2alpha1.PhaseInProgress, losing(func(ctx context.Context, t *trial) {
			t.podStatus(ctx, func(s *corev1.PodStatus) {
				s.Phase = corev1.PodFailed
				s.Conditions = []corev1.PodCondition{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager", Message: "deleting due to NoExecute taint",
				}}
			})
		}), "DeletionByTaintManager: deleting due to NoExecute taint"),
		Entry("while it waits for its slot", v2alpha1.PhasePrepared, losing(evict), "Evicted"),
		Entry("deleted while it waits for its slot", v2alpha1.PhasePrepared, losing(deletePod), "backup pod is gone"),
		Entry("before it ran", v2alpha1.PhaseAccepted, losing(evict), "Evicted"),
	)

	DescribeTable("leaves its log with the agent before it is removed", func(ctx context.Context, code int32) {
		t := newTrial()
		read := make(chan string, 1)
		t.r.Logs = &moverpod.Logs{Read: func(ctx context.Context, namespace, pod string, _ *corev1.PodLogOptions) ([]byte, error) {
			defer close(read)
			return []byte("last words"), live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: pod}, &corev1.Pod{})
		}}
		t.advance(ctx, v2alpha1.PhaseInProgress)
		first := t.pod(ctx).UID
		endMover(code, "Error", "cannot")(ctx, t)
		Eventually(func() bool {
			t.settleAll(ctx)
			pod := &corev1.Pod{}
			return live.Get(ctx, t.key(), pod) != nil || pod.UID != first
		}).Should(BeTrue())
		Eventually(read).Should(BeClosed())
		t.abandon(ctx)
	},
		Entry("lost", int32(75)),
		Entry("failed", int32(1)),
	)

	It("costs no attempt if somebody deleted it before it could read", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		first := t.pod(ctx)
		deletePod(ctx, t)
		t.settleAll(ctx)
		Expect(t.pod(ctx).UID).NotTo(Equal(first.UID))
		Expect(t.upload(ctx).Annotations).NotTo(HaveKey("node-agent.io/lost-attempts"))
		t.runPod(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		t.abandon(ctx)
	})

	It("fails its DataUpload with the last attempt, and tells of all", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		for range maxAttempts - 1 {
			t.loseAttempt(ctx, evict)
			t.runPod(ctx)
			t.settle(ctx)
			Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		}
		endMover(137, "OOMKilled", "")(ctx, t)
		t.settleAll(ctx)
		status := t.status(ctx)
		Expect(status.Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(status.Message).To(And(
			ContainSubstring("attempt 1 on node node-1 was lost: evicted"), ContainSubstring("attempt 2 on node node-1 was lost: evicted"),
			ContainSubstring("attempt 3 on node node-1 was lost: killed because"),
		))
		t.expectNothingLeft(ctx)
	})

	It("waits longer before every further attempt", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		DeferCleanup(t.abandon)
		t.loseAttempt(ctx, evict)
		t.runPod(ctx)
		t.settle(ctx)
		evict(ctx, t)
		t.settleAll(ctx)
		Expect(t.status(ctx).Message).To(HavePrefix("attempt 3 of 3: starts after a back-off of 20s;"))
	})

	It("does not follow a data error", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.loseAttempt(ctx, evict)
		t.runPod(ctx)
		t.settle(ctx)
		endMover(1, "Error", "cannot read /data/x: input/output error")(ctx, t)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(t.status(ctx).Message).To(HavePrefix("attempt 2 of 3: backup pod failed: cannot read /data/x: input/output error; attempt 1 "))
		t.expectNothingLeft(ctx)
	})

	It("is canceled at the prepare timeout of the new attempt, not of the first", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.clock.SetTime(t.clock.Now().Add(10 * prepareTimeout))
		t.loseAttempt(ctx, evict)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		t.clock.SetTime(t.clock.Now().Add(prepareTimeout))
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(t.status(ctx).Message).To(And(ContainSubstring("attempt 2 of 3"), ContainSubstring("Evicted")))
		t.expectNothingLeft(ctx)
	})

	It("can be canceled between two attempts", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		evict(ctx, t)
		t.settle(ctx)
		t.cancel(ctx)
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		t.expectNothingLeft(ctx)
	})

	It("that is being deleted gets the time to stop, and is removed by force if nobody stops it", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		DeferCleanup(t.abandon)
		Expect(live.Delete(ctx, t.pod(ctx))).To(Succeed())
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		Expect(t.status(ctx).Message).To(Equal("backup pod on node node-1 is being deleted"))
		t.clock.SetTime(t.pod(ctx).DeletionTimestamp.Add(10 * time.Second))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(t.status(ctx).Message).To(ContainSubstring("attempt 1 on node node-1 was lost"))
	})

	It("counts as ended with its mover, although an injected sidecar runs on", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.podStatus(ctx, func(s *corev1.PodStatus) {
			s.Phase = corev1.PodRunning
			s.ContainerStatuses = slices.Insert(s.ContainerStatuses, 0, corev1.ContainerStatus{
				Name: "sidecar", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			})
		})
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCompleted))
		Expect(strings.TrimSpace(t.status(ctx).SnapshotID)).To(Equal("k1"))
		t.expectNothingLeft(ctx)
	})
})

var _ = Describe("a node that is lost", func() {
	const doomed = "doomed"
	var (
		node        *corev1.Node
		silentSince metav1.Time
	)

	BeforeEach(func(ctx context.Context) {
		silentSince = metav1.Time{}
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: doomed}}
		Expect(live.Create(ctx, node)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(live.Delete(ctx, node))).To(Succeed()) })
	})
	ready := func(ctx context.Context, status corev1.ConditionStatus, reason, message string) {
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: status, Reason: reason, Message: message, LastTransitionTime: silentSince,
		}}
		Expect(live.Status().Update(ctx, node)).To(Succeed())
		Eventually(func(g Gomega) {
			seen := &corev1.Node{}
			g.Expect(cached.Get(ctx, client.ObjectKeyFromObject(node), seen)).To(Succeed())
			g.Expect(seen.Status.Conditions).To(HaveExactElements(HaveField("Status", status)))
		}).Should(Succeed())
	}
	silent := func(ctx context.Context) {
		ready(ctx, corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.")
	}
	start := func(ctx context.Context) *trial {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		t.runPodOn(ctx, doomed)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		DeferCleanup(t.abandon)
		return t
	}

	It("takes its backup pod with it at once when it is deleted", func(ctx context.Context) {
		t := start(ctx)
		Expect(live.Delete(ctx, node)).To(Succeed())
		Eventually(func() error { return cached.Get(ctx, client.ObjectKeyFromObject(node), &corev1.Node{}) }).ShouldNot(Succeed())
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(t.status(ctx).Message).To(ContainSubstring("attempt 1 on node doomed was lost: node doomed is gone"))
		Expect(live.Get(ctx, t.key(), &corev1.Pod{})).NotTo(Succeed(), "nobody is left to stop the pod, so it goes by force")
	})

	It("is only mentioned while it is silent, because it may come back", func(ctx context.Context) {
		t := start(ctx)
		silent(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		Expect(t.status(ctx).Message).To(HavePrefix("node doomed is not ready (NodeStatusUnknown: Kubelet stopped posting node status.): waiting"))
		ready(ctx, corev1.ConditionTrue, "KubeletReady", "")
		t.settle(ctx)
		Expect(t.status(ctx).Message).To(BeEmpty())
	})

	It("is given up after seven minutes of silence, although nobody evicts its pods", func(ctx context.Context) {
		t := start(ctx)
		silentSince = metav1.NewTime(t.clock.Now())
		silent(ctx)
		t.clock.SetTime(t.clock.Now().Add(7*time.Minute - time.Second))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseInProgress))
		t.clock.SetTime(t.clock.Now().Add(time.Second))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(t.status(ctx).Message).To(ContainSubstring(
			"attempt 1 on node doomed was lost: node doomed has not been ready for 7m0s (NodeStatusUnknown: Kubelet stopped posting node status.)"))
	})

	It("is given up when it is silent and the cluster evicts its pods", func(ctx context.Context) {
		t := start(ctx)
		silent(ctx)
		Expect(live.Delete(ctx, t.pod(ctx))).To(Succeed())
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		Expect(t.status(ctx).Message).To(ContainSubstring("node doomed is not ready"))
		t.clock.SetTime(t.pod(ctx).DeletionTimestamp.Add(10 * time.Second))
		t.settle(ctx)
		Expect(t.pod(ctx).Spec.NodeName).To(BeEmpty(), "the next attempt's")
	})
})
