package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

var _ = Describe("A backup survives", Label("kill"), func() {
	It("the end of the agents while its DataUpload is Accepted, Prepared and InProgress", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{args: large})
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		for _, phase := range []v2alpha1.Phase{
			v2alpha1.PhaseAccepted, v2alpha1.PhasePrepared, v2alpha1.PhaseInProgress,
		} {
			// Prepared may be over before it was seen.
			upload := dataUpload(ctx, namespace, inPhase(phase, v2alpha1.PhaseInProgress))
			GinkgoWriter.Printf("killing the agents in phase %s\n", upload.Status.Phase)
			killAgents(ctx)
		}
		upload := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
		Expect(attempts.LostBy(&upload)).To(BeEmpty(), "the mover does not depend on the agents")
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))

	It("the end of its backup pod", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{args: large})
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		upload := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseInProgress))
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: upload.Namespace, Name: upload.Name}}
		Expect(cluster.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())

		upload = dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
		Expect(attempts.LostBy(&upload)).To(HaveLen(1))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})
