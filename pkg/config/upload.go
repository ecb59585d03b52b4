package config

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Upload is what a configuration says about one DataUpload. It is decided when the DataUpload is accepted and kept with it,
// so that a change of the configuration never meets a DataUpload halfway.
type Upload struct {
	// Source names the ConfigMap and its version. Empty: there was none.
	Source string `json:"source,omitempty"`
	// BackupPVC is the entry for the storage class of the source PVC.
	BackupPVC BackupPVC `json:"backupPVC,omitzero"`
	// Pod is about the backup pod.
	Pod
}

// ForUpload returns what counts for a DataUpload whose source PVC is of a storage class.
func (c *Config) ForUpload(sourceClass string) Upload {
	section := c.BackupPVC[sourceClass]
	return Upload{Source: c.Source, BackupPVC: section, Pod: c.pod(section.ClassFor(sourceClass))}
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
	parts = append(parts, u.Pod.settings()...)
	if len(parts) == 0 {
		return "defaults"
	}
	return strings.Join(parts, ", ")
}
