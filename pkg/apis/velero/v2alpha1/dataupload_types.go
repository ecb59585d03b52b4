package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Names that Velero gives to what belongs to a DataUpload.
const (
	// DataUploadLabel is carried by every object made for a DataUpload; its value is the DataUpload's name.
	DataUploadLabel = "velero.io/data-upload"
	// BackupNameLabel carries the name of the backup that the DataUpload belongs to.
	BackupNameLabel = "velero.io/backup-name"
)

// SnapshotType is the kind of snapshot that a DataUpload moves.
type SnapshotType string

// SnapshotTypeCSI is a CSI VolumeSnapshot. It is the only type there is.
const SnapshotTypeCSI SnapshotType = "CSI"

// DataUploadSpec says which snapshot goes where.
type DataUploadSpec struct {
	// SnapshotType is the type of the snapshot to move. Only CSI is known.
	SnapshotType SnapshotType `json:"snapshotType"`

	// CSISnapshot describes the snapshot if SnapshotType is CSI.
	// +optional
	// +nullable
	CSISnapshot *CSISnapshotSpec `json:"csiSnapshot,omitempty"`

	// SourcePVC is the name of the PersistentVolumeClaim whose snapshot is moved.
	SourcePVC string `json:"sourcePVC"`

	// DataMover names who moves the data. Empty and "velero" mean the built-in one, which is this program.
	// +optional
	DataMover string `json:"datamover,omitempty"`

	// BackupStorageLocation is the name of the BackupStorageLocation that holds the backup repository.
	BackupStorageLocation string `json:"backupStorageLocation"`

	// SourceNamespace is the namespace of SourcePVC and of the VolumeSnapshot. It may differ from that of the DataUpload.
	SourceNamespace string `json:"sourceNamespace"`

	// DataMoverConfig holds settings for the data mover.
	// +optional
	// +nullable
	DataMoverConfig map[string]string `json:"dataMoverConfig,omitempty"`

	// Cancel asks to stop. It may be set, but not taken back, while the DataUpload is not done.
	// +optional
	Cancel bool `json:"cancel,omitempty"`

	// OperationTimeout limits single operations inside the DataUpload, such as waiting for one object to be deleted.
	OperationTimeout metav1.Duration `json:"operationTimeout"`

	// SourceFSType is the type of file system on the source volume. It is kept for a restore.
	// +optional
	SourceFSType string `json:"sourceFSType,omitempty"`

	// ParentSnapshot is the snapshot in the backup repository to compare with: its ID, "none" for a full backup, or "auto",
	// which is the default, for the latest one of the volume.
	// +optional
	ParentSnapshot string `json:"parentSnapshot,omitempty"`
}

// Values of DataUploadSpec.ParentSnapshot that are not the ID of a snapshot.
const (
	ParentSnapshotAuto = "auto"
	ParentSnapshotNone = "none"
)

// CSISnapshotSpec describes a CSI snapshot.
type CSISnapshotSpec struct {
	// VolumeSnapshot is the name of the VolumeSnapshot, in the source namespace.
	VolumeSnapshot string `json:"volumeSnapshot"`

	// StorageClass is the storage class of the source PVC.
	StorageClass string `json:"storageClass"`

	// SnapshotClass is the name of the VolumeSnapshotClass.
	// +optional
	SnapshotClass string `json:"snapshotClass,omitempty"`

	// Driver is the CSI driver that took the snapshot.
	// +optional
	Driver string `json:"driver,omitempty"`
}

// DataUploadStatus is what is known about a DataUpload.
type DataUploadStatus struct {
	TransferStatus `json:",inline"`

	// Path is where the backup pod saw the volume.
	// +optional
	Path string `json:"path,omitempty"`

	// SnapshotID is the ID of the snapshot in the backup repository.
	// +optional
	SnapshotID string `json:"snapshotID,omitempty"`

	// DataMoverResult is what a data mover has to say besides. The built-in one never sets it.
	// +optional
	// +nullable
	DataMoverResult map[string]string `json:"dataMoverResult,omitempty"`

	// IncrementalBytes is how many bytes were new or changed since the parent snapshot.
	// +optional
	IncrementalBytes int64 `json:"incrementalBytes,omitempty"`

	// NodeOS is the operating system of the node that the backup pod runs on.
	// +optional
	// +kubebuilder:validation:Enum=auto;linux;windows
	NodeOS NodeOS `json:"nodeOS,omitempty"`
}

// DataUpload moves the data of one volume snapshot into a backup repository.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=datauploads
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.phase",description="How far the DataUpload has come"
// +kubebuilder:printcolumn:name="Started",type="date",JSONPath=".status.startTimestamp",description="When data began to move"
// +kubebuilder:printcolumn:name="Bytes Done",type="integer",format="int64",JSONPath=".status.progress.bytesDone",description="Bytes done"
// +kubebuilder:printcolumn:name="Total Bytes",type="integer",format="int64",JSONPath=".status.progress.totalBytes",description="Bytes in the volume"
// +kubebuilder:printcolumn:name="Incremental Bytes",type="integer",format="int64",JSONPath=".status.incrementalBytes",description="Bytes new or changed since the parent snapshot",priority=10
// +kubebuilder:printcolumn:name="Storage Location",type="string",JSONPath=".spec.backupStorageLocation",description="BackupStorageLocation of the repository"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Age of the DataUpload"
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".status.node",description="Node of the backup pod"
type DataUpload struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec DataUploadSpec `json:"spec,omitempty"`

	// +optional
	Status DataUploadStatus `json:"status,omitempty"`
}

// DataUploadList is a list of DataUploads.
// +kubebuilder:object:root=true
type DataUploadList struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []DataUpload `json:"items"`
}
