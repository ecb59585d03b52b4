package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// prepareTimeout is long enough for a slow machine to say why it waits.
const prepareTimeout = 40 * time.Second

var _ = Describe("A backupPVC that cannot be had", Label("missing"), func() {
	AfterEach(func(ctx context.Context) { configure(ctx, "{}") })

	It("leaves the DataUpload Accepted with the reason, until it is Canceled at the prepare timeout", func(ctx context.Context) {
		namespace, _ := deploy(ctx, application{})
		source, _ := storageClasses(ctx)
		configure(ctx, fmt.Sprintf(`{"backupPVC": {%q: {"storageClass": "does-not-exist"}}}`, source))
		expectCanceled(ctx, namespace, `storage class "does-not-exist" not found`)
	}, SpecTimeout(specLimit))

	It("is treated the same when nobody provisions its class", func(ctx context.Context) {
		class := &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}, Provisioner: "nobody.example.com",
		}
		Expect(cluster.Create(ctx, class)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(cluster.Delete(ctx, class)).To(Succeed()) })
		namespace, _ := deploy(ctx, application{})
		source, _ := storageClasses(ctx)
		configure(ctx, fmt.Sprintf(`{"backupPVC": {%q: {"storageClass": %q}}}`, source, class.Name))
		expectCanceled(ctx, namespace, "nobody.example.com")
	}, SpecTimeout(specLimit))

	It("is treated the same when the driver refuses ReadOnlyMany", func(ctx context.Context) {
		if storage == "" {
			Skip("it is not the testbed's cluster")
		}
		namespace, _ := deploy(ctx, application{})
		source, mapped := storageClasses(ctx, func(class *storagev1.StorageClass) {
			class.Parameters = map[string]string{"refuse": "ReadOnlyMany"} // Known to test/testbed/refuser.
		})
		configure(ctx, fmt.Sprintf(`{"backupPVC": {%q: {"storageClass": %q, "readOnly": true}}}`, source, mapped))
		expectCanceled(ctx, namespace, "MULTI_NODE_READER_ONLY is not supported")
	}, SpecTimeout(specLimit))
})

// expectCanceled backs a namespace up with a short prepare timeout and follows the documented failure to its end.
func expectCanceled(ctx context.Context, namespace, reason string) {
	GinkgoHelper()
	useOurAgent(ctx, "--data-mover-prepare-timeout="+prepareTimeout.String())
	startBackup(ctx, namespace)

	accepted := dataUpload(ctx, namespace, waitsFor(reason))
	canceled := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCanceled))
	expectCanceledInTime(accepted.Status.TransferStatus, canceled.Status.TransferStatus, reason)
	expectBackup(ctx, namespace, "PartiallyFailed")
	expectNothingLeft(ctx)
}

// expectCanceledInTime checks that what was Accepted became Canceled at the prepare timeout, and says why.
func expectCanceledInTime(accepted, canceled v2alpha1.TransferStatus, reason string) {
	GinkgoHelper()
	Expect(canceled.Message).To(ContainSubstring(reason))
	lived := canceled.CompletionTimestamp.Sub(accepted.AcceptedTimestamp.Time)
	Expect(lived).To(BeNumerically("~", prepareTimeout, 5*time.Second), "from Accepted to Canceled")
}
