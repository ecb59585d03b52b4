package expose

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/config"
)

const (
	// backupPodGroup is what backup pods have in common.
	backupPodGroup = "snapshot-exposer"

	// SPCType is the SELinux type of a super-privileged container: the volume need not be relabelled for it.
	SPCType = "spc_t"
)

// backupCapabilities let root read every file. DAC_READ_SEARCH alone would do, but it also opens files by handle, beyond what is mounted,
// which is why the pod security level baseline refuses it.
var backupCapabilities = []corev1.Capability{"DAC_OVERRIDE"}

// BackupPod builds the pod that mounts the backupPVC and runs the data mover, as configured for the DataUpload.
func BackupPod(du *v2alpha1.DataUpload, configured config.Upload, volume Volume, template AgentTemplate) *corev1.Pod {
	section := configured.BackupPVC
	plan := podPlan{
		transfer: du, configured: configured.Pod, group: backupPodGroup, mode: volume.Mode, readOnly: section.ReadOnly,
		capabilities: backupCapabilities,
		command:      "backup",
		args: []string{
			"--data-upload=" + du.Name,
			"--resource-timeout=" + du.Spec.OperationTimeout.Duration.String(),
		},
	}
	if volume.VerifyPercent > 0 {
		plan.args = append(plan.args, "--verify-percent="+strconv.Itoa(volume.VerifyPercent))
	}
	if volume.FullReadEvery > 0 {
		plan.args = append(plan.args, "--full-read-every="+volume.FullReadEvery.String())
	}
	pod := plan.build(template)
	pod.Spec.Affinity = nodeAffinity(volume, configured.NodeSelector, attempts.LostBy(du))
	// The SELinux type takes effect only on a read-only volume, as Velero documents. Velero also asks for seLinuxChangePolicy
	// MountOption where the volume is ReadWriteOncePod; that is what such volumes have anyway, and API servers without the feature
	// SELinuxMount refuse to be asked.
	if UsesSPC(section) {
		pod.Spec.SecurityContext.SELinuxOptions = &corev1.SELinuxOptions{Type: SPCType}
	}
	return pod
}

// UsesSPC tells whether the backup pod runs with SELinux type spc_t.
func UsesSPC(section config.BackupPVC) bool {
	return section.ReadOnly && section.SPCNoRelabeling
}
