package faults

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
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
	// deleted is the end of a DataUpload that somebody deletes.
	deleted = v2alpha1.Phase("deleted")
)

// scenario is one way a DataUpload can go.
type scenario struct {
	name string
	// acts happen one after the other, each as soon as it is its time.
	acts []act
	// want is the phase it must end in.
	want v2alpha1.Phase
	// losses is how many attempts are lost on the way.
	losses int
	// change prepares the run.
	change func(*run)
}

// act is what somebody does to a DataUpload on its way.
type act struct {
	when func(moment) bool
	do   func(context.Context, *run)
}

// moment is the state of a run between two steps.
type moment struct {
	du  *v2alpha1.DataUpload
	pvc *corev1.PersistentVolumeClaim
	pod *corev1.Pod
}

func (m moment) phase() v2alpha1.Phase {
	switch {
	case m.du == nil:
		return deleted
	case m.du.Status.Phase == "":
		return isNew
	default:
		return m.du.Status.Phase
	}
}

func in(phase v2alpha1.Phase) func(moment) bool {
	return func(m moment) bool { return m.phase() == phase }
}

func backupPVCIsThere(m moment) bool { return m.pvc != nil }

func moverIsDone(m moment) bool { return m.pod != nil && m.pod.Status.Phase == corev1.PodSucceeded }

func betweenAttempts(m moment) bool { return m.phase() == accepted && m.pod == nil && m.pvc != nil }

func cancel(ctx context.Context, r *run) { r.Cancel(ctx) }

func deleteUpload(ctx context.Context, r *run) {
	Expect(client.IgnoreNotFound(live.Delete(ctx, r.DataUpload()))).To(Succeed())
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

// loseNode takes the node away that the backup pod is on, and nobody reports the end of the pod.
func loseNode(ctx context.Context, r *run) {
	node := &corev1.Node{}
	node.Name, r.node = r.node, cluster.Node
	Expect(client.IgnoreNotFound(live.Delete(ctx, node))).To(Succeed())
}

// reconfigure lets the next reconciler have another configuration.
func reconfigure(ctx context.Context, r *run) {
	r.configure(config.BackupPVC{StorageClass: cluster.FastClass, ReadOnly: false})
	r.restart(ctx)
}

func loseResults(r *run) { r.losesResults = true }

func retainedClass(r *run) { r.Policy = snapshotv1.VolumeSnapshotContentRetain }

func missingClass(r *run) {
	r.configure(config.BackupPVC{StorageClass: "missing"})
	r.unprovisionable = true
}

func readOnlyCopy(r *run) {
	r.configure(config.BackupPVC{StorageClass: cluster.CopyClass, ReadOnly: true})
}

func encryptedVolume(r *run) {
	r.secret = "key-of-" + r.Name
	r.configure(config.BackupPVC{SecretNames: []string{r.secret}})
}

func occupiedNode(r *run) { r.occupied = true }

func wrongPassword(r *run) { r.wrongPassword = true }

func doomedNode(r *run) { r.node = "doomed-" + r.Name }

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

func scenarios() []scenario {
	all := []scenario{
		{name: "success", want: completed},
		{name: "success, snapshot class with policy Retain", want: completed, change: retainedClass},
		{name: "success after waiting for a slot", want: completed, change: occupiedNode, acts: []act{at(prepared, freeNode)}},
		{name: "success, volume that is encrypted", want: completed, change: encryptedVolume},
		{name: "data error", want: failed, change: wrongPassword},
		{name: "prepare timeout", want: canceled, change: missingClass, acts: []act{at(accepted, passPrepareTimeout)}},
		{
			name: "configuration changes in between", want: completed, change: readOnlyCopy,
			acts: []act{{when: backupPVCIsThere, do: reconfigure}},
		},
	}
	for _, phase := range []v2alpha1.Phase{isNew, accepted, prepared, inProgress} {
		all = append(all, scenario{
			name: "cancel in " + string(phase), want: canceled, change: occupiedAt(phase), acts: []act{at(phase, cancel)},
		})
	}
	// In phase New nothing guards a DataUpload, and nothing has been made for it.
	for _, phase := range []v2alpha1.Phase{accepted, prepared, inProgress} {
		all = append(all, scenario{
			name: "deletion in " + string(phase), want: deleted, change: occupiedAt(phase), acts: []act{at(phase, deleteUpload)},
		})
	}
	return append(all,
		scenario{name: "cancel in Canceling", want: canceled, acts: []act{at(inProgress, cancel), at(canceling, cancel)}},
		scenario{name: "deletion in Canceling", want: deleted, acts: []act{at(inProgress, cancel), at(canceling, deleteUpload)}},
		scenario{name: "cancel when the mover is done", want: completed, acts: []act{{when: moverIsDone, do: cancel}}},
		scenario{name: "deletion in Completed", want: deleted, acts: []act{at(completed, deleteUpload)}},
		scenario{name: "mover evicted", want: completed, losses: 1, acts: []act{at(inProgress, evict)}},
		scenario{
			name: "backup pod evicted while it waits for a slot", want: completed, losses: 1, change: occupiedNode,
			acts: []act{at(prepared, evict), {when: betweenAttempts, do: freeNode}},
		},
		scenario{name: "mover out of memory", want: completed, losses: 1, acts: []act{at(inProgress, killForMemory)}},
		scenario{name: "backup pod deleted", want: completed, losses: 1, acts: []act{at(inProgress, deletePod)}},
		scenario{name: "node gone", want: completed, losses: 1, change: doomedNode, acts: []act{at(inProgress, loseNode)}},
		scenario{
			name: "cancel between attempts", want: canceled, losses: 1,
			acts: []act{at(inProgress, evict), {when: betweenAttempts, do: cancel}},
		},
		scenario{
			name: "cancel when a result got lost", want: canceled, losses: 1, change: loseResults,
			acts: []act{{when: betweenAttempts, do: cancel}},
		},
		scenario{
			name: "deletion when a result got lost", want: deleted, losses: 1, change: loseResults,
			acts: []act{{when: betweenAttempts, do: deleteUpload}},
		},
		scenario{name: "all results get lost", want: failed, losses: maxAttempts, change: loseResults},
	)
}
