// Package failure has the errors of a repository and of what moves data: what each means to a user, and whether another
// attempt may come further. Their texts hold no secret.
package failure

import (
	"errors"
	"fmt"
	"io/fs"
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

	// ErrNoSnapshot says that the repository has no snapshot of that ID.
	ErrNoSnapshot = errors.New("the snapshot does not exist")

	// ErrIncompleteSnapshot says that the snapshot is what an upload that did not end left behind.
	ErrIncompleteSnapshot = errors.New("the snapshot is incomplete")

	// ErrNotShown says that the store does not show what was written to it.
	ErrNotShown = errors.New("the store does not show what was written to it")

	// ErrLocationReadOnly says that the access mode of the location is ReadOnly.
	ErrLocationReadOnly = errors.New("backup storage location is read-only")
)

// MaxNamed limits the entries that the text of an error names.
const MaxNamed = 10

// Entry is what is wrong with one file or directory.
type Entry struct {
	// Path is relative to the root of the volume.
	Path string

	// Reason is the error met at that path, or how the entry differs.
	Reason string
}

// EntryError says that files or directories of the volume could not be read, so that no snapshot was kept.
type EntryError struct {
	// Total is the number of entries that failed.
	Total int

	// AtLeast says that there may be more.
	AtLeast bool

	// Failures are the first of them, at most 10.
	Failures []Entry
}

// Error names the entries and why each failed.
func (e *EntryError) Error() string {
	text := namedEntries(e.Total, "of the volume could not be read", e.Failures)
	if e.AtLeast {
		return "at least " + text
	}
	return text
}

// DifferenceError says that entries of a volume are not as they are in the snapshot that was restored.
type DifferenceError struct {
	// Total is the number of differences.
	Total int

	// Differences are the first of them, at most 10.
	Differences []Entry
}

// Error names the entries and how each differs.
func (e *DifferenceError) Error() string {
	return namedEntries(e.Total, "of the volume not as in the snapshot", e.Differences)
}

// namedEntries says what is wrong with entries.
func namedEntries(total int, what string, first []Entry) string {
	parts := make([]string, 0, len(first))
	for _, failure := range first {
		parts = append(parts, fmt.Sprintf("%s: %s", failure.Path, failure.Reason))
	}
	noun := "entries"
	if total == 1 {
		noun = "entry"
	}
	text := fmt.Sprintf("%d %s %s: %s", total, noun, what, strings.Join(parts, "; "))
	if more := total - len(first); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// Reason is why something failed at an entry. It leaves out the path inside the pod, which means nothing to a user.
func Reason(err error) string {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return Sanitize(err.Error())
}
