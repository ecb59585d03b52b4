package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("A backup that is not wanted any more", Label("cancel"), func() {
	BeforeEach(func(ctx context.Context) {
		useOurAgent(ctx)
		configure(ctx, slowMovers)
		DeferCleanup(configure, "{}")
	})

	It("leaves nothing when its DataUpload is deleted", func(ctx context.Context) {
		namespace, _ := deploy(ctx, application{args: large})
		startBackup(ctx, namespace)
		upload := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseInProgress))
		Expect(cluster.Delete(ctx, &upload)).To(Succeed())
		Eventually(func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(&upload), &upload) }).Should(Satisfy(apierrors.IsNotFound))
		expectBackup(ctx, namespace, "PartiallyFailed")
		expectNothingLeft(ctx)
		expectNoSnapshots(ctx, namespace)
	}, SpecTimeout(specLimit))

	It("leaves nothing when it is deleted while it runs", func(ctx context.Context) {
		namespace, _ := deploy(ctx, application{args: large})
		startBackup(ctx, namespace)
		dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseInProgress))
		backup := &unstructured.Unstructured{}
		backup.SetGroupVersionKind(velerov1.GroupVersion.WithKind("Backup"))
		backup.SetNamespace(veleroNamespace)
		backup.SetName(namespace)
		Expect(cluster.Delete(ctx, backup)).To(Succeed())
		Eventually(func() ([]v2alpha1.DataUpload, error) { return dataUploads(ctx, namespace) }).Should(BeEmpty())
		expectNothingLeft(ctx)
		expectNoSnapshots(ctx, namespace)
	}, SpecTimeout(specLimit))

	It("ends as Canceled at the item operation timeout", func(ctx context.Context) {
		namespace, _ := deploy(ctx, application{args: large})
		startBackup(ctx, namespace, "--item-operation-timeout=15s")
		upload := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCanceled))
		Expect(upload.Spec.Cancel).To(BeTrue())
		Expect(upload.Status.Message).NotTo(BeEmpty())
		expectBackup(ctx, namespace, "PartiallyFailed")
		expectNothingLeft(ctx)
		expectNoSnapshots(ctx, namespace)
	}, SpecTimeout(specLimit))
})

// expectNoSnapshots checks that the repository of a namespace, which can be opened, holds no snapshot.
func expectNoSnapshots(ctx context.Context, namespace string) {
	GinkgoHelper()
	if objects != "" {
		Expect(snapshotIDs(ctx, namespace)).To(BeEmpty(), "snapshots in the repository")
	}
}
