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

// gracePeriodSeconds is how long a pod has to stop after SIGTERM. Kopia stops in about a second; the rest is for a slow
// object store.
const gracePeriodSeconds = 30

// podPlan says what a pod that moves data is to be like, beside what it takes over from the agent.
type podPlan struct {
	transfer   v2alpha1.Transfer
	configured config.Pod
	// group lets the scheduler spread pods over the nodes.
	group string
	// command is that of the data mover, args are its flags.
	command string
	args    []string
	mode    corev1.PersistentVolumeMode
	// readOnly mounts the volume so.
	readOnly bool
	// capabilities are what root needs beyond its own files. No other is left to it.
	capabilities []corev1.Capability
}

// VolumePath is where the pod sees the volume: its mount point, or its device for block volumes.
func VolumePath(transfer v2alpha1.Transfer) string {
	return "/" + string(transfer.GetUID())
}

// build builds the pod. It runs as root, which alone may read and write every file, and without all else that root may: it works on
// file systems that others control.
func (p podPlan) build(template AgentTemplate) *corev1.Pod {
	template = template.withScratch()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       p.transfer.GetNamespace(),
			Name:            p.transfer.GetName(),
			Labels:          p.labels(template),
			Annotations:     maps.Clone(configuredOr(template.Annotations, p.configured.PodAnnotations)),
			OwnerReferences: []metav1.OwnerReference{OwnerReference(p.transfer)},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName:            template.ServiceAccountName,
			ImagePullSecrets:              template.ImagePullSecrets,
			DNSPolicy:                     template.DNSPolicy,
			DNSConfig:                     template.DNSConfig,
			HostAliases:                   template.HostAliases,
			Tolerations:                   p.tolerations(template),
			PriorityClassName:             p.configured.PriorityClassName,
			OS:                            &corev1.PodOS{Name: corev1.Linux},
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(gracePeriodSeconds)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsUser:      new(int64(0)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
				MaxSkew:           1,
				TopologyKey:       corev1.LabelHostname,
				WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector:     &metav1.LabelSelector{MatchLabels: map[string]string{v2alpha1.ExposerPodGroupLabel: p.group}},
			}},
			Volumes: append([]corev1.Volume{{
				Name: string(p.transfer.GetUID()),
				VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
					ClaimName: p.transfer.GetName(),
					ReadOnly:  p.readOnly,
				}},
			}}, template.Volumes...),
			Containers: []corev1.Container{p.container(template)},
		},
	}
}

// labels are those configured, else those of the agent that third parties go by; ours stand in any case.
//
// Documented in Velero under "Pod Labels Configuration": the configured ones supersede the agent's.
func (p podPlan) labels(template AgentTemplate) map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, configuredOr(template.Labels, p.configured.PodLabels))
	labels[v2alpha1.ExposerPodGroupLabel] = p.group
	maps.Copy(labels, Labels(p.transfer))
	return labels
}

// tolerations are those of the agent and the configured ones.
//
// Documented in Velero under "Tolerations Configuration": the configured ones are added to what is taken over from the agent, each
// once.
func (p podPlan) tolerations(template AgentTemplate) []corev1.Toleration {
	all := slices.Clone(template.Tolerations)
	for _, toleration := range p.configured.Tolerations {
		all = withToleration(all, toleration)
	}
	return all
}

func configuredOr(inherited, configured map[string]string) map[string]string {
	if len(configured) > 0 {
		return configured
	}
	return inherited
}

func (p podPlan) container(template AgentTemplate) corev1.Container {
	name, path := string(p.transfer.GetUID()), VolumePath(p.transfer)
	c := corev1.Container{
		Name:            name,
		Image:           template.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{"/velero", "data-mover", p.command},
		Args: slices.Concat(
			[]string{"--volume-path=" + path, "--volume-mode=" + string(p.mode)}, p.args, template.LogArgs),
		Env:                      template.Env,
		EnvFrom:                  template.EnvFrom,
		Resources:                resources(p.configured.PodResources),
		VolumeMounts:             slices.Clone(template.VolumeMounts),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: p.capabilities},
		},
	}
	if number := attempts.Number(p.transfer); number > 1 {
		c.Args = append(c.Args, "--attempt="+strconv.Itoa(number))
	}
	if template.CacheLimit > 0 {
		c.Args = append(c.Args, "--cache-limit-mb="+strconv.FormatInt(template.CacheLimit, 10))
	}
	if p.mode == corev1.PersistentVolumeBlock {
		c.VolumeDevices = []corev1.VolumeDevice{{Name: name, DevicePath: path}}
	} else {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: p.readOnly})
	}
	return c
}

func resources(configured *config.PodResources) corev1.ResourceRequirements {
	if configured == nil {
		return corev1.ResourceRequirements{}
	}
	return corev1.ResourceRequirements{Requests: configured.Requests(), Limits: configured.Limits()}
}
