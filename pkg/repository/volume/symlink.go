package volume

import (
	"context"
	"errors"

	"github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"
)

// symlink is a symbolic link of a volume.
type symlink struct{ entry }

// Readlink returns where it points to.
func (l *symlink) Readlink(context.Context) (target string, err error) {
	dir, err := l.volume.handles.acquire(l.in)
	if err != nil {
		return "", err
	}
	defer l.volume.handles.release(l.in)
	// Some file systems give no size.
	for size := max(l.listed.size+1, 256); ; size *= 2 {
		buffer := make([]byte, size)
		var n int
		err := again(func() error { n, err = unix.Readlinkat(dir, l.inVolume, buffer); return err })
		if err != nil {
			return "", l.failed("readlink", err)
		}
		if n < len(buffer) {
			return string(buffer[:n]), nil
		}
	}
}

// Resolve is not for the uploader, which stores links as they are.
func (l *symlink) Resolve(context.Context) (fs.Entry, error) {
	return nil, l.failed("resolve", errors.ErrUnsupported)
}
