package mover_test

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/location"
)

var _ = Describe("The rights of a mover", func() {
	It("are those of config/rbac", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhasePrepared)
		user, err := environment.AddUser(envtest.User{Name: "mover-" + b.namespace}, nil)
		Expect(err).NotTo(HaveOccurred())
		b.options.Client = location.WithMountedSecrets(b.newClient(user.Config()), secretsDir())

		By("failing without any")
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(HavePrefix("get DataUpload " + b.namespace + "/" + duName + ": "))
		Expect(message).To(ContainSubstring("is forbidden"))

		By("uploading with the Role")
		grantRole(ctx, b.namespace, "mover-"+b.namespace)
		Eventually(func() error {
			return b.options.Client.Get(ctx, client.ObjectKeyFromObject(b.du), &v2alpha1.DataUpload{})
		}).WithTimeout(patience).Should(Succeed(), "the API server must have seen the Role")
		b.start()
		b.waiting()
		b.setPhase(ctx, v2alpha1.PhaseInProgress)
		b.uploading()
		b.uploader.succeed()
		_, err = b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(b.warnings()).To(BeEmpty())
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
	})
})

// secretsDir holds the password of the repository, as in a backup pod.
func secretsDir() string {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	secret := filepath.Join(dir, velerov1.RepositoryPasswordSecret)
	Expect(os.Mkdir(secret, 0o700)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(secret, velerov1.RepositoryPasswordKey), []byte("static-passw0rd"), 0o400)).To(Succeed())
	return dir
}

// grantRole gives a user the rights that a mover gets where config/ is deployed.
func grantRole(ctx context.Context, namespace, user string) {
	GinkgoHelper()
	file, err := os.Open(filepath.Join("..", "..", "config", "rbac", "mover_role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()
	role := &rbacv1.Role{}
	Expect(yaml.NewYAMLOrJSONDecoder(file, 1024).Decode(role)).To(Succeed())
	role.Namespace = namespace
	Expect(admin.Create(ctx, role)).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	})).To(Succeed())
}
