package faults

import (
	"context"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/test/cluster"
)

const (
	isNew      = v2alpha1.PhaseNew
	accepted   = v2alpha1.PhaseAccepted
	prepared   = v2alpha1.PhasePrepared
	inProgress = v2alpha1.PhaseInProgress
	canceling  = v2alpha1.PhaseCanceling
	canceled   = v2alpha1.PhaseCanceled
	completed  = v2alpha1.PhaseCompleted
	failed     = v2alpha1.PhaseFailed
	// deleted is the end of one that somebody deletes.
	deleted = v2alpha1.Phase("deleted")
)

// scenario is one way a DataUpload or DataDownload can go.
type scenario struct {
	name string
	// restores says that it is a DataDownload's.
	restores bool
	// acts happen one after the other, each as soon as it is its time.
	acts []act
	// want is the phase it must end in.
	want v2alpha1.Phase
	// tooLate is the phase it may end in, too, if the cache was too old to show the last act in time.
	tooLate v2alpha1.Phase
	// losses is how many attempts are lost on the way.
	losses int
	// change prepares the run.
	change func(*run)
}

// act is what somebody does to a DataUpload or DataDownload on its way.
type act struct {
	when func(moment) bool
	do   func(context.Context, *run)
}

// moment is the state of a run between two steps.
type moment struct {
	// object is the DataUpload or DataDownload, nil if it is gone. So are pod and the PVC that it mounts.
	object v2alpha1.Transfer
	pvc    *corev1.PersistentVolumeClaim
	pod    *corev1.Pod
	// target and volume are the target PVC of a DataDownload and what was made for it, or nil.
	target *corev1.PersistentVolumeClaim
	volume *corev1.PersistentVolume
}

func (m moment) phase() v2alpha1.Phase {
	switch {
	case m.object == nil:
		return deleted
	case m.object.TransferStatus().Phase == "":
		return isNew
	default:
		return m.object.TransferStatus().Phase
	}
}

func in(phase v2alpha1.Phase) func(moment) bool {
	return func(m moment) bool { return m.phase() == phase }
}

func pvcIsThere(m moment) bool { return m.pvc != nil }

func moverIsDone(m moment) bool { return m.pod != nil && m.pod.Status.Phase == corev1.PodSucceeded }

func betweenAttempts(m moment) bool {
	return m.phase() == accepted && m.pod == nil && len(attempts.LostBy(m.object)) > 0
}

func cancel(ctx context.Context, r *run) { r.Cancel(ctx) }

func deleteMove(ctx context.Context, r *run) {
	Expect(client.IgnoreNotFound(live.Delete(ctx, r.object()))).To(Succeed())
}

func passPrepareTimeout(_ context.Context, r *run) { r.passTime(2 * prepareTimeout) }

func evict(ctx context.Context, r *run) {
	r.PodStatus(ctx, func(s *corev1.PodStatus) {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
	})
}

func deletePod(ctx context.Context, r *run) {
	if pod := r.Pod(ctx); pod != nil {
		Expect(client.IgnoreNotFound(live.Delete(ctx, pod))).To(Succeed())
	}
}

func killForMemory(ctx context.Context, r *run) { r.EndPod(ctx, 137, "OOMKilled", "") }

// loseNode takes the node away that the pod is on, and nobody reports the end of the pod.
func loseNode(ctx context.Context, r *run) {
	node := &corev1.Node{}
	node.Name, r.node = r.node, cluster.Node
	Expect(client.IgnoreNotFound(live.Delete(ctx, node))).To(Succeed())
}

func loseResults(r *run) { r.losesResults = true }

// encryptedVolume has a driver that looks for a Secret beside the PVC of the pod.
func encryptedVolume(r *run) {
	r.secret = "key-of-" + r.name
	r.configure(func(c *config.Config) {
		c.BackupPVC = map[string]config.BackupPVC{cluster.FastClass: {SecretNames: []string{r.secret}}}
		c.RestorePVC = &config.RestorePVC{SecretNames: []string{r.secret}}
	})
}

func occupiedNode(r *run) { r.occupied = true }

func wrongPassword(r *run) { r.wrongPassword = true }

func doomedNode(r *run) { r.node = "doomed-" + r.name }

func freeNode(ctx context.Context, r *run) { r.freeSlot(ctx) }

// at makes an act of what happens in a phase.
func at(phase v2alpha1.Phase, do func(context.Context, *run)) act {
	return act{when: in(phase), do: do}
}

// occupiedAt prepares a run in which something happens in phase Prepared: it stays there while another one moves data.
func occupiedAt(phase v2alpha1.Phase) func(*run) {
	if phase == prepared {
		return occupiedNode
	}
	return nil
}

// scenarios are those of both kinds.
func scenarios() []scenario { return append(uploads(), restores()...) }

// common are the scenarios that both kinds have.
func common() []scenario {
	all := []scenario{
		{name: "success", want: completed},
		{name: "success after waiting for a slot", want: completed, change: occupiedNode, acts: []act{at(prepared, freeNode)}},
		{name: "success, volume that is encrypted", want: completed, change: encryptedVolume},
		{name: "data error", want: failed, change: wrongPassword},
	}
	for _, phase := range []v2alpha1.Phase{isNew, accepted, prepared, inProgress} {
		all = append(all, scenario{
			name: "cancel in " + string(phase), want: canceled, change: occupiedAt(phase), acts: []act{at(phase, cancel)},
		})
	}
	// In phase New nothing guards them, and nothing has been made for them.
	for _, phase := range []v2alpha1.Phase{accepted, prepared, inProgress} {
		all = append(all, scenario{
			name: "deletion in " + string(phase), want: deleted, change: occupiedAt(phase), acts: []act{at(phase, deleteMove)},
		})
	}
	return append(all,
		scenario{name: "cancel in Canceling", want: canceled, acts: []act{at(inProgress, cancel), at(canceling, cancel)}},
		scenario{name: "deletion in Canceling", want: deleted, acts: []act{at(inProgress, cancel), at(canceling, deleteMove)}},
		scenario{name: "mover evicted", want: completed, losses: 1, acts: []act{at(inProgress, evict)}},
		scenario{
			name: "pod evicted while it waits for a slot", want: completed, losses: 1, change: occupiedNode,
			acts: []act{at(prepared, evict), {when: betweenAttempts, do: freeNode}},
		},
		scenario{name: "mover out of memory", want: completed, losses: 1, acts: []act{at(inProgress, killForMemory)}},
		scenario{name: "pod deleted", want: completed, losses: 1, acts: []act{at(inProgress, deletePod)}},
		scenario{name: "node gone", want: completed, losses: 1, change: doomedNode, acts: []act{at(inProgress, loseNode)}},
		scenario{
			name: "node silent, and nobody evicts its pods", want: completed, losses: 1, change: doomedNode,
			acts: []act{at(inProgress, silenceNode)},
		},
		scenario{
			name: "cancel between attempts", want: canceled, losses: 1,
			acts: []act{at(inProgress, evict), {when: betweenAttempts, do: cancel}},
		},
		scenario{name: "all results get lost", want: failed, losses: maxAttempts, change: loseResults},
	)
}
