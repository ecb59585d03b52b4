package repository

import (
	"errors"
	"fmt"
	"strings"
)

// Conditions that a caller may want to tell apart with errors.Is.
var (
	// ErrNotInitialized says that the location holds no complete repository for the volume namespace.
	ErrNotInitialized = errors.New("repository is not initialized")

	// ErrWrongPassword says that the repository exists but cannot be decrypted with the given password.
	ErrWrongPassword = errors.New("wrong repository password")

	// ErrCanceled says that the context ended while data was being moved.
	ErrCanceled = errors.New("canceled")

	// ErrInterrupted, as the cause of the end of a context, says that another process may go on with an upload: what was
	// uploaded is kept for it.
	ErrInterrupted = errors.New("interrupted")

	// ErrLocationReadOnly says that the access mode of the location is ReadOnly.
	ErrLocationReadOnly = errors.New("backup storage location is read-only")
)

// maxNamedEntries limits the paths that the text of an EntryError names.
const maxNamedEntries = 10

// EntryFailure is one file or directory that could not be read.
type EntryFailure struct {
	// Path is relative to the root of the volume.
	Path string

	// Reason is the error met at that path.
	Reason string
}

// EntryError says that files or directories of the volume could not be read, so that no snapshot was kept.
type EntryError struct {
	// Total is the number of entries that failed.
	Total int

	// Failures are the first of them, at most 10.
	Failures []EntryFailure
}

// Error names the entries and why each failed.
func (e *EntryError) Error() string {
	parts := make([]string, 0, len(e.Failures))
	for _, failure := range e.Failures {
		parts = append(parts, fmt.Sprintf("%s: %s", failure.Path, failure.Reason))
	}
	noun := "entries"
	if e.Total == 1 {
		noun = "entry"
	}
	text := fmt.Sprintf("%d %s of the volume could not be read: %s", e.Total, noun, strings.Join(parts, "; "))
	if more := e.Total - len(e.Failures); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
