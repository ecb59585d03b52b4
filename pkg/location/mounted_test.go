package location_test

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location"
)

var _ = Describe("Mounted Secrets", func() {
	var (
		dir    string
		reader client.WithWatch
	)

	BeforeEach(func() {
		dir = GinkgoT().TempDir()
		scheme := runtime.NewScheme()
		Expect(velerov1.AddToScheme(scheme)).To(Succeed())
		Expect(corev1.AddToScheme(scheme)).To(Succeed())
		reader = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(newWorld().location).Build(), interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				Expect(obj).NotTo(BeAssignableToTypeOf(&corev1.Secret{}), "Secrets must not be asked for")
				return c.Get(ctx, key, obj, opts...)
			},
		})
	})

	// mount lays a key out as a kubelet does: a link through a link to the current content.
	mount := func(name, key, value string) {
		GinkgoHelper()
		content := filepath.Join(dir, name, "..2026_11_25")
		Expect(os.MkdirAll(content, 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(content, key), []byte(value), 0o400)).To(Succeed())
		if _, err := os.Lstat(filepath.Join(dir, name, "..data")); err != nil {
			Expect(os.Symlink("..2026_11_25", filepath.Join(dir, name, "..data"))).To(Succeed())
		}
		Expect(os.Symlink(filepath.Join("..data", key), filepath.Join(dir, name, key))).To(Succeed())
	}

	It("are all that a location needs", func(ctx context.Context) {
		mount("velero-repo-credentials", "repository-password", "static-passw0rd")
		mount("cloud", "key", "[default]\n")
		access, err := location.Resolve(
			ctx, location.WithMountedSecrets(reader, dir), namespace, "default", "shop", GinkgoT().TempDir(), logrus.New())
		Expect(err).NotTo(HaveOccurred())
		Expect(access.Password).To(Equal("static-passw0rd"))
		Expect(os.ReadFile(access.CredentialsFile)).To(BeEquivalentTo("[default]\n"))
	})

	It("are named when they are missing", func(ctx context.Context) {
		resolve := func() error {
			_, err := location.Resolve(
				ctx, location.WithMountedSecrets(reader, dir), namespace, "default", "shop", GinkgoT().TempDir(), logrus.New())
			return err
		}
		Expect(resolve()).To(MatchError(ContainSubstring("secret velero/velero-repo-credentials does not exist")))
		mount("velero-repo-credentials", "repository-password", "static-passw0rd")
		Expect(resolve()).To(MatchError(ContainSubstring("spec.credential: secret velero/cloud does not exist")))
	})
})
