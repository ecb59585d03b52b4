// Package block reads devices.
package block

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/fs/virtualfs"
)

// deviceEntryMode is the mode that Velero gives the one file of a snapshot of a device.
const deviceEntryMode = 0o777

// Root presents a device as Velero does: a directory that holds one file, both named by the path of the device.
// Velero's restore writes the one file of a snapshot onto the target, whatever its name. Next to it is the size of the device.
func Root(path string) (fs.Directory, int64, error) {
	size, err := Size(path)
	if err != nil {
		return nil, 0, err
	}
	file := &deviceFile{path: path, size: size, modTime: time.Now()}
	return virtualfs.NewStaticDirectory(path, []fs.Entry{file}), size, nil
}

// Size is where the end of a device is. A regular file passes for a device: that is what backs one where there
// is neither a loop driver nor root, such as on the local node of the demo.
func Size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("read device: %w", err)
	}
	if kind := info.Mode().Type(); kind != os.ModeDevice && kind != 0 {
		return 0, fmt.Errorf("%s is not a block device", path)
	}
	device, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read device: %w", err)
	}
	defer device.Close()
	size, err := device.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("find the size of device %s: %w", path, err)
	}
	if size == 0 {
		return 0, fmt.Errorf("device %s has no size", path)
	}
	return size, nil
}

// deviceFile is a device as a file of known size. Velero streams the device instead; what is stored is the same, but
// with a size Kopia knows the total from the start and reads a large device in parallel parts.
type deviceFile struct {
	path    string
	size    int64
	modTime time.Time // the time of the upload: nothing tells whether a device has changed
}

func (f *deviceFile) Name() string                { return f.path }
func (f *deviceFile) Size() int64                 { return f.size }
func (f *deviceFile) Mode() os.FileMode           { return deviceEntryMode }
func (f *deviceFile) ModTime() time.Time          { return f.modTime }
func (f *deviceFile) IsDir() bool                 { return false }
func (f *deviceFile) Sys() any                    { return nil }
func (f *deviceFile) Owner() fs.OwnerInfo         { return fs.OwnerInfo{} }
func (f *deviceFile) Device() fs.DeviceInfo       { return fs.DeviceInfo{} }
func (f *deviceFile) LocalFilesystemPath() string { return "" }
func (f *deviceFile) Close()                      {}

// Open opens the device anew, so that its parts can be read at the same time.
func (f *deviceFile) Open(context.Context) (fs.Reader, error) {
	device, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	return &deviceReader{File: device, entry: f}, nil
}

type deviceReader struct {
	*os.File

	entry fs.Entry
}

// Entry is the file that is being read.
func (r *deviceReader) Entry() (fs.Entry, error) { return r.entry, nil }
