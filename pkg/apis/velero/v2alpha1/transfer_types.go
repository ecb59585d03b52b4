package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// This file holds what DataUploads and DataDownloads have in common.

const (
	// Finalizer keeps a DataUpload or DataDownload until everything made for it is gone. Velero uses one name for both, and
	// `velero uninstall` knows it.
	Finalizer = "velero.io/data-upload-download-finalizer"
	// ExposeOnGoingLabel marks what is between Accepted and InProgress.
	ExposeOnGoingLabel = "velero.io/expose-on-going"
	// AsyncOperationIDLabel is set by Velero's backup or restore, which finds its DataUpload or DataDownload by it.
	AsyncOperationIDLabel = "velero.io/async-operation-id"
	// ExposerPodGroupLabel is carried by every pod that moves data.
	ExposerPodGroupLabel = "velero.io/exposer-pod-group"
)

// Phase is one word for how far a DataUpload or a DataDownload has come.
// +kubebuilder:validation:Enum=New;Accepted;Prepared;InProgress;Canceling;Canceled;Completed;Failed
type Phase string

// Phases, in their order. An empty phase means New.
const (
	PhaseNew        Phase = "New"
	PhaseAccepted   Phase = "Accepted"
	PhasePrepared   Phase = "Prepared"
	PhaseInProgress Phase = "InProgress"
	PhaseCanceling  Phase = "Canceling"
	PhaseCanceled   Phase = "Canceled"
	PhaseCompleted  Phase = "Completed"
	PhaseFailed     Phase = "Failed"
)

// IsTerminal tells whether nothing comes after this phase.
func (p Phase) IsTerminal() bool {
	switch p {
	case PhaseCanceled, PhaseCompleted, PhaseFailed:
		return true
	default:
		return false
	}
}

// NodeOS is the operating system of a node.
type NodeOS string

// Operating systems as Velero names them.
const (
	NodeOSAuto    NodeOS = "auto"
	NodeOSLinux   NodeOS = "linux"
	NodeOSWindows NodeOS = "windows"
)

// DataMoveOperationProgress counts the bytes of a running move.
type DataMoveOperationProgress struct {
	// TotalBytes is how many bytes the volume holds, as far as known.
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`

	// BytesDone is how many of them are done, uploaded or found unchanged.
	// +optional
	BytesDone int64 `json:"bytesDone,omitempty"`
}

// TransferStatus is what is known about a DataUpload or a DataDownload.
type TransferStatus struct {
	// Phase is how far it has come.
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// Message says why it is in its phase, or what it waits for.
	// +optional
	Message string `json:"message,omitempty"`

	// StartTimestamp is when data began to move.
	// +optional
	// +nullable
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty"`

	// CompletionTimestamp is when it ended, well or not.
	// +optional
	// +nullable
	CompletionTimestamp *metav1.Time `json:"completionTimestamp,omitempty"`

	// Progress counts the bytes.
	// +optional
	Progress DataMoveOperationProgress `json:"progress,omitempty"`

	// Node is where the pod that moves the data runs.
	// +optional
	Node string `json:"node,omitempty"`

	// AcceptedByNode is the node of the agent that accepted it.
	// +optional
	AcceptedByNode string `json:"acceptedByNode,omitempty"`

	// AcceptedTimestamp is when it was accepted. The prepare timeout counts from here.
	// +optional
	// +nullable
	AcceptedTimestamp *metav1.Time `json:"acceptedTimestamp,omitempty"`
}

// TransferSpec is what a DataUpload or a DataDownload asks for, as far as both do.
// +kubebuilder:object:generate=false
type TransferSpec struct {
	DataMover             string
	BackupStorageLocation string
	SourceNamespace       string
	Cancel                bool
}

// Transfer is a DataUpload or a DataDownload.
// +kubebuilder:object:generate=false
type Transfer interface {
	metav1.Object
	runtime.Object
	// TransferKind is KindDataUpload or KindDataDownload.
	TransferKind() string
	// TransferSpec is a copy.
	TransferSpec() TransferSpec
	// TransferStatus is the status itself.
	TransferStatus() *TransferStatus
}

// Kinds of Transfers.
const (
	KindDataUpload   = "DataUpload"
	KindDataDownload = "DataDownload"
)

// TransferKind is KindDataUpload.
func (*DataUpload) TransferKind() string { return KindDataUpload }

// TransferSpec is what this DataUpload asks for, as far as a DataDownload does too.
func (du *DataUpload) TransferSpec() TransferSpec {
	return TransferSpec{
		DataMover: du.Spec.DataMover, BackupStorageLocation: du.Spec.BackupStorageLocation,
		SourceNamespace: du.Spec.SourceNamespace, Cancel: du.Spec.Cancel,
	}
}

// TransferStatus is what is known about this DataUpload, as far as about a DataDownload too.
func (du *DataUpload) TransferStatus() *TransferStatus { return &du.Status.TransferStatus }

// TransferKind is KindDataDownload.
func (*DataDownload) TransferKind() string { return KindDataDownload }

// TransferSpec is what this DataDownload asks for, as far as a DataUpload does too.
func (dd *DataDownload) TransferSpec() TransferSpec {
	return TransferSpec{
		DataMover: dd.Spec.DataMover, BackupStorageLocation: dd.Spec.BackupStorageLocation,
		SourceNamespace: dd.Spec.SourceNamespace, Cancel: dd.Spec.Cancel,
	}
}

// TransferStatus is what is known about this DataDownload.
func (dd *DataDownload) TransferStatus() *TransferStatus { return &dd.Status.TransferStatus }

// Transfers are those of a list of each kind.
func Transfers(uploads *DataUploadList, downloads *DataDownloadList) []Transfer {
	transfers := make([]Transfer, 0, len(uploads.Items)+len(downloads.Items))
	for i := range uploads.Items {
		transfers = append(transfers, &uploads.Items[i])
	}
	for i := range downloads.Items {
		transfers = append(transfers, &downloads.Items[i])
	}
	return transfers
}
