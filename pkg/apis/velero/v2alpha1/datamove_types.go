package v2alpha1

// This file holds what DataUploads and DataDownloads have in common.

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
