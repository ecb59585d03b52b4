package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Labels by which Velero finds the BackupRepository of a volume namespace. Values go through LabelValue.
const (
	VolumeNamespaceLabel = "velero.io/volume-namespace"
	StorageLocationLabel = "velero.io/storage-location"
	RepositoryTypeLabel  = "velero.io/repository-type"
)

// RepositoryTypeKopia is the only repository type that data movement uses.
const RepositoryTypeKopia = "kopia"

// The Secret in which the Velero server keeps the password of all repositories, in Velero's namespace.
const (
	RepositoryPasswordSecret = "velero-repo-credentials"
	RepositoryPasswordKey    = "repository-password"
)

// BackupRepositoryPhase is one word for the state of a BackupRepository.
// +kubebuilder:validation:Enum=New;Ready;NotReady
type BackupRepositoryPhase string

// Phases of a BackupRepository. An empty phase means New.
const (
	BackupRepositoryPhaseNew      BackupRepositoryPhase = "New"
	BackupRepositoryPhaseReady    BackupRepositoryPhase = "Ready"
	BackupRepositoryPhaseNotReady BackupRepositoryPhase = "NotReady"
)

// BackupRepositorySpec says which repository is meant.
type BackupRepositorySpec struct {
	// VolumeNamespace is the namespace whose volumes the repository holds.
	VolumeNamespace string `json:"volumeNamespace"`

	// BackupStorageLocation is the name of the BackupStorageLocation that holds the repository.
	BackupStorageLocation string `json:"backupStorageLocation"`

	// RepositoryType is the format of the repository.
	// +kubebuilder:validation:Enum=kopia;restic;""
	// +optional
	RepositoryType string `json:"repositoryType"`

	// ResticIdentifier is not used by Kopia repositories.
	// +optional
	ResticIdentifier string `json:"resticIdentifier,omitempty"`

	// MaintenanceFrequency is how often the Velero server maintains the repository.
	MaintenanceFrequency metav1.Duration `json:"maintenanceFrequency"`

	// RepositoryConfig holds settings of the repository.
	// +optional
	// +nullable
	RepositoryConfig map[string]string `json:"repositoryConfig,omitempty"`
}

// BackupRepositoryStatus is what is known about a BackupRepository. Only what node-agent reads or writes is listed;
// it patches, so that the rest stays as it is.
type BackupRepositoryStatus struct {
	// Phase is the state of the repository.
	// +optional
	Phase BackupRepositoryPhase `json:"phase,omitempty"`

	// Message says why the repository is not ready.
	// +optional
	Message string `json:"message,omitempty"`

	// LastMaintenanceTime is when the repository was last maintained, at first when it was initialised.
	// +optional
	// +nullable
	LastMaintenanceTime *metav1.Time `json:"lastMaintenanceTime,omitempty"`
}

// BackupRepository is the repository of one volume namespace in one BackupStorageLocation.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=backuprepositories
// +kubebuilder:storageversion
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Repository Type",type="string",JSONPath=".spec.repositoryType"
type BackupRepository struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec BackupRepositorySpec `json:"spec,omitempty"`

	// +optional
	Status BackupRepositoryStatus `json:"status,omitempty"`
}

// BackupRepositoryList is a list of BackupRepositories.
// +kubebuilder:object:root=true
type BackupRepositoryList struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []BackupRepository `json:"items"`
}
