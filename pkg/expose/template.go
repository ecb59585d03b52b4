package expose

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Names that `velero install` gives to the agent's DaemonSet and its container.
const (
	AgentDaemonSet = "node-agent"
	agentContainer = "node-agent"
)

// AgentTemplate is what a backup pod takes over from the agent's DaemonSet, so that it has the same image, credentials
// and environment. Volumes of type hostPath are left out: a backup pod needs nothing of its node.
type AgentTemplate struct {
	ServiceAccountName string
	// Identity is the environment variable by which the agent's pod was given a cloud identity, or empty.
	Identity         string
	ImagePullSecrets []corev1.LocalObjectReference
	DNSPolicy        corev1.DNSPolicy
	DNSConfig        *corev1.PodDNSConfig
	HostAliases      []corev1.HostAlias
	Tolerations      []corev1.Toleration
	Labels           map[string]string
	Annotations      map[string]string
	Image            string
	Env              []corev1.EnvVar
	EnvFrom          []corev1.EnvFromSource
	Volumes          []corev1.Volume
	VolumeMounts     []corev1.VolumeMount
	// LogArgs are the agent's --log-level and --log-format, so that backup pods log alike.
	LogArgs []string
	// CacheLimit is not the agent's, but what the BackupRepository limits the caches to, in MiB; zero if it does not.
	CacheLimit int64
}

// azureIdentityLabel asks for the identity that an account has with Azure.
const azureIdentityLabel = "azure.workload.identity/use"

// Labels and annotations of the agent that backup pods take over; third parties inject identities by them.
var (
	inheritedLabels      = []string{azureIdentityLabel}
	inheritedAnnotations = []string{"iam.amazonaws.com/role"}
)

// TemplateOf reads the AgentTemplate from the agent's DaemonSet. Its container is the one named node-agent, or the only
// one there is, so that injected sidecars do no harm. taints are those that the nodes have.
func TemplateOf(daemonSet *appsv1.DaemonSet, taints []corev1.Taint) (AgentTemplate, error) {
	pod := daemonSet.Spec.Template.Spec
	container, err := containerOf(daemonSet)
	if err != nil {
		return AgentTemplate{}, err
	}
	volumes := slices.DeleteFunc(slices.Clone(pod.Volumes), func(v corev1.Volume) bool { return v.HostPath != nil })
	mounts := slices.DeleteFunc(slices.Clone(container.VolumeMounts), func(m corev1.VolumeMount) bool {
		return !slices.ContainsFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
	})
	return AgentTemplate{
		ServiceAccountName: pod.ServiceAccountName,
		ImagePullSecrets:   pod.ImagePullSecrets,
		DNSPolicy:          pod.DNSPolicy,
		DNSConfig:          pod.DNSConfig,
		HostAliases:        pod.HostAliases,
		Tolerations:        moverTolerations(pod.Tolerations, taints),
		Labels:             pick(daemonSet.Spec.Template.Labels, inheritedLabels),
		Annotations:        pick(daemonSet.Spec.Template.Annotations, inheritedAnnotations),
		Image:              container.Image,
		Env:                ownResources(container.Env),
		EnvFrom:            container.EnvFrom,
		Volumes:            volumes,
		VolumeMounts:       mounts,
		LogArgs:            logArgs(container.Args),
	}, nil
}

func containerOf(daemonSet *appsv1.DaemonSet) (corev1.Container, error) {
	containers := daemonSet.Spec.Template.Spec.Containers
	i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == agentContainer })
	switch {
	case i >= 0:
		return containers[i], nil
	case len(containers) == 1:
		return containers[0], nil
	default:
		return corev1.Container{}, fmt.Errorf("daemonset %s/%s has %d containers and none is named %s",
			daemonSet.Namespace, daemonSet.Name, len(containers), agentContainer)
	}
}

// ownResources lets variables that tell the resources of the agent's container tell those of the backup pod's, whose name is
// another one.
func ownResources(env []corev1.EnvVar) []corev1.EnvVar {
	env = slices.Clone(env)
	for i := range env {
		if from := env[i].ValueFrom; from != nil && from.ResourceFieldRef != nil {
			env[i].ValueFrom = from.DeepCopy()
			env[i].ValueFrom.ResourceFieldRef.ContainerName = ""
		}
	}
	return env
}

func pick(from map[string]string, keys []string) map[string]string {
	picked := map[string]string{}
	for _, key := range keys {
		if value, found := from[key]; found {
			picked[key] = value
		}
	}
	return picked
}

// logArgs finds the logging flags in both of their spellings, --flag=value and --flag value.
func logArgs(args []string) []string {
	var found []string
	for i, arg := range args {
		name, _, joined := strings.Cut(arg, "=")
		if name != "--log-level" && name != "--log-format" {
			continue
		}
		switch {
		case joined:
			found = append(found, arg)
		case i+1 < len(args):
			found = append(found, arg, args[i+1])
		}
	}
	return found
}
