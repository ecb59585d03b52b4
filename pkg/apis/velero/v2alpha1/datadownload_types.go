package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Names that Velero gives to what belongs to a DataDownload.
const (
	// DataDownloadLabel is carried by every object made for a DataDownload; its value is the DataDownload's name.
	DataDownloadLabel = "velero.io/data-download"
	// DynamicPVRestoreLabel is what the selector of a target PVC asks of its PersistentVolume. Velero's restore puts a value
	// into the selector that no other volume has, so that nothing but the restored volume can be bound to the target PVC.
	DynamicPVRestoreLabel = "velero.io/dynamic-pv-restore"
)

// ParallelFilesDownloadKey is a key of DataDownloadSpec.DataMoverConfig, documented in Velero under "Restore uploader
// configurations". It says how many files are written at a time: a number greater than 0. The default is the number of CPUs.
// Velero's other key, WriteSparseFiles, has no effect, since holes are always left.
const ParallelFilesDownloadKey = "ParallelFilesDownload"

// DataDownloadSpec says which snapshot of a backup repository goes into which volume.
type DataDownloadSpec struct {
	// TargetVolume is the volume that is waited for.
	TargetVolume TargetVolumeSpec `json:"targetVolume"`

	// BackupStorageLocation is the name of the BackupStorageLocation that holds the backup repository.
	BackupStorageLocation string `json:"backupStorageLocation"`

	// DataMover names who moves the data. Empty and "velero" mean the built-in one, which is this program.
	// +optional
	DataMover string `json:"datamover,omitempty"`

	// SnapshotID is the ID of the snapshot in the backup repository.
	SnapshotID string `json:"snapshotID"`

	// SourceNamespace is the namespace that the volume was backed up from, which names the backup repository. The target PVC
	// may be in another one.
	SourceNamespace string `json:"sourceNamespace"`

	// DataMoverConfig holds settings for the data mover: ParallelFilesDownloadKey.
	// +optional
	DataMoverConfig map[string]string `json:"dataMoverConfig,omitempty"`

	// Cancel asks to stop. It may be set, but not taken back, while the DataDownload is not done.
	// +optional
	Cancel bool `json:"cancel,omitempty"`

	// OperationTimeout limits single operations inside the DataDownload, such as waiting for one object to be deleted.
	OperationTimeout metav1.Duration `json:"operationTimeout"`

	// NodeOS is the operating system that the volume is for. Empty means linux.
	// +optional
	// +kubebuilder:validation:Enum=auto;linux;windows
	NodeOS NodeOS `json:"nodeOS,omitempty"`

	// SnapshotSize is the size of the data in bytes, as the backup saw it; 0 if that is not known.
	// +optional
	SnapshotSize int64 `json:"snapshotSize,omitempty"`
}

// TargetVolumeSpec names the PersistentVolumeClaim that Velero's restore has made and that waits for its data.
type TargetVolumeSpec struct {
	// PVC is the name of the target PVC.
	PVC string `json:"pvc"`

	// PV is the name of its PersistentVolume in the backup. The restored one has another name.
	PV string `json:"pv"`

	// Namespace is that of the target PVC.
	Namespace string `json:"namespace"`
}

// DataDownloadStatus is what is known about a DataDownload.
type DataDownloadStatus struct {
	TransferStatus `json:",inline"`
}

// DataDownload moves the data of one snapshot of a backup repository into a volume.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=datadownloads
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="How far the DataDownload has come"
// +kubebuilder:printcolumn:name="Started",type="date",JSONPath=".status.startTimestamp",description="When data began to move"
// +kubebuilder:printcolumn:name="Bytes Done",type="integer",format="int64",JSONPath=".status.progress.bytesDone",description="Bytes done"
// +kubebuilder:printcolumn:name="Total Bytes",type="integer",format="int64",JSONPath=".status.progress.totalBytes",description="Bytes in the snapshot"
// +kubebuilder:printcolumn:name="Storage Location",type="string",JSONPath=".spec.backupStorageLocation",description="BackupStorageLocation of the repository"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Age of the DataDownload"
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".status.node",description="Node of the restore pod"
type DataDownload struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec DataDownloadSpec `json:"spec,omitempty"`

	// +optional
	Status DataDownloadStatus `json:"status,omitempty"`
}

// DataDownloadList is a list of DataDownloads.
// +kubebuilder:object:root=true
type DataDownloadList struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []DataDownload `json:"items"`
}
