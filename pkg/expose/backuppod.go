package expose

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/config"
)

const (
	// backupPodGroup lets the scheduler spread backup pods over the nodes.
	backupPodGroup = "snapshot-exposer"

	// spcType is the SELinux type of a super-privileged container: the volume need not be relabelled for it.
	spcType = "spc_t"

	// gracePeriodSeconds is how long a backup pod has to stop its upload after SIGTERM. Kopia stops in about a second;
	// the rest is for a slow object store.
	gracePeriodSeconds = 30
)

// BackupPod builds the pod that mounts the backupPVC and runs the data mover, as configured for the DataUpload.
func BackupPod(du *v2alpha1.DataUpload, configured config.Upload, volume Volume, template AgentTemplate) *corev1.Pod {
	section := configured.BackupPVC
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       du.Namespace,
			Name:            du.Name,
			Labels:          podLabels(du, configured, template),
			Annotations:     maps.Clone(configuredOr(template.Annotations, configured.PodAnnotations)),
			OwnerReferences: []metav1.OwnerReference{OwnerReference(du)},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName:            template.ServiceAccountName,
			ImagePullSecrets:              template.ImagePullSecrets,
			DNSPolicy:                     template.DNSPolicy,
			DNSConfig:                     template.DNSConfig,
			HostAliases:                   template.HostAliases,
			Tolerations:                   template.Tolerations,
			PriorityClassName:             configured.PriorityClassName,
			OS:                            &corev1.PodOS{Name: corev1.Linux},
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(gracePeriodSeconds)),
			SecurityContext:               podSecurityContext(section),
			Affinity:                      nodeAffinity(volume, configured.NodeSelector, attempts.LostBy(du)),
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
				MaxSkew:           1,
				TopologyKey:       corev1.LabelHostname,
				WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector:     &metav1.LabelSelector{MatchLabels: map[string]string{v2alpha1.ExposerPodGroupLabel: backupPodGroup}},
			}},
			Volumes: append([]corev1.Volume{{
				Name: string(du.UID),
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
					ClaimName: du.Name,
					ReadOnly:  section.ReadOnly,
				}},
			}}, template.Volumes...),
			Containers: []corev1.Container{container(du, configured, volume, template)},
		},
	}
}

// VolumePath is where the backup pod sees the volume: its mount point, or its device for block volumes.
func VolumePath(du *v2alpha1.DataUpload) string {
	return "/" + string(du.UID)
}

// podLabels are those configured, else those of the agent that third parties go by; ours stand in any case.
//
// Documented in Velero under "Pod Labels Configuration": the configured ones supersede the agent's.
func podLabels(du *v2alpha1.DataUpload, configured config.Upload, template AgentTemplate) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, configuredOr(template.Labels, configured.PodLabels))
	labels[v2alpha1.ExposerPodGroupLabel] = backupPodGroup
	maps.Copy(labels, Labels(du))
	return labels
}

func configuredOr(inherited, configured map[string]string) map[string]string {
	if len(configured) > 0 {
		return configured
	}
	return inherited
}

func container(du *v2alpha1.DataUpload, configured config.Upload, volume Volume, template AgentTemplate) corev1.Container {
	c := corev1.Container{
		Name:            string(du.UID),
		Image:           template.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{"/velero", "data-mover", "backup"},
		Args: append([]string{
			"--volume-path=" + VolumePath(du),
			"--volume-mode=" + string(volume.Mode),
			"--data-upload=" + du.Name,
			"--resource-timeout=" + du.Spec.OperationTimeout.Duration.String(),
		}, template.LogArgs...),
		Env:                      template.Env,
		EnvFrom:                  template.EnvFrom,
		Resources:                resources(configured.PodResources),
		VolumeMounts:             slices.Clone(template.VolumeMounts),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	if number := attempts.Number(du); number > 1 {
		c.Args = append(c.Args, "--attempt="+strconv.Itoa(number))
	}
	if volume.Mode == corev1.PersistentVolumeBlock {
		c.VolumeDevices = []corev1.VolumeDevice{{Name: string(du.UID), DevicePath: VolumePath(du)}}
	} else {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{
			Name: string(du.UID), MountPath: VolumePath(du), ReadOnly: configured.BackupPVC.ReadOnly,
		})
	}
	return c
}

func resources(configured *config.PodResources) corev1.ResourceRequirements {
	if configured == nil {
		return corev1.ResourceRequirements{}
	}
	return corev1.ResourceRequirements{Requests: configured.Requests(), Limits: configured.Limits()}
}

// podSecurityContext runs the mover as root, which alone may read every file. The SELinux type takes effect only on a
// read-only volume, as Velero documents. Velero also asks for seLinuxChangePolicy MountOption where the volume is
// ReadWriteOncePod; that is what such volumes have anyway, and API servers without the feature SELinuxMount refuse to be asked.
func podSecurityContext(section config.BackupPVC) *corev1.PodSecurityContext {
	security := &corev1.PodSecurityContext{RunAsUser: new(int64(0))}
	if UsesSPC(section) {
		security.SELinuxOptions = &corev1.SELinuxOptions{Type: spcType}
	}
	return security
}

// UsesSPC tells whether the backup pod runs with SELinux type spc_t.
func UsesSPC(section config.BackupPVC) bool {
	return section.ReadOnly && section.SPCNoRelabeling
}
