package config

import (
	"cmp"
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
	return cmp.Or(b.StorageClass, sourceClass)
}

// Summary says in one line where the configuration is from and what it sets, for an Event.
func (u Upload) Summary() string {
	b := u.BackupPVC
	return summary(u.Source, append([]string{
		named("backupPVC of class", b.StorageClass),
		flag("readOnly", b.ReadOnly),
		flag("spcNoRelabeling", b.ReadOnly && b.SPCNoRelabeling),
		flag("readWriteOncePod", b.AccessMode() == corev1.ReadWriteOncePod),
		named("annotations", keys(b.Annotations)),
		named("secrets", strings.Join(b.SecretNames, " ")),
		named("configMaps", strings.Join(b.ConfigMapNames, " ")),
	}, u.settings()...))
}
