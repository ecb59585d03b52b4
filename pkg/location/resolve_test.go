package location_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/repository"
)

const namespace = "velero"

func secret(name, key, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Data:       map[string][]byte{key: []byte(value)},
	}
}

func selector(name, key string) *corev1.SecretKeySelector {
	return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}
}

// world is what there is before a spec changes it.
type world struct {
	location              *velerov1.BackupStorageLocation
	password, credentials *corev1.Secret
}

func newWorld() world {
	return world{
		location: &velerov1.BackupStorageLocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"},
			Spec: velerov1.BackupStorageLocationSpec{
				Provider:    "aws",
				Credential:  selector("cloud", "key"),
				StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "b", CACert: []byte("inline")}},
			},
		},
		password:    secret("velero-repo-credentials", "repository-password", " static-passw0rd\n"),
		credentials: secret("cloud", "key", "[default]\n"),
	}
}

// resolve resolves the location in a world.
func (w world) resolve(ctx context.Context, dir string) (repository.Access, error) {
	scheme := runtime.NewScheme()
	Expect(velerov1.AddToScheme(scheme)).To(Succeed())
	Expect(corev1.AddToScheme(scheme)).To(Succeed())
	builder := fake.NewClientBuilder().WithScheme(scheme)
	if w.location != nil {
		builder.WithObjects(w.location)
	}
	for _, secret := range []*corev1.Secret{w.password, w.credentials, secret("ca", "bundle", "referenced")} {
		if secret != nil {
			builder.WithObjects(secret)
		}
	}
	return location.Resolve(ctx, builder.Build(), namespace, "default", "shop", dir, logrus.New())
}

var _ = Describe("Resolve", func() {
	It("gathers what is needed to reach the repository", func(ctx context.Context) {
		dir := filepath.Join(GinkgoT().TempDir(), "private")
		access, err := newWorld().resolve(ctx, dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(access.Location.Name).To(Equal("default"))
		Expect(access.VolumeNamespace).To(Equal("shop"))
		Expect(access.Password).To(Equal("static-passw0rd"))
		Expect(access.CACert).To(BeEquivalentTo("inline"))
		Expect(access.Log).NotTo(BeNil())
		Expect(access.StateDir).To(HavePrefix(dir + "/"))

		Expect(os.ReadFile(access.CredentialsFile)).To(BeEquivalentTo("[default]\n"))
		for path := access.CredentialsFile; path != filepath.Dir(dir); path = filepath.Dir(path) {
			info, err := os.Stat(path)
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode().Perm()&0o077).To(BeZero(), path)
		}
		Expect(os.ReadDir(filepath.Dir(access.CredentialsFile))).To(HaveLen(1), "nothing temporary is left")
	})

	It("replaces credentials that have changed", func(ctx context.Context) {
		dir := GinkgoT().TempDir()
		w := newWorld()
		_, err := w.resolve(ctx, dir)
		Expect(err).NotTo(HaveOccurred())
		w.credentials.Data["key"] = []byte("new")
		access, err := w.resolve(ctx, dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.ReadFile(access.CredentialsFile)).To(BeEquivalentTo("new"))
	})

	DescribeTable("takes", func(ctx context.Context, change func(*world), check func(repository.Access)) {
		w := newWorld()
		change(&w)
		access, err := w.resolve(ctx, GinkgoT().TempDir())
		Expect(err).NotTo(HaveOccurred())
		check(access)
	},
		Entry("credentials from the environment if the location has none",
			func(w *world) { w.location.Spec.Credential, w.credentials = nil, nil },
			func(a repository.Access) { Expect(a.CredentialsFile).To(BeEmpty()) }),
		Entry("the referenced certificates before those in the location",
			func(w *world) { w.location.Spec.ObjectStorage.CACertRef = selector("ca", "bundle") },
			func(a repository.Access) { Expect(a.CACert).To(BeEquivalentTo("referenced")) }),
		Entry("no certificates from a location without object storage",
			func(w *world) { w.location.Spec.ObjectStorage = nil },
			func(a repository.Access) { Expect(a.CACert).To(BeEmpty()) }),
	)

	DescribeTable("names what is missing", func(ctx context.Context, change func(*world), text string) {
		w := newWorld()
		change(&w)
		dir := GinkgoT().TempDir()
		_, err := w.resolve(ctx, dir)
		Expect(err).To(MatchError(And(HavePrefix(text), Not(ContainSubstring("passw0rd")))))
		Expect(os.ReadDir(dir)).To(BeEmpty())
	},
		Entry("location", func(w *world) { w.location = nil }, "backup storage location velero/default does not exist"),
		Entry("password secret", func(w *world) { w.password = nil },
			"backup storage location velero/default: repository password: secret velero/velero-repo-credentials does not exist"),
		Entry("password", func(w *world) { w.password = secret("velero-repo-credentials", "other", "x") },
			`backup storage location velero/default: repository password: secret velero/velero-repo-credentials has no key "repository-password"`),
		Entry("password that is blank", func(w *world) { w.password.Data["repository-password"] = []byte(" \n") },
			`backup storage location velero/default: repository password: key "repository-password" of secret "velero-repo-credentials" is blank`),
		Entry("password that is empty", func(w *world) { w.password.Data["repository-password"] = nil },
			`backup storage location velero/default: repository password: key "repository-password" of secret velero/velero-repo-credentials is empty`),
		Entry("credentials secret", func(w *world) { w.credentials = nil },
			"backup storage location velero/default: spec.credential: secret velero/cloud does not exist"),
		Entry("credentials key", func(w *world) { w.location.Spec.Credential.Key = "nokey" },
			`backup storage location velero/default: spec.credential: secret velero/cloud has no key "nokey"`),
		Entry("name of the credentials", func(w *world) { w.location.Spec.Credential.Name = "" },
			"backup storage location velero/default: spec.credential: it must have a name and a key"),
		Entry("certificates", func(w *world) { w.location.Spec.ObjectStorage.CACertRef = selector("ca", "nokey") },
			`backup storage location velero/default: spec.objectStorage.caCertRef: secret velero/ca has no key "nokey"`),
	)

	It("passes on what the API server says", func(ctx context.Context) {
		refused := errors.New("refused")
		reader := interceptor.NewClient(fake.NewFakeClient(), interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return refused
			},
		})
		_, err := location.Resolve(ctx, reader, namespace, "default", "shop", GinkgoT().TempDir(), nil)
		Expect(err).To(MatchError(refused))
	})
})
