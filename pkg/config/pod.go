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

// settings lists what is set.
func (p Pod) settings() []string {
	var parts []string
	if p.NodeSelector != nil {
		parts = append(parts, "nodes "+Describe(p.NodeSelector))
	}
	if p.PodResources != nil && p.PodResources.String() != "" {
		parts = append(parts, p.PodResources.String())
	}
	if p.PriorityClassName != "" {
		parts = append(parts, "priority class "+p.PriorityClassName)
	}
	if len(p.PodLabels) > 0 {
		parts = append(parts, "pod labels "+keys(p.PodLabels))
	}
	if len(p.PodAnnotations) > 0 {
		parts = append(parts, "pod annotations "+keys(p.PodAnnotations))
	}
	if len(p.Tolerations) > 0 {
		parts = append(parts, "tolerations "+DescribeTolerations(p.Tolerations))
	}
	return parts
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
