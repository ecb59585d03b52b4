package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	podSecurityLabel = "pod-security.kubernetes.io/enforce"
	restricted       = "restricted"
	privileged       = "privileged"
)

var _ = Describe("Pod security", Label("podsecurity"), func() {
	It("of the namespaces that are backed up does not matter", func(ctx context.Context) {
		before := map[string]string{}
		var namespaces []string
		for _, level := range []string{restricted, privileged} {
			namespace, listing := deploy(ctx, application{podSecurity: level})
			before[namespace] = listing
			namespaces = append(namespaces, namespace)
		}
		useOurAgent(ctx)
		startBackupOf(ctx, namespaces[0], namespaces)
		expectRestorableFrom(ctx, namespaces[0], before)
	}, SpecTimeout(specLimit))

	It("of Velero's namespace that forbids backup pods is the reason to wait, until it allows them", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{})
		useOurAgent(ctx)
		enforce(ctx, restricted)
		DeferCleanup(enforce, privileged)
		startBackup(ctx, namespace)
		dataUpload(ctx, namespace, waitsFor(restricted))
		enforce(ctx, privileged)
		dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})

// enforce sets the level that Velero's namespace enforces.
func enforce(ctx context.Context, level string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: veleroNamespace}}
	patch := []byte(`{"metadata": {"labels": {"` + podSecurityLabel + `": "` + level + `"}}}`)
	Expect(cluster.Patch(ctx, namespace, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
}
