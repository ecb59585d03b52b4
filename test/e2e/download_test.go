package e2e

import (
	"context"
	"fmt"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/expose"
)

// What stock Velero restores of our backups is part of nearly all other scenarios, see expectRestorable.
var _ = Describe("A restore by our agent", Label("restore"), func() {
	stockAgent := func(ctx context.Context, _ ...string) { useStockAgent(ctx) }

	DescribeTable("brings back what was backed up",
		func(ctx context.Context, useAgent func(context.Context, ...string), what application) {
			namespace, before := deploy(ctx, what)
			useAgent(ctx)
			backUpAndLose(ctx, namespace)
			useOurAgent(ctx)
			restore(ctx, namespace)
			expectHandedOver(ctx, namespace, before)
		},
		Entry("by us", Label("swap"), useOurAgent, application{}, SpecTimeout(specLimit)),
		Entry("by stock Velero", stockAgent, application{}, SpecTimeout(specLimit)),
		Entry("by us, from a block volume", useOurAgent, application{block: true}, SpecTimeout(specLimit)),
		Entry("by stock Velero, from a block volume", stockAgent, application{block: true}, SpecTimeout(specLimit)),
		Entry("by us, from several volumes", useOurAgent, application{volumes: 3}, SpecTimeout(specLimit)),
	)

	It("brings it back in another namespace and with another storage class", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{})
		useOurAgent(ctx)
		backUpAndLose(ctx, namespace)
		from, to := storageClasses(ctx)
		changeStorageClass(ctx, from, to)
		elsewhere := namespace + "-elsewhere"
		DeferCleanup(deleteNamespace, elsewhere)
		restore(ctx, namespace, "--namespace-mappings", namespace+":"+elsewhere)
		expectHandedOver(ctx, elsewhere, before)
		claim := &corev1.PersistentVolumeClaim{}
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: elsewhere, Name: claimName(0)}, claim)).To(Succeed())
		Expect(claim.Spec.StorageClassName).To(HaveValue(Equal(to)))
	}, SpecTimeout(specLimit))

	DescribeTable("of a storage class that binds with the first consumer",
		func(ctx context.Context, config string, reaches func(v2alpha1.TransferStatus) bool) {
			_, class := storageClasses(ctx, func(class *storagev1.StorageClass) {
				class.VolumeBindingMode = new(storagev1.VolumeBindingWaitForFirstConsumer)
			})
			namespace, before := deploy(ctx, application{class: class})
			scaleApplication(ctx, namespace, 0)
			useOurAgent(ctx)
			configure(ctx, config)
			DeferCleanup(configure, "{}")
			backUpAndLose(ctx, namespace)
			startRestore(ctx, namespace)
			dataDownload(ctx, namespace, reaches)
			scaleApplication(ctx, namespace, 1)
			expectRestore(ctx, namespace, "Completed")
			expectHandedOver(ctx, namespace, before)
		},
		Entry("waits for a pod that uses the volume", `{}`, waitsFor("waits for a pod that uses it"), SpecTimeout(specLimit)),
		Entry("does not wait with ignoreDelayBinding", `{"restorePVC": {"ignoreDelayBinding": true}}`,
			inPhase(v2alpha1.PhaseCompleted), SpecTimeout(specLimit)),
	)

	It("is Canceled with the reason at the prepare timeout when its storage class is gone", func(ctx context.Context) {
		_, class := storageClasses(ctx)
		namespace, _ := deploy(ctx, application{class: class})
		useOurAgent(ctx, "--data-mover-prepare-timeout="+prepareTimeout.String())
		backUpAndLose(ctx, namespace)
		Expect(cluster.Delete(ctx, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}})).To(Succeed())

		startRestore(ctx, namespace)
		reason := fmt.Sprintf("storage class %q not found", class)
		accepted := dataDownload(ctx, namespace, waitsFor(reason))
		canceled := dataDownload(ctx, namespace, inPhase(v2alpha1.PhaseCanceled))
		expectCanceledInTime(accepted.Status.TransferStatus, canceled.Status.TransferStatus, reason)
		expectRestore(ctx, namespace, "PartiallyFailed")
		expectNothingLeft(ctx)
	}, SpecTimeout(specLimit))

	Describe("survives", Label("kill"), func() {
		var namespace, before string

		BeforeEach(func(ctx context.Context) {
			namespace, before = deploy(ctx, application{args: large})
			useOurAgent(ctx)
			backUpAndLose(ctx, namespace)
			configure(ctx, slowMovers)
			DeferCleanup(configure, "{}")
			startRestore(ctx, namespace)
		})

		// expectCompleted waits for the end, and checks which attempts were lost on the way.
		expectCompleted := func(ctx context.Context, lost gomegatypes.GomegaMatcher) {
			GinkgoHelper()
			expectRestore(ctx, namespace, "Completed")
			download := dataDownload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
			Expect(attempts.LostBy(&download)).To(lost)
			expectHandedOver(ctx, namespace, before)
		}

		It("the end of the agents while it is Accepted, Prepared and InProgress", func(ctx context.Context) {
			for _, phase := range []v2alpha1.Phase{v2alpha1.PhaseAccepted, v2alpha1.PhasePrepared, v2alpha1.PhaseInProgress} {
				// Prepared may be over before it was seen.
				download := dataDownload(ctx, namespace, inPhase(phase, v2alpha1.PhaseInProgress))
				GinkgoWriter.Printf("killing the agents in phase %s\n", download.Status.Phase)
				killAgents(ctx)
			}
			expectCompleted(ctx, BeEmpty()) // The mover does not depend on the agents.
		}, SpecTimeout(specLimit))

		It("the end of its restore pod before it moves data, and while it does", func(ctx context.Context) {
			download := dataDownload(ctx, namespace, inPhase(v2alpha1.PhaseAccepted, v2alpha1.PhasePrepared, v2alpha1.PhaseInProgress))
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: download.Namespace, Name: download.Name}}
			kill := func() error { return cluster.Delete(ctx, pod, client.GracePeriodSeconds(0)) }
			Eventually(kill).Should(Succeed())
			dataDownload(ctx, namespace, func(status v2alpha1.TransferStatus) bool { return status.Progress.BytesDone > 0 })
			Expect(kill()).To(Succeed())
			// Nobody has seen the mover end, so the next one waits.
			Eventually(phaseOf(ctx, "Restore", namespace), attempts.LeaseOver+aBackup).Should(Equal("Completed"))
			// A pod that is gone before it ran is made again, and was no attempt.
			expectCompleted(ctx, Or(HaveLen(1), HaveLen(2)))
		}, SpecTimeout(specLimit))
	})
})

