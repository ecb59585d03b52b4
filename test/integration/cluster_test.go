package integration

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/cluster"
)

// world plays the rest of the cluster.
var world *cluster.Cluster

// inCluster is the trial's DataUpload as the rest of the cluster sees it.
func (t *trial) inCluster() *cluster.Upload {
	return &cluster.Upload{Cluster: world, Name: t.name, Class: t.class, Mode: t.mode, Policy: t.policy}
}

func (t *trial) makeSource(ctx context.Context) { t.inCluster().MakeSource(ctx) }

func (t *trial) deleteSourcePVC(ctx context.Context) { t.inCluster().DeleteSourcePVC(ctx) }

// cancel does what Velero does to cancel.
func (t *trial) cancel(ctx context.Context) { t.inCluster().Cancel(ctx) }

func (t *trial) bindAlias(ctx context.Context) {
	GinkgoHelper()
	Expect(t.inCluster().BindAlias(ctx)).To(BeTrue())
}

// provision lets the backupPVC be bound, and what waits for that be done.
func (t *trial) provision(ctx context.Context) {
	GinkgoHelper()
	Expect(t.inCluster().Provision(ctx)).To(BeTrue())
	t.settle(ctx)
}

func (t *trial) runPod(ctx context.Context) {
	GinkgoHelper()
	t.runPodOn(ctx, nodeName)
}

func (t *trial) runPodOn(ctx context.Context, node string) {
	GinkgoHelper()
	Expect(t.inCluster().RunPod(ctx, node)).To(BeTrue())
}

// endPod lets the mover end with a termination message.
func (t *trial) endPod(ctx context.Context, phase corev1.PodPhase, message string) {
	GinkgoHelper()
	code, reason := int32(0), "Completed"
	if phase == corev1.PodFailed {
		code, reason = 1, "Error"
	}
	Expect(t.inCluster().EndPod(ctx, code, reason, message)).To(BeTrue())
}

func (t *trial) podStatus(ctx context.Context, change func(*corev1.PodStatus)) {
	GinkgoHelper()
	Expect(t.inCluster().PodStatus(ctx, change)).To(BeTrue())
}

// collect does what the cluster's controllers do about objects that are being deleted. It tells whether it did anything.
func (t *trial) collect(ctx context.Context) bool { return t.inCluster().Collect(ctx) }

// readyRepository plays the Velero server.
func readyRepository(ctx context.Context) { world.ReadyRepository(ctx) }

func release(ctx context.Context, obj client.Object) { world.Release(ctx, obj) }

func (t *trial) aliasPair(ctx context.Context) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	return t.inCluster().AliasPair(ctx)
}
