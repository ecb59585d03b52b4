// Package volume reads the file system of a volume for Kopia's uploader. It takes the place of Kopia's own reader, which takes
// names that end in .kopia-entry for something of its own, and names entries by their whole path: here an entry is looked up by
// its name in the handle of its directory, so that neither the length of a path nor a link that is put in its place matters.
package volume

import (
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"

	"github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
)

// blockSize is the unit of st_blocks.
const blockSize = 512

// Volume is a mounted volume that is read. Close must be called.
type Volume struct {
	root    *directory
	handles handles
	// counter counts what of the volume is not stored as it is.
	counter notice.Counter

	// escaped tells whether a name had to be escaped.
	escaped atomic.Bool
	// accessTimes says that the system does not allow to leave access times as they are.
	accessTimes atomic.Bool

	// capacity is the size of the volume. What a restore needs of it if it writes holes is sparse, and else whole.
	capacity, sparse, whole atomic.Int64
}

// Open opens the volume that is mounted at path.
func Open(path string) (*Volume, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("find volume: %w", err)
	}
	v := &Volume{}
	v.root = &directory{entry: entry{volume: v, name: filepath.Base(resolved)}, mountPoint: resolved}
	fd, err := v.handles.acquire(v.root)
	if err != nil {
		return nil, fmt.Errorf("read volume: %w", err)
	}
	found, err := statOf(fd)
	if err != nil {
		v.Close()
		return nil, fmt.Errorf("read volume: %w", err)
	}
	defer v.handles.release(v.root)
	v.root.listed = found
	var system unix.Statfs_t
	if err := unix.Fstatfs(fd, &system); err == nil {
		v.capacity.Store(int64(system.Blocks) * system.Frsize)
	}
	return v, nil
}

// Close closes what is open. Nothing may be read any more.
func (v *Volume) Close() { v.handles.closeAll() }

// Root is the volume as the uploader sees it. It counts for Notices, so it is to be gone through once.
func (v *Volume) Root() fs.Directory { return v.root }

// EscapedNames tells whether names had to be escaped.
func (v *Volume) EscapedNames() bool { return v.escaped.Load() }

// Notices are what is to be said about the volume once all of it was read.
func (v *Volume) Notices() []notice.Notice {
	switch capacity := v.capacity.Load(); {
	case capacity <= 0:
	case v.sparse.Load() > capacity:
		v.counter.Set(notice.LargerThanVolume, v.sparse.Load())
	case v.whole.Load() > capacity:
		v.counter.Set(notice.LargerWithoutHoles, v.whole.Load())
	}
	return v.counter.Notices()
}

// measure counts what is to be said about an entry.
func (v *Volume) measure(e *entry) {
	if e.name != e.inVolume {
		v.escaped.Store(true)
	}
	if !e.listed.timeKept {
		v.counter.Add(notice.TimesNotKept, e.path())
	}
	if e.listed.mode.IsRegular() {
		add(&v.whole, e.listed.size)
		add(&v.sparse, min(e.listed.size, e.listed.allocated))
	}
}

// add adds to a sum, which a few sparse files may make larger than any number.
func add(sum *atomic.Int64, bytes int64) {
	if sum.Add(bytes) < 0 {
		sum.Store(math.MaxInt64)
	}
}
