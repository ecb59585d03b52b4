package integration

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/controller/backuprepository"
)

var _ = Describe("--manage-repositories", Ordered, func() {
	var store string

	BeforeAll(func(ctx context.Context) {
		store = GinkgoT().TempDir()
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "velero-repo-credentials"},
			StringData: map[string]string{"repository-password": "static-passw0rd"},
		}
		Expect(live.Create(ctx, secret)).To(Succeed())
		for name, path := range map[string]string{"disk": store, "broken": filepath.Join(store, "file", "below-a-file")} {
			Expect(live.Create(ctx, &velerov1.BackupStorageLocation{
				ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: name},
				Spec:       velerov1.BackupStorageLocationSpec{Provider: "velero.io/fs", Config: map[string]string{"fspath": path}},
			})).To(Succeed())
		}
		Expect(os.WriteFile(filepath.Join(store, "file"), nil, 0o600)).To(Succeed())
	})

	reconcile := func(ctx context.Context, name, location string) (*velerov1.BackupRepository, ctrl.Result) {
		GinkgoHelper()
		log := logrus.New()
		log.SetOutput(GinkgoWriter)
		repository := &velerov1.BackupRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: name},
			Spec:       velerov1.BackupRepositorySpec{VolumeNamespace: name, BackupStorageLocation: location, RepositoryType: "kopia"},
		}
		Expect(client.IgnoreAlreadyExists(live.Create(ctx, repository))).To(Succeed())
		r := &backuprepository.Reconciler{Namespace: velero, Client: live, Live: live, Clock: clock.RealClock{}, Log: log}
		key := client.ObjectKeyFromObject(repository)
		result, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: key})
		Expect(err).NotTo(HaveOccurred())
		Expect(live.Get(ctx, key, repository)).To(Succeed())
		return repository, result
	}

	It("initialises a repository that a Velero server can take over", func(ctx context.Context) {
		repository, result := reconcile(ctx, "books", "disk")
		Expect(repository.Status.Phase).To(Equal(velerov1.BackupRepositoryPhaseReady), repository.Status.Message)
		Expect(repository.Status.LastMaintenanceTime).NotTo(BeNil())
		Expect(repository.Spec.MaintenanceFrequency.Hours()).To(BeEquivalentTo(1))
		Expect(result).To(BeZero())
		Expect(filepath.Join(store, "kopia", "books", "kopia.repository.f")).To(BeAnExistingFile())

		By("doing nothing the second time")
		again, _ := reconcile(ctx, "books", "disk")
		Expect(again.ResourceVersion).To(Equal(repository.ResourceVersion))
	})

	It("refuses a fullMaintenanceInterval that Velero does not know, until it is mended", func(ctx context.Context) {
		repository := &velerov1.BackupRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "weekly"},
			Spec: velerov1.BackupRepositorySpec{
				VolumeNamespace: "weekly", BackupStorageLocation: "disk", RepositoryType: "kopia",
				RepositoryConfig: map[string]string{"fullMaintenanceInterval": "168h"},
			},
		}
		Expect(live.Create(ctx, repository)).To(Succeed())
		repository, _ = reconcile(ctx, "weekly", "disk")
		Expect(repository.Status.Phase).To(Equal(velerov1.BackupRepositoryPhaseNotReady))
		Expect(repository.Status.Message).To(ContainSubstring(`spec.repositoryConfig: fullMaintenanceInterval is "168h"`))

		repository.Spec.RepositoryConfig["fullMaintenanceInterval"] = "eagerGC"
		Expect(live.Update(ctx, repository)).To(Succeed())
		repository, _ = reconcile(ctx, "weekly", "disk")
		Expect(repository.Status.Phase).To(Equal(velerov1.BackupRepositoryPhaseReady), repository.Status.Message)
	})

	DescribeTable("says why it cannot, and tries again", func(ctx context.Context, location, words string) {
		repository, result := reconcile(ctx, "books-in-"+location, location)
		Expect(repository.Status.Phase).To(Equal(velerov1.BackupRepositoryPhaseNotReady))
		Expect(repository.Status.Message).To(ContainSubstring(words))
		Expect(result.RequeueAfter).To(BeNumerically(">", 0))
		again, _ := reconcile(ctx, "books-in-"+location, location)
		Expect(again.ResourceVersion).To(Equal(repository.ResourceVersion), "the same reason is not written again")
	},
		Entry("location missing", "nowhere", "nowhere"),
		Entry("store cannot be written", "broken", "below-a-file"),
	)

	It("leaves repositories of other types alone", func(ctx context.Context) {
		repository := &velerov1.BackupRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "restic"},
			Spec:       velerov1.BackupRepositorySpec{VolumeNamespace: "books", BackupStorageLocation: "disk", RepositoryType: "restic"},
		}
		Expect(live.Create(ctx, repository)).To(Succeed())
		r := &backuprepository.Reconciler{Namespace: velero, Client: live, Live: live, Clock: clock.RealClock{}, Log: logrus.New()}
		_, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(repository)})
		Expect(err).NotTo(HaveOccurred())
		Expect(live.Get(ctx, client.ObjectKeyFromObject(repository), repository)).To(Succeed())
		Expect(repository.Status.Phase).To(BeEmpty())
	})
})
