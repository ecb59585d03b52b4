package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod is what a configuration says about the pods that move data.
type Pod struct {
	// NodeSelector is that of the loadAffinity rule for the class of the PVC that the pod mounts. Nil: any node.
	NodeSelector      *metav1.LabelSelector `json:"nodeSelector,omitempty"`
	PodResources      *PodResources         `json:"podResources,omitempty"`
	PriorityClassName string                `json:"priorityClassName,omitempty"`
	PodLabels         map[string]string     `json:"podLabels,omitempty"`
	PodAnnotations    map[string]string     `json:"podAnnotations,omitempty"`
	Tolerations       []corev1.Toleration   `json:"tolerations,omitempty"`
}

func (c *Config) pod(class string) Pod {
	pod := Pod{
		PodResources:      c.PodResources,
		PriorityClassName: c.PriorityClassName,
		PodLabels:         c.PodLabels,
		PodAnnotations:    c.PodAnnotations,
		Tolerations:       c.Tolerations,
	}
	if rule := c.Affinity(class); rule != nil {
		pod.NodeSelector = &rule.NodeSelector
	}
	return pod
}

// Affinity returns the loadAffinity rule for the class of a backupPVC or target PVC: the first one for the class, else the first one
// without a class, else nil.
func (c *Config) Affinity(class string) *LoadAffinity {
	for _, wanted := range []string{class, ""} {
		i := slices.IndexFunc(c.LoadAffinity, func(rule LoadAffinity) bool { return rule.StorageClass == wanted })
		if i >= 0 {
			return &c.LoadAffinity[i]
		}
	}
	return nil
}

// settings lists what is set, between empty strings.
func (p Pod) settings() []string {
	nodes, resources := "", ""
	if p.NodeSelector != nil {
		nodes = Describe(p.NodeSelector)
	}
	if p.PodResources != nil {
		resources = p.PodResources.String()
	}
	return []string{
		named("nodes", nodes),
		resources,
		named("priority class", p.PriorityClassName),
		named("pod labels", keys(p.PodLabels)),
		named("pod annotations", keys(p.PodAnnotations)),
		named("tolerations", DescribeTolerations(p.Tolerations)),
	}
}

// summary says in one line where a configuration is from and what it sets.
func summary(source string, settings []string) string {
	if source == "" {
		return "default configuration, because no node-agent ConfigMap is given"
	}
	return "configuration of " + source + ": " + cmp.Or(list(settings...), "defaults")
}

func list(settings ...string) string {
	return strings.Join(slices.DeleteFunc(settings, func(setting string) bool { return setting == "" }), ", ")
}

// named is empty if the value is.
func named(name, value string) string {
	if value == "" {
		return ""
	}
	return name + " " + value
}

func flag(name string, isSet bool) string {
	if isSet {
		return name
	}
	return ""
}

// DescribeTolerations writes tolerations as kubectl writes taints, as in "dedicated=backup:NoSchedule spot".
func DescribeTolerations(tolerations []corev1.Toleration) string {
	var parts []string
	for _, toleration := range tolerations {
		part := cmp.Or(toleration.Key, "all")
		if toleration.Value != "" {
			part += "=" + toleration.Value
		}
		if toleration.Effect != "" {
			part += ":" + string(toleration.Effect)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func keys(of map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), " ")
}
