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
	// podGroupLabel lets the scheduler spread backup pods over the nodes.
	podGroupLabel = "velero.io/exposer-pod-group"
	podGroup      = "snapshot-exposer"

	// spcType is the SELinux type of a super-privileged container: the volume need not be relabelled for it.
	spcType = "spc_t"

	// gracePeriodSeconds is how long a backup pod has to stop its upload after SIGTERM. Kopia stops in about a second;
	// the rest is for a slow object store.
	gracePeriodSeconds = 30
)

// BackupPod builds the pod that mounts the backupPVC and runs the data mover. section is as for BackupPVC.
func BackupPod(du *v2alpha1.DataUpload, section config.BackupPVC, volume Volume, template AgentTemplate) *corev1.Pod {
	labels := map[string]string{podGroupLabel: podGroup}
	maps.Copy(labels, template.Labels)
	maps.Copy(labels, Labels(du))
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       du.Namespace,
			Name:            du.Name,
			Labels:          labels,
			Annotations:     maps.Clone(template.Annotations),
			OwnerReferences: []metav1.OwnerReference{OwnerReference(du)},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName:            template.ServiceAccountName,
			ImagePullSecrets:              template.ImagePullSecrets,
			DNSPolicy:                     template.DNSPolicy,
			DNSConfig:                     template.DNSConfig,
			Tolerations:                   template.Tolerations,
			OS:                            &corev1.PodOS{Name: corev1.Linux},
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(gracePeriodSeconds)),
			SecurityContext:               podSecurityContext(section),
			Affinity:                      nodeAffinity(volume.Topology, attempts.LostBy(du)),
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
				MaxSkew:           1,
				TopologyKey:       corev1.LabelHostname,
				WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector:     &metav1.LabelSelector{MatchLabels: map[string]string{podGroupLabel: podGroup}},
			}},
			Volumes: append([]corev1.Volume{{
				Name: string(du.UID),
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
					ClaimName: du.Name,
					ReadOnly:  section.ReadOnly,
				}},
			}}, template.Volumes...),
			Containers: []corev1.Container{container(du, section, volume, template)},
		},
	}
}

// VolumePath is where the backup pod sees the volume: its mount point, or its device for block volumes.
func VolumePath(du *v2alpha1.DataUpload) string {
	return "/" + string(du.UID)
}

func container(du *v2alpha1.DataUpload, section config.BackupPVC, volume Volume, template AgentTemplate) corev1.Container {
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
			Name: string(du.UID), MountPath: VolumePath(du), ReadOnly: section.ReadOnly,
		})
	}
	return c
}

// podSecurityContext runs the mover as root, which alone may read every file. The SELinux type takes effect only on a
// read-only volume, as Velero documents.
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

// nodeAffinity lets the pod run where the volume can be used, never on Windows, and rather not where attempts were lost.
func nodeAffinity(topology *corev1.NodeSelector, lost []attempts.Lost) *corev1.Affinity {
	notWindows := corev1.NodeSelectorRequirement{
		Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpNotIn, Values: []string{string(v2alpha1.NodeOSWindows)},
	}
	terms := []corev1.NodeSelectorTerm{{}}
	if topology != nil && len(topology.NodeSelectorTerms) > 0 {
		terms = topology.DeepCopy().NodeSelectorTerms
	}
	for i := range terms {
		terms[i].MatchExpressions = append(terms[i].MatchExpressions, notWindows)
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution:  &corev1.NodeSelector{NodeSelectorTerms: terms},
		PreferredDuringSchedulingIgnoredDuringExecution: avoid(lost),
	}}
}

// avoid prefers nodes other than those of lost attempts: what ended one pod there may well end the next. It is no more
// than a preference, because the volume may be usable on that node only.
func avoid(lost []attempts.Lost) []corev1.PreferredSchedulingTerm {
	var elsewhere []corev1.NodeSelectorRequirement
	for _, l := range lost {
		if l.Node != "" {
			elsewhere = append(elsewhere, corev1.NodeSelectorRequirement{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpNotIn, Values: []string{l.Node},
			})
		}
	}
	if elsewhere == nil {
		return nil
	}
	return []corev1.PreferredSchedulingTerm{{Weight: 100, Preference: corev1.NodeSelectorTerm{MatchFields: elsewhere}}}
}
