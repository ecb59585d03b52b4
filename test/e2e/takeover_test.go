package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("The stock agent is replaced by ours", Label("takeover"), func() {
	// oneAtATime lets one DataUpload move data slowly while others are Prepared.
	const oneAtATime = `{"loadConcurrency": {"globalConfig": 1}, "podResources": ` + slow + `}`

	BeforeEach(useStockAgent)

	It("while a DataUpload is Accepted, and it is not lost", func(ctx context.Context) {
		if objects == "" {
			Skip("it is not the testbed's cluster")
		}
		namespace, before := deploy(ctx, application{})
		By("keeping its backupPVC from being provisioned")
		run(ctx, "testbed", "stop", "csi-provisioner")
		DeferCleanup(func(ctx context.Context) { run(ctx, "testbed", "start", "csi-provisioner") })
		startBackup(ctx, namespace)
		dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseAccepted))
		Eventually(func() error { return expectStockPod(ctx, namespace) }).Should(Succeed(), "the stock agent has made its backup pod")
		useOurAgent(ctx)
		run(ctx, "testbed", "start", "csi-provisioner")
		dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))

	It("while DataUploads are Prepared and InProgress, and none is lost", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{args: large, volumes: 3})
		configure(ctx, oneAtATime)
		DeferCleanup(configure, "{}")
		startBackup(ctx, namespace)
		Eventually(phases).WithContext(ctx).WithArguments(namespace).Should(ConsistOf(
			v2alpha1.PhaseInProgress, v2alpha1.PhasePrepared, v2alpha1.PhasePrepared))
		useOurAgent(ctx)
		Eventually(phases).WithContext(ctx).WithArguments(namespace).WithTimeout(aBackup).Should(
			And(HaveLen(3), HaveEach(v2alpha1.PhaseCompleted)))
		configure(ctx, "{}") // A restore need not be slow.
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})

// phases are those of all DataUploads of a backup.
func phases(ctx context.Context, backup string) ([]v2alpha1.Phase, error) {
	uploads, err := dataUploads(ctx, backup)
	var found []v2alpha1.Phase
	for _, upload := range uploads {
		found = append(found, upload.Status.Phase)
	}
	return found, err
}

// expectStockPod fails until the only DataUpload of a backup has a backup pod.
func expectStockPod(ctx context.Context, backup string) error {
	uploads, err := dataUploads(ctx, backup)
	if err != nil {
		return err
	}
	return cluster.Get(ctx, client.ObjectKeyFromObject(&uploads[0]), &corev1.Pod{})
}
