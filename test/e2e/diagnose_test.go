package e2e

import (
	"context"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// printState prints what one would look at after a failure.
func printState(ctx context.Context) {
	for _, args := range [][]string{
		{"get", "pods,pvc,volumesnapshots", "-A", "-o", "wide"},
		{"get", "pv,volumesnapshotcontents"},
		{"get", "backups,restores,datauploads,datadownloads,backuprepositories", "-n", veleroNamespace, "-o", "yaml"},
		{"describe", "pods,pvc", "-n", veleroNamespace},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"logs", "-n", veleroNamespace, "-l", "role=node-agent", "--tail=200"},
		{"logs", "-n", veleroNamespace, "-l", v2alpha1.ExposerPodGroupLabel, "--tail=100"},
		{"logs", "-n", veleroNamespace, "deployment/velero", "--tail=100"},
	} {
		output, err := exec.CommandContext(ctx, "kubectl", args...).CombinedOutput()
		GinkgoWriter.Printf("\n--- kubectl %q (%v)\n%s", args, err, output)
	}
}
