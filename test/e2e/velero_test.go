package e2e

import (
	"context"
	"os/exec"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// run runs a program to its end.
func run(ctx context.Context, name string, args ...string) string {
	GinkgoHelper()
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s %q: %s", name, args, output)
	return string(output)
}

// startBackup starts a backup of a namespace, as the documentation of Velero says. Its name is that of the namespace. It is
// deleted in the end.
func startBackup(ctx context.Context, namespace string, args ...string) {
	GinkgoHelper()
	startBackupOf(ctx, namespace, []string{namespace}, args...)
}

// startBackupOf starts a backup of some namespaces.
func startBackupOf(ctx context.Context, name string, namespaces []string, args ...string) {
	GinkgoHelper()
	run(ctx, "velero", slices.Concat([]string{
		"backup", "create", name, "--include-namespaces", strings.Join(namespaces, ","), "--snapshot-move-data",
	}, args)...)
	DeferCleanup(deleteBackup, name)
}

// deleteBackup deletes a backup with all that belongs to it, and waits until Velero has done so.
func deleteBackup(ctx context.Context, name string) {
	GinkgoHelper()
	if _, err := phaseOf(ctx, "Backup", name)(); apierrors.IsNotFound(err) {
		return
	}
	waitForEnd(ctx, "Backup", name) // Velero refuses to delete one that runs.
	run(ctx, "velero", "backup", "delete", name, "--confirm")
	Eventually(func() error {
		_, err := phaseOf(ctx, "Backup", name)()
		return err
	}).Should(Satisfy(apierrors.IsNotFound), "backup %s is still there", name)
}

// phaseOf returns a function that reads the phase of one of Velero's objects.
func phaseOf(ctx context.Context, kind, name string) func() (string, error) {
	return func() (string, error) {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(velerov1.GroupVersion.WithKind(kind))
		err := cluster.Get(ctx, client.ObjectKey{Namespace: veleroNamespace, Name: name}, object)
		if err != nil {
			return "", err
		}
		phase, _, err := unstructured.NestedString(object.Object, "status", "phase")
		return phase, err
	}
}

// waitForEnd waits until one of Velero's objects is in a phase that is not left.
func waitForEnd(ctx context.Context, kind, name string) {
	GinkgoHelper()
	Eventually(phaseOf(ctx, kind, name), aBackup).Should(BeElementOf("Completed", "PartiallyFailed", "Failed", "FailedValidation"))
}

// expectBackup waits until a backup has ended and says how.
func expectBackup(ctx context.Context, name, phase string) {
	GinkgoHelper()
	waitForEnd(ctx, "Backup", name)
	Expect(phaseOf(ctx, "Backup", name)()).To(Equal(phase))
}

// restore restores a backup and waits until Velero has done so. The restore has the name of the backup.
func restore(ctx context.Context, backup string, args ...string) {
	GinkgoHelper()
	startRestore(ctx, backup, args...)
	expectRestore(ctx, backup, "Completed")
}

// startRestore starts a restore. It is deleted with the backup.
func startRestore(ctx context.Context, backup string, args ...string) {
	GinkgoHelper()
	run(ctx, "velero", append([]string{"restore", "create", backup, "--from-backup", backup}, args...)...)
}

// expectRestore waits until a restore has ended and says how.
func expectRestore(ctx context.Context, name, phase string) {
	GinkgoHelper()
	waitForEnd(ctx, "Restore", name)
	Expect(phaseOf(ctx, "Restore", name)()).To(Equal(phase))
}

// dataUploads are those of a backup.
func dataUploads(ctx context.Context, backup string) ([]v2alpha1.DataUpload, error) {
	list := &v2alpha1.DataUploadList{}
	err := cluster.List(ctx, list, client.InNamespace(veleroNamespace), client.MatchingLabels{"velero.io/backup-name": backup})
	return list.Items, err
}

// dataUpload waits for the only one of a backup to be as wanted.
func dataUpload(ctx context.Context, backup string, wanted func(v2alpha1.TransferStatus) bool) v2alpha1.DataUpload {
	GinkgoHelper()
	return only(ctx, dataUploads, backup, wanted)
}

// dataDownloads are those of a restore.
func dataDownloads(ctx context.Context, restore string) ([]v2alpha1.DataDownload, error) {
	list := &v2alpha1.DataDownloadList{}
	err := cluster.List(ctx, list, client.InNamespace(veleroNamespace), client.MatchingLabels{"velero.io/restore-name": restore})
	return list.Items, err
}

// dataDownload waits for the only one of a restore to be as wanted.
func dataDownload(ctx context.Context, restore string, wanted func(v2alpha1.TransferStatus) bool) v2alpha1.DataDownload {
	GinkgoHelper()
	return only(ctx, dataDownloads, restore, wanted)
}

// only waits until there is one DataUpload or DataDownload, and that is as wanted.
func only[T any, P interface {
	*T
	v2alpha1.Transfer
}](ctx context.Context, list func(context.Context, string) ([]T, error), name string, wanted func(v2alpha1.TransferStatus) bool,
) T {
	GinkgoHelper()
	var found T
	Eventually(func(g Gomega) {
		all, err := list(ctx, name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(all).To(HaveLen(1))
		found = all[0]
		status := P(&found).TransferStatus()
		g.Expect(wanted(*status)).To(BeTrue(), "phase %s: %s", status.Phase, status.Message)
	}).Should(Succeed())
	return found
}

func inPhase(phases ...v2alpha1.Phase) func(v2alpha1.TransferStatus) bool {
	return func(status v2alpha1.TransferStatus) bool { return slices.Contains(phases, status.Phase) }
}

// waitsFor tells whether it was accepted and says that it waits for something.
func waitsFor(what string) func(v2alpha1.TransferStatus) bool {
	return func(status v2alpha1.TransferStatus) bool {
		return status.Phase == v2alpha1.PhaseAccepted && strings.Contains(status.Message, what)
	}
}
