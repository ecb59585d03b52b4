// Package result is what the data mover of a backup or restore pod leaves behind for the controller: the texts of its
// termination message. A successful one has the form that stock Velero writes and reads, so that pods and agents may be mixed.
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/text"
)

const (
	// CanceledSuffix ends the termination message of a mover that stopped because its DataUpload or DataDownload asked for it.
	// Stock Velero's agent looks for the same suffix.
	CanceledSuffix = "data path is canceled"

	// ExitRetryable is the exit code of a mover that failed for a cause that another attempt may not meet; it is EX_TEMPFAIL
	// of sysexits.h. Any other code but 0 says that another attempt would fail as well.
	ExitRetryable = 75

	// MaxLength is how many bytes of a termination message Kubernetes keeps.
	MaxLength = 4096
)

// maxQuoted limits how much of an unexpected message is repeated in an error.
const maxQuoted = 200

// Volume is the volume that was read or written.
type Volume struct {
	// ByPath is where the pod saw the volume.
	ByPath string `json:"byPath"`
	// VolumeMode is Filesystem or Block.
	VolumeMode string `json:"volumeMode"`
}

// Result is the outcome of a successful upload.
type Result struct {
	// SnapshotID is the ID of the snapshot in the repository.
	SnapshotID string `json:"snapshotID"`
	// EmptySnapshot tells that the volume held nothing.
	EmptySnapshot bool `json:"emptySnapshot"`
	// Source is the volume that was read.
	Source Volume `json:"source"`
	// TotalBytes is how many bytes a restore brings back.
	TotalBytes int64 `json:"totalBytes,omitempty"`
	// IncrementalBytes is how many bytes were new or changed since the parent snapshot.
	IncrementalBytes int64 `json:"incrementalBytes,omitempty"`
	// Notices are what is to be said about the volume. Stock Velero does not know the field.
	Notices []notice.Notice `json:"notices,omitempty"`
}

// String returns the termination message.
func (r Result) String() string { return marshal(r) }

// Parse reads the termination message of a mover that exited with 0. A message without a snapshot ID is an error: a
// DataUpload that nobody can restore must not be called Completed.
func Parse(message string) (Result, error) {
	var r Result
	if err := parse(message, &r); err != nil {
		return Result{}, err
	}
	if r.SnapshotID == "" {
		return Result{}, fmt.Errorf("termination message %q of the data mover has no snapshotID", text.Shorten(message, maxQuoted))
	}
	return r, nil
}

// Restored is the outcome of a successful restore.
type Restored struct {
	// Target is the volume that was written.
	Target Volume `json:"target"`
	// TotalBytes is how many bytes the snapshot brought back.
	TotalBytes int64 `json:"totalBytes,omitempty"`
	// Notices are what is to be said about the volume. Stock Velero does not know the field.
	Notices []notice.Notice `json:"notices,omitempty"`
}

// String returns the termination message.
func (r Restored) String() string { return marshal(r) }

// ParseRestored reads the termination message of a mover that exited with 0. A message without a target is an error: it
// is not that of a restore.
func ParseRestored(message string) (Restored, error) {
	var r Restored
	if err := parse(message, &r); err != nil {
		return Restored{}, err
	}
	if r.Target.ByPath == "" {
		return Restored{}, fmt.Errorf("termination message %q of the data mover has no target", text.Shorten(message, maxQuoted))
	}
	return r, nil
}

func marshal(r any) string {
	message, err := json.Marshal(r)
	if err != nil {
		// Strings, a bool and integers can always be marshalled.
		panic(fmt.Sprintf("marshal result: %v", err))
	}
	return string(message)
}

func parse(message string, into any) error {
	message = strings.TrimSpace(message)
	if message == "" {
		return errors.New("termination message of the data mover is empty")
	}
	if err := json.Unmarshal([]byte(message), into); err != nil {
		return fmt.Errorf("parse termination message %q of the data mover: %w", text.Shorten(message, maxQuoted), err)
	}
	return nil
}

// IsCanceled tells whether a mover that left this message was canceled.
func IsCanceled(message string) bool {
	return strings.HasSuffix(strings.TrimSpace(message), CanceledSuffix)
}
