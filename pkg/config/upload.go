package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Upload is what a configuration says about one DataUpload. It is decided when the DataUpload is accepted and kept with it,
// so that a change of the configuration never meets a DataUpload halfway.
type Upload struct {
	// Source names the ConfigMap and its version. Empty: there was none.
	Source string `json:"source,omitempty"`
	// BackupPVC is the entry for the storage class of the source PVC.
	BackupPVC BackupPVC `json:"backupPVC,omitzero"`
	// NodeSelector is that of the loadAffinity rule for the class of the backupPVC. Nil: any node.
	NodeSelector      *metav1.LabelSelector `json:"nodeSelector,omitempty"`
	PodResources      *PodResources         `json:"podResources,omitempty"`
	PriorityClassName string                `json:"priorityClassName,omitempty"`
	PodLabels         map[string]string     `json:"podLabels,omitempty"`
	PodAnnotations    map[string]string     `json:"podAnnotations,omitempty"`
}

// ForUpload returns what counts for a DataUpload whose source PVC is of a storage class.
func (c *Config) ForUpload(sourceClass string) Upload {
	section := c.BackupPVC[sourceClass]
	upload := Upload{
		Source:            c.source,
		BackupPVC:         section,
		PodResources:      c.PodResources,
		PriorityClassName: c.PriorityClassName,
		PodLabels:         c.PodLabels,
		PodAnnotations:    c.PodAnnotations,
	}
	if rule := c.Affinity(section.ClassFor(sourceClass)); rule != nil {
		upload.NodeSelector = &rule.NodeSelector
	}
	return upload
}

// AccessMode returns the one access mode of the backupPVC.
func (b BackupPVC) AccessMode() corev1.PersistentVolumeAccessMode {
	switch {
	case b.ReadOnly:
		return corev1.ReadOnlyMany
	case b.ReadWriteOncePod:
		return corev1.ReadWriteOncePod
	default:
		return corev1.ReadWriteOnce
	}
}

// ClassFor returns the class of the backupPVC for source PVCs of a storage class.
func (b BackupPVC) ClassFor(sourceClass string) string {
	if b.StorageClass != "" {
		return b.StorageClass
	}
	return sourceClass
}

// Affinity returns the loadAffinity rule for a class of the backupPVC: the first one for the class, else the first one
// without a class, else nil.
func (c *Config) Affinity(backupClass string) *LoadAffinity {
	for _, class := range []string{backupClass, ""} {
		i := slices.IndexFunc(c.LoadAffinity, func(rule LoadAffinity) bool { return rule.StorageClass == class })
		if i >= 0 {
			return &c.LoadAffinity[i]
		}
	}
	return nil
}

// Concurrency returns how many volumes may be moved at a time on a node with these labels: the smallest number of all
// rules that match, else the global one.
func (c *Config) Concurrency(nodeLabels map[string]string) int {
	if c.LoadConcurrency == nil {
		return defaultConcurrency
	}
	number := 0
	for _, rule := range c.LoadConcurrency.PerNodeConfig {
		if Matches(&rule.NodeSelector, nodeLabels) && (number == 0 || rule.Number < number) {
			number = rule.Number
		}
	}
	if number == 0 {
		return max(c.LoadConcurrency.GlobalConfig, defaultConcurrency)
	}
	return number
}

// Matches tells whether a checked selector matches the labels of a node. An empty one matches every node.
func Matches(selector *metav1.LabelSelector, nodeLabels map[string]string) bool {
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && matcher.Matches(k8slabels.Set(nodeLabels))
}

// Summary says in one line where the configuration is from and what it sets, for an Event.
func (u Upload) Summary() string {
	if u.Source == "" {
		return "default configuration, because no node-agent ConfigMap is given"
	}
	return "configuration of " + u.Source + ": " + u.settings()
}

func (u Upload) settings() string {
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	b := u.BackupPVC
	add(b.StorageClass != "", "backupPVC of class %s", b.StorageClass)
	add(b.ReadOnly, "readOnly")
	add(b.ReadOnly && b.SPCNoRelabeling, "spcNoRelabeling")
	add(b.AccessMode() == corev1.ReadWriteOncePod, "readWriteOncePod")
	add(len(b.Annotations) > 0, "annotations %s", keys(b.Annotations))
	add(len(b.SecretNames) > 0, "secrets %s", strings.Join(b.SecretNames, " "))
	add(len(b.ConfigMapNames) > 0, "configMaps %s", strings.Join(b.ConfigMapNames, " "))
	parts = append(parts, u.Pod().settings()...)
	if len(parts) == 0 {
		return "defaults"
	}
	return strings.Join(parts, ", ")
}

// String lists what is set, as in "requests cpu=500m memory=1Gi, limits memory=4Gi". Empty: nothing is.
func (r *PodResources) String() string {
	var parts []string
	for _, side := range []struct {
		name       string
		quantities string
	}{{"requests", quantities(r.Requests())}, {"limits", quantities(r.Limits())}} {
		if side.quantities != "" {
			parts = append(parts, side.name+" "+side.quantities)
		}
	}
	return strings.Join(parts, ", ")
}

// Describe writes a selector as kubectl does; an empty one is "any".
func Describe(selector *metav1.LabelSelector) string {
	text := metav1.FormatLabelSelector(selector)
	if text == "<none>" {
		return "any"
	}
	return text
}

func keys(of map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), " ")
}
