package expose

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/config"
)

const (
	// restorePodGroup is what restore pods have in common.
	restorePodGroup = "generic-restore-exposer"

	// cacheVolume is the name of the volume for the cache, cachePath where the pod sees it.
	cacheVolume = "cache"
	cachePath   = "/cache"
)

// restoreCapabilities let root write every file and give it the owner, mode and times that it had.
var restoreCapabilities = []corev1.Capability{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"}

// RestoreTarget is what a restore pod must know of the target PVC.
type RestoreTarget struct {
	// Mode is Filesystem or Block.
	Mode corev1.PersistentVolumeMode
	// Hostname is the hostname label of the node that the workload's pod is bound to; empty if any node will do.
	Hostname string
	// WithCache says that there is a volume for the cache.
	WithCache bool
	// Verify says that what was written is compared with the repository.
	Verify bool
	// Strict says that an attribute or link that the volume refuses fails the restore.
	Strict bool
}

// RestorePod builds the pod that mounts the restorePVC and runs the data mover, as configured for the DataDownload. Where the
// workload's pod has fixed the node, the restored volume must be made there, whatever loadAffinity says.
func RestorePod(dd *v2alpha1.DataDownload, configured config.Download, target RestoreTarget, template AgentTemplate) *corev1.Pod {
	plan := podPlan{
		transfer: dd, configured: configured.Pod, group: restorePodGroup, mode: target.Mode,
		capabilities: restoreCapabilities, command: "restore",
		args: []string{
			"--data-download=" + dd.Name,
			"--resource-timeout=" + dd.Spec.OperationTimeout.Duration.String(),
		},
	}
	if target.WithCache {
		plan.args = append(plan.args, "--cache-volume-path="+cachePath)
	}
	if target.Verify {
		plan.args = append(plan.args, "--verify")
	}
	if target.Strict {
		plan.args = append(plan.args, "--strict")
	}
	pod := plan.build(template)
	selector := configured.NodeSelector
	if target.Hostname != "" {
		selector = nil
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: target.Hostname}
	}
	pod.Spec.Affinity = nodeAffinity(Volume{}, selector, attempts.LostBy(dd))
	if target.WithCache {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
			Name: cacheVolume,
			VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: CachePVCName(dd)},
			},
		})
		container := &pod.Spec.Containers[0]
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: cacheVolume, MountPath: cachePath})
	}
	return pod
}
