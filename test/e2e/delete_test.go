package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/repository"
)

var _ = Describe("Stock Velero", Label("delete"), func() {
	It("deletes what we have uploaded when a backup is deleted", func(ctx context.Context) {
		if objects == "" {
			Skip("the object store is not on this machine")
		}
		namespace, before := deploy(ctx, application{})
		useOurAgent(ctx)
		kept, deleted := namespace, namespace+"-deleted"
		ids := map[string]string{}
		for _, name := range []string{kept, deleted} {
			startBackupOf(ctx, name, []string{namespace})
			expectBackup(ctx, name, "Completed")
			upload := dataUpload(ctx, name, inPhase(v2alpha1.PhaseCompleted))
			ids[name] = upload.Status.SnapshotID
		}
		Expect(snapshotIDs(ctx, namespace)).To(ConsistOf(ids[kept], ids[deleted]))

		deleteBackup(ctx, deleted)
		Eventually(snapshotIDs).WithContext(ctx).WithArguments(namespace).Should(ConsistOf(ids[kept]))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))

	It("deletes with the backup what a DataUpload that was canceled at the last moment has saved", func(ctx context.Context) {
		if objects == "" {
			Skip("the object store is not on this machine")
		}
		namespace, _ := deploy(ctx, application{args: large})
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		expectBackup(ctx, namespace, "Completed")
		saved := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted)).Status.SnapshotID

		By("canceling one whose mover has told a snapshot; a snapshot that is there stands for that")
		configure(ctx, slowMovers)
		DeferCleanup(configure, "{}")
		canceled := namespace + "-canceled"
		startBackupOf(ctx, canceled, []string{namespace})
		upload := dataUpload(ctx, canceled, inPhase(v2alpha1.PhaseInProgress))
		before := upload.DeepCopy()
		metav1.SetMetaDataAnnotation(&upload.ObjectMeta, attempts.SnapshotAnnotation, saved)
		upload.Spec.Cancel = true
		Expect(cluster.Patch(ctx, &upload, client.MergeFrom(before))).To(Succeed())
		dataUpload(ctx, canceled, inPhase(v2alpha1.PhaseCanceled))
		expectBackup(ctx, canceled, "PartiallyFailed")
		expectNothingLeft(ctx)

		Expect(snapshotIDs(ctx, namespace)).To(ConsistOf(saved))
		deleteBackup(ctx, canceled)
		expectNoSnapshots(ctx, namespace)
	}, SpecTimeout(specLimit))

	It("maintains a repository that we have written into", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{})
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		expectBackup(ctx, namespace, "Completed")

		setMaintenanceFrequency(ctx, namespace, "1s")
		Eventually(maintenanceResults).WithContext(ctx).WithArguments(namespace).WithTimeout(aBackup).Should(ContainElement("Succeeded"))
		setMaintenanceFrequency(ctx, namespace, "1h")
		Expect(maintenanceResults(ctx, namespace)).To(HaveEach("Succeeded"))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})

// snapshotIDs are those of all complete snapshots in the repository of a namespace, read by the engine.
func snapshotIDs(ctx context.Context, namespace string) ([]string, error) {
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	access, err := location.Resolve(ctx, cluster, veleroNamespace, "default", namespace, GinkgoT().TempDir(), log)
	if err != nil {
		return nil, err
	}
	opened, err := repository.Open(ctx, access)
	if err != nil {
		return nil, err
	}
	snapshots, err := opened.Snapshots(ctx, namespace, claimName(0))
	var ids []string
	for _, snapshot := range snapshots {
		ids = append(ids, snapshot.ID)
	}
	if err != nil {
		return nil, err
	}
	return ids, opened.Close(ctx)
}

// repositoryOf is Velero's object for the repository of a namespace, with all of its fields.
func repositoryOf(ctx context.Context, namespace string) (*unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(velerov1.GroupVersion.WithKind("BackupRepositoryList"))
	err := cluster.List(ctx, list, client.InNamespace(veleroNamespace), client.MatchingLabels{velerov1.VolumeNamespaceLabel: namespace})
	if err != nil {
		return nil, err
	}
	Expect(list.Items).To(HaveLen(1))
	return &list.Items[0], nil
}

func setMaintenanceFrequency(ctx context.Context, namespace, frequency string) {
	GinkgoHelper()
	found, err := repositoryOf(ctx, namespace)
	Expect(err).NotTo(HaveOccurred())
	patch := []byte(`{"spec": {"maintenanceFrequency": "` + frequency + `"}}`)
	Expect(cluster.Patch(ctx, found, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
}

// maintenanceResults say how the latest runs of Velero's maintenance have ended.
func maintenanceResults(ctx context.Context, namespace string) ([]string, error) {
	found, err := repositoryOf(ctx, namespace)
	if err != nil {
		return nil, err
	}
	runs, _, err := unstructured.NestedSlice(found.Object, "status", "recentMaintenance")
	var results []string
	for _, run := range runs {
		if fields, ok := run.(map[string]any); ok {
			result, _, _ := unstructured.NestedString(fields, "result")
			message, _, _ := unstructured.NestedString(fields, "message")
			results = append(results, result+message)
		}
	}
	return results, err
}
