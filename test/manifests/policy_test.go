package manifests_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/controlplane"
)

var _ = Describe("The policy for movers", Ordered, func() {
	var (
		admin client.Client
		as    func(account, pod string) client.Client
	)

	BeforeAll(func(ctx context.Context) {
		plane, err := controlplane.Start()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(plane.Stop)
		scheme, err := controlplane.Scheme()
		Expect(err).NotTo(HaveOccurred())
		admin, err = client.New(plane.Config, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		// A pod's token tells the API server whose it is.
		as = func(account, pod string) client.Client {
			GinkgoHelper()
			config := rest.CopyConfig(plane.Config)
			config.Impersonate = rest.ImpersonationConfig{
				UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:authenticated"},
			}
			if pod != "" {
				config.Impersonate.Extra = map[string][]string{"authentication.kubernetes.io/pod-name": {pod}}
			}
			c, err := client.New(config, client.Options{Scheme: scheme})
			Expect(err).NotTo(HaveOccurred())
			return c
		}

		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		for _, m := range load("rbac") {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			Expect(admin.Create(ctx, object.(client.Object))).To(Succeed(), m.file)
		}
		inProgress := v2alpha1.TransferStatus{Phase: v2alpha1.PhaseInProgress}
		for _, name := range []string{"mine", "other"} {
			meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
			for _, move := range []client.Object{
				&v2alpha1.DataUpload{ObjectMeta: meta, Status: v2alpha1.DataUploadStatus{TransferStatus: inProgress}},
				&v2alpha1.DataDownload{ObjectMeta: meta, Status: v2alpha1.DataDownloadStatus{TransferStatus: inProgress}},
			} {
				Expect(admin.Create(ctx, move)).To(Succeed())
			}
		}
		By("waiting until it is in force")
		Eventually(func() error { return report(ctx, as(mover, "mine"), upload("other")) }).
			WithTimeout(time.Minute).Should(Satisfy(isRefused))
	})

	for _, named := range []func(string) client.Object{upload, download} {
		Describe(fmt.Sprintf("for a %T", named("")), func() {
			It("lets a mover report on the one of its pod", func(ctx context.Context) {
				Expect(report(ctx, as(mover, "mine"), named("mine"))).To(Succeed())
			})

			It("does not let it report on another", func(ctx context.Context) {
				Expect(report(ctx, as(mover, "other"), named("mine"))).To(MatchError(ContainSubstring("of its own pod only")))
			})

			It("does not let somebody report who has stolen the account, but has no pod", func(ctx context.Context) {
				Expect(report(ctx, as(mover, ""), named("mine"))).To(Satisfy(isRefused))
			})

			DescribeTable("lets it change nothing else",
				func(ctx context.Context, change string) {
					Expect(patch(ctx, as(mover, "mine"), named("mine"), change)).To(MatchError(ContainSubstring("not for it to change")))
				},
				Entry("phase", `{"status": {"phase": "Completed"}}`),
				Entry("spec", `{"spec": {"cancel": true}}`),
			)

			It("does not concern the agent", func(ctx context.Context) {
				Expect(patch(ctx, as(agent, "node-agent-x7x7x"), named("mine"), `{"status": {"phase": "Canceling"}}`)).To(Succeed())
			})
		})
	}
})

func upload(name string) client.Object {
	return &v2alpha1.DataUpload{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func download(name string) client.Object {
	return &v2alpha1.DataDownload{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func report(ctx context.Context, c client.Client, move client.Object) error {
	return patch(ctx, c, move, `{"status": {"progress": {"bytesDone": 1}}}`)
}

func patch(ctx context.Context, c client.Client, move client.Object, change string) error {
	return c.Patch(ctx, move, client.RawPatch("application/merge-patch+json", []byte(change)))
}

func isRefused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) }
