// Package config is what the node-agent ConfigMap can set: the types of the settings, their defaults, and what counts for one
// DataUpload or DataDownload.
package config

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Config is the content of the node-agent ConfigMap with defaults filled in. It is shared between goroutines:
// treat it, and all it points to, as read-only.
type Config struct {
	// LoadConcurrency limits how many volumes are moved at a time. Never nil after SetDefaults.
	LoadConcurrency *LoadConcurrency `json:"loadConcurrency"`
	// LoadAffinity chooses the nodes of backup and restore pods. The first element for the class of the backupPVC or
	// target PVC counts, else the first one without a class.
	LoadAffinity []LoadAffinity `json:"loadAffinity"`
	// PodResources are the requests and limits of backup and restore pods. Nil: none.
	PodResources *PodResources `json:"podResources"`
	// BackupPVC holds the settings of the backupPVC by the storage class of the source PVC. The key of those without a class
	// is empty.
	BackupPVC map[string]BackupPVC `json:"backupPVC"`
	// RestorePVC is about the intermediate PVC of a restore.
	RestorePVC *RestorePVC `json:"restorePVC"`
	// CachePVC is the volume for the cache of a restore. Nil: restores have none.
	CachePVC *CachePVC `json:"cachePVC"`
	// PriorityClassName of backup and restore pods. Empty: the cluster's default.
	PriorityClassName string `json:"priorityClassName"`
	// PodLabels are set on backup and restore pods.
	PodLabels map[string]string `json:"podLabels"`
	// PodAnnotations are set on backup and restore pods.
	PodAnnotations map[string]string `json:"podAnnotations"`
	// Tolerations are added to those that backup and restore pods take over from the agent, as in Velero after 1.18.
	Tolerations []corev1.Toleration `json:"tolerations"`
	// PrivilegedFsBackup is accepted for Velero's sake; node-agent has no file-system backup of running pods.
	PrivilegedFsBackup bool `json:"privilegedFsBackup"`
	// CSISnapshotMetadataServiceConfigs belongs to Velero's changed block tracking. Nil: not used.
	CSISnapshotMetadataServiceConfigs *CSISnapshotMetadataServiceConfigs `json:"csiSnapshotMetadataServiceConfigs"`

	// Source names where the configuration is from: the ConfigMap and its version. Empty: it is from nowhere, or a file.
	Source string `json:"-"`
}

// LoadConcurrency limits the volumes that are moved at a time.
type LoadConcurrency struct {
	// GlobalConfig is the number per node. Default 1.
	GlobalConfig int `json:"globalConfig"`
	// PerNodeConfig overrides GlobalConfig for the nodes that a rule matches; the smallest number of all matches counts.
	PerNodeConfig []PerNodeConfig `json:"perNodeConfig"`
	// PrepareQueueLength is the number of DataUploads and DataDownloads in the whole cluster that may be in preparation.
	// 0: no limit.
	PrepareQueueLength int `json:"prepareQueueLength"`
}

// PerNodeConfig is one rule of LoadConcurrency.
type PerNodeConfig struct {
	// NodeSelector matches node labels. An empty one matches every node.
	NodeSelector metav1.LabelSelector `json:"nodeSelector"`
	// Number of volumes at a time, at least 1.
	Number int `json:"number"`
}

// LoadAffinity is one rule for the nodes of backup and restore pods.
type LoadAffinity struct {
	// NodeSelector matches node labels. An empty one matches every node.
	NodeSelector metav1.LabelSelector `json:"nodeSelector"`
	// StorageClass of the backupPVC or target PVC that the rule is for. Empty: every class without a rule of its own.
	StorageClass string `json:"storageClass"`
}

// PodResources are the requests and limits of backup and restore pods. A zero quantity means that there is none.
type PodResources struct {
	CPURequest              resource.Quantity `json:"cpuRequest,omitzero"`
	MemoryRequest           resource.Quantity `json:"memoryRequest,omitzero"`
	EphemeralStorageRequest resource.Quantity `json:"ephemeralStorageRequest,omitzero"`
	CPULimit                resource.Quantity `json:"cpuLimit,omitzero"`
	MemoryLimit             resource.Quantity `json:"memoryLimit,omitzero"`
	EphemeralStorageLimit   resource.Quantity `json:"ephemeralStorageLimit,omitzero"`
}

// BackupPVC says how the backupPVC for source PVCs of one storage class is made.
type BackupPVC struct {
	// StorageClass of the backupPVC. Empty: the class of the source PVC.
	StorageClass string `json:"storageClass,omitempty"`
	// ReadOnly makes ReadOnlyMany the only access mode. Without it and ReadWriteOncePod it is ReadWriteOnce.
	ReadOnly bool `json:"readOnly,omitempty"`
	// SPCNoRelabeling runs the backup pod with the SELinux type spc_t. It has no meaning unless ReadOnly is set.
	SPCNoRelabeling bool `json:"spcNoRelabeling,omitempty"`
	// ReadWriteOncePod makes that the only access mode and lets kubelet set the SELinux label of the volume when it mounts
	// it, instead of that of every file. It has no meaning if ReadOnly is set.
	ReadWriteOncePod bool `json:"readWriteOncePod,omitempty"`
	// Annotations of the backupPVC.
	Annotations map[string]string `json:"annotations,omitempty"`
	// SecretNames are Secrets of the source namespace that the volume's driver needs, for example for encryption.
	SecretNames []string `json:"secretNames,omitempty"`
	// ConfigMapNames are ConfigMaps of the source namespace that the volume's driver needs.
	ConfigMapNames []string `json:"configMapNames,omitempty"`
}

// RestorePVC says how the intermediate PVC of a restore is made.
type RestorePVC struct {
	// IgnoreDelayBinding lets a restore begin before a pod uses the target PVC, although its class binds only then.
	IgnoreDelayBinding bool `json:"ignoreDelayBinding"`
	// SecretNames are Secrets of the target namespace that the volume's driver needs, for example for encryption.
	SecretNames []string `json:"secretNames"`
	// ConfigMapNames are ConfigMaps of the target namespace that the volume's driver needs.
	ConfigMapNames []string `json:"configMapNames"`
}

// CachePVC says how the volume for the cache of a restore is made.
type CachePVC struct {
	// StorageClass of the cache volume; required.
	StorageClass string `json:"storageClass"`
	// ResidentThresholdInMB is the size of a backup in MiB from which on a cache volume is used.
	ResidentThresholdInMB int64 `json:"residentThresholdInMB"`
	// ThresholdInGB is what Velero's documentation calls the threshold, in GiB. SetDefaults carries it over to
	// ResidentThresholdInMB; only one of the two may be set.
	ThresholdInGB int64 `json:"thresholdInGB"`
}

// CSISnapshotMetadataServiceConfigs names the service account for Velero's changed block tracking.
type CSISnapshotMetadataServiceConfigs struct {
	SAName string `json:"saName"`
}
