package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("An installation of stock Velero", Label("swap"), func() {
	It("backs up with our image, and restores with its own what was backed up", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{})
		useOurAgent(ctx)
		if !leastRights {
			Eventually(agentLog).WithContext(ctx).Should(ContainSubstring("have service account " + expose.MoverServiceAccount))
		}
		startBackup(ctx, namespace)
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))

	It("does so with the rights of config/rbac, and without a folder of the node", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{})
		if !leastRights {
			grantLeastRights(ctx)
		}
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		upload := dataUpload(ctx, namespace, inPhase(
			v2alpha1.PhaseAccepted, v2alpha1.PhasePrepared, v2alpha1.PhaseInProgress))
		pod := &corev1.Pod{}
		Eventually(func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(&upload), pod) }).Should(Succeed())
		Expect(pod.Spec.ServiceAccountName).To(Equal(expose.MoverServiceAccount))
		Expect(pod.Spec.Volumes).To(HaveEach(HaveField("HostPath", BeNil())))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})
