package config

import (
	"fmt"
	"strings"

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
}

// Download is what a configuration says about one DataDownload. As with a DataUpload, it is decided when that is accepted.
type Download struct {
	// Source names the ConfigMap and its version. Empty: there was none.
	Source string `json:"source,omitempty"`
	// IgnoreDelayBinding lets a restore begin before a pod uses the target PVC, although its class binds only then.
	IgnoreDelayBinding bool `json:"ignoreDelayBinding,omitempty"`
	// SecretNames and ConfigMapNames are what the driver needs for the restorePVC.
	SecretNames    []string `json:"secretNames,omitempty"`
	ConfigMapNames []string `json:"configMapNames,omitempty"`
	// CachePVC is nil if restores use no volume for their cache.
	CachePVC *CachePVC `json:"cachePVC,omitempty"`
	Pod
}

// ForDownload returns what counts for a DataDownload whose target PVC is of a storage class.
func (c *Config) ForDownload(targetClass string) Download {
	download := Download{Source: c.source, CachePVC: c.CachePVC, Pod: c.pod(targetClass)}
	if c.RestorePVC != nil {
		download.IgnoreDelayBinding = c.RestorePVC.IgnoreDelayBinding
		download.SecretNames, download.ConfigMapNames = c.RestorePVC.SecretNames, c.RestorePVC.ConfigMapNames
	}
	return download
}

func (c *Config) pod(class string) Pod {
	pod := Pod{
		PodResources:      c.PodResources,
		PriorityClassName: c.PriorityClassName,
		PodLabels:         c.PodLabels,
		PodAnnotations:    c.PodAnnotations,
	}
	if rule := c.Affinity(class); rule != nil {
		pod.NodeSelector = &rule.NodeSelector
	}
	return pod
}

// Pod is what concerns the backup pod.
func (u Upload) Pod() Pod {
	return Pod{
		NodeSelector: u.NodeSelector, PodResources: u.PodResources, PriorityClassName: u.PriorityClassName,
		PodLabels: u.PodLabels, PodAnnotations: u.PodAnnotations,
	}
}

// Summary says in one line where the configuration is from and what it sets, for an Event.
func (d Download) Summary() string {
	if d.Source == "" {
		return "default configuration, because no node-agent ConfigMap is given"
	}
	var parts []string
	if d.IgnoreDelayBinding {
		parts = append(parts, "ignoreDelayBinding")
	}
	if len(d.SecretNames) > 0 {
		parts = append(parts, "secrets "+strings.Join(d.SecretNames, " "))
	}
	if len(d.ConfigMapNames) > 0 {
		parts = append(parts, "configMaps "+strings.Join(d.ConfigMapNames, " "))
	}
	if d.CachePVC != nil {
		parts = append(parts, "cachePVC of class "+d.CachePVC.StorageClass)
	}
	parts = append(parts, d.settings()...)
	if len(parts) == 0 {
		parts = []string{"defaults"}
	}
	return fmt.Sprintf("configuration of %s: %s", d.Source, strings.Join(parts, ", "))
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
	return parts
}
