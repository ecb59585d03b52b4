package volume

import (
	iofs "io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kopia/kopia/fs"

	"github.com/node-agent/node-agent/pkg/repository/names"
)

// entry is what all kinds of entries have in common.
type entry struct {
	volume *Volume
	// in is the directory that it is in, nil for the root.
	in *directory
	// inVolume is its name there, and name what it is stored under.
	inVolume, name string
	// listed is what was found out about it when its directory was gone through.
	listed attributes
}

// Name is the name that it is stored under.
func (e *entry) Name() string { return e.name }

// Size is that of a file, in bytes.
func (e *entry) Size() int64 { return e.listed.size }

// Mode has the kind of the entry, its permissions, and setuid, setgid and sticky bits.
func (e *entry) Mode() os.FileMode { return e.listed.mode }

// ModTime is the nearest to its time that can be stored.
func (e *entry) ModTime() time.Time { return e.listed.modified }

// IsDir tells whether it is a directory.
func (e *entry) IsDir() bool { return e.listed.mode.IsDir() }

// Sys has nothing more.
func (*entry) Sys() any { return nil }

// Owner is numeric.
func (e *entry) Owner() fs.OwnerInfo { return e.listed.owner }

// Device is where the entry is.
func (e *entry) Device() fs.DeviceInfo { return e.listed.device }

// LocalFilesystemPath is empty: nothing may be done to an entry by its path.
func (*entry) LocalFilesystemPath() string { return "" }

// Close has nothing to do.
func (*entry) Close() {}

// path is where the entry is, relative to the root of the volume.
func (e *entry) path() string {
	if e.in == nil {
		return "."
	}
	parts := []string{e.inVolume}
	for d := e.in; d.in != nil; d = d.in {
		parts = append(parts, d.inVolume)
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// failed says what could not be done with the entry.
func (e *entry) failed(operation string, err error) error {
	return &iofs.PathError{Op: operation, Path: e.inVolume, Err: err}
}

// errorEntry is an entry of which nothing can be found out.
type errorEntry struct {
	entry

	err error
}

// ErrorInfo says why.
func (e *errorEntry) ErrorInfo() error { return e.err }

// newEntry makes an entry of a name in a directory.
func newEntry(in *directory, inVolume string, found attributes) entry {
	return entry{volume: in.volume, in: in, inVolume: inVolume, name: names.Escape(inVolume), listed: found}
}