// backUpAndLose backs a namespace up and deletes it when that is done.
func backUpAndLose(ctx context.Context, namespace string) {
	GinkgoHelper()
	startBackup(ctx, namespace)
	expectBackup(ctx, namespace, "Completed")
	expectNothingLeft(ctx)
	deleteNamespace(ctx, namespace)
}

// expectHandedOver checks that volumes hold what they held before, and that nothing on them tells of the restore.
func expectHandedOver(ctx context.Context, namespace, listing string) {
	GinkgoHelper()
	expectRestored(ctx, namespace, listing)
	expectNothingLeft(ctx)
	claims := &corev1.PersistentVolumeClaimList{}
	Expect(cluster.List(ctx, claims, client.InNamespace(namespace))).To(Succeed())
	for _, claim := range claims.Items {
		volume := &corev1.PersistentVolume{}
		Expect(cluster.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, volume)).To(Succeed())
		Expect(volume.Spec.PersistentVolumeReclaimPolicy).To(Equal(corev1.PersistentVolumeReclaimDelete), "that of the class")
		Expect(volume.Labels).NotTo(HaveKey(expose.OwnerUIDLabel))
		Expect(volume.Spec.ClaimRef.UID).To(Equal(claim.UID))
	}
}

// changeStorageClass lets Velero restore volumes of one class with another, as its documentation says.
func changeStorageClass(ctx context.Context, from, to string) {
	GinkgoHelper()
	configMap := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: veleroNamespace, GenerateName: "e2e-",
			Labels: map[string]string{"velero.io/plugin-config": "", "velero.io/change-storage-class": "RestoreItemAction"},
		},
		Data: map[string]string{from: to},
	}
	Expect(cluster.Create(ctx, configMap)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(cluster.Delete(ctx, configMap)).To(Succeed()) })
}

// scaleApplication starts or stops the application of a namespace, as soon as it is there: a restore makes it after its volume.
func scaleApplication(ctx context.Context, namespace string, replicas int) {
	GinkgoHelper()
	Eventually(func() error {
		args := []string{"scale", "-n", namespace, "deployment/" + applicationName, fmt.Sprintf("--replicas=%d", replicas)}
		return exec.CommandContext(ctx, "kubectl", args...).Run()
	}).Should(Succeed())
	if replicas == 0 {
		run(ctx, "kubectl", "wait", "-n", namespace, "pods", "-l", "app="+applicationName, "--for=delete", "--timeout=1m")
	}
}
