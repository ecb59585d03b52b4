package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ObjectStorageLocation is a place in an object store.
type ObjectStorageLocation struct {
	// Bucket is the bucket or container.
	Bucket string `json:"bucket"`

	// Prefix is the path inside the bucket, empty for its root.
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// CACert is a PEM bundle to verify the store's TLS certificate with.
	// +optional
	CACert []byte `json:"caCert,omitempty"`

	// CACertRef selects a key of a Secret that holds such a bundle. It is preferred to CACert.
	// +optional
	CACertRef *corev1.SecretKeySelector `json:"caCertRef,omitempty"`
}

// StorageType holds the kinds of places that a BackupStorageLocation can be.
type StorageType struct {
	// +optional
	// +nullable
	ObjectStorage *ObjectStorageLocation `json:"objectStorage,omitempty"`
}

// BackupStorageLocationSpec says where backups are kept. Only what node-agent reads is listed.
type BackupStorageLocationSpec struct {
	// Provider names the kind of store, such as aws, azure, gcp or velero.io/fs.
	Provider string `json:"provider"`

	// Config holds settings of the provider.
	// +optional
	Config map[string]string `json:"config,omitempty"`

	// Credential selects a key of a Secret that holds the credentials of this location.
	// +optional
	Credential *corev1.SecretKeySelector `json:"credential,omitempty"`

	StorageType `json:",inline"`

	// Default marks the location that is used when none is named.
	// +optional
	Default bool `json:"default,omitempty"`

	// AccessMode is ReadWrite (also if empty) or ReadOnly. Nothing is uploaded into a ReadOnly location.
	// +kubebuilder:validation:Enum=ReadOnly;ReadWrite
	// +optional
	AccessMode BackupStorageLocationAccessMode `json:"accessMode,omitempty"`
}

// BackupStorageLocationAccessMode says whether a location may be written to.
type BackupStorageLocationAccessMode string

// Access modes of a location.
const (
	BackupStorageLocationReadOnly  BackupStorageLocationAccessMode = "ReadOnly"
	BackupStorageLocationReadWrite BackupStorageLocationAccessMode = "ReadWrite"
)

// BackupStorageLocation is a place where backups are kept.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=backupstoragelocations,shortName=bsl
// +kubebuilder:storageversion
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Default",type="boolean",JSONPath=".spec.default"
type BackupStorageLocation struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec BackupStorageLocationSpec `json:"spec,omitempty"`
}

// BackupStorageLocationList is a list of BackupStorageLocations.
// +kubebuilder:object:root=true
type BackupStorageLocationList struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []BackupStorageLocation `json:"items"`
}
