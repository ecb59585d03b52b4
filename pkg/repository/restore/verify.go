package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// Verify compares what Run has written with the repository, byte for byte, and modes, owners (as root), times and
// links. The volume is read from its disk where the system allows it, not from memory. Entries that are not in the
// snapshot do not count. Errors include *failure.DifferenceError.
func Verify(ctx context.Context, r *repository.Repository, request Request) error {
	task, err := newTask(ctx, r, request)
	if err == nil {
		v := &verification{task: task}
		if err = v.run(r.Context(ctx)); err == nil {
			err = v.difference()
		}
	}
	if err != nil {
		return task.reason(ctx, "verify", err)
	}
	return nil
}

// verification compares a volume with a snapshot.
type verification struct {
	*task

	mutex       sync.Mutex
	total       int
	differences []failure.Entry
}

func (v *verification) run(ctx context.Context) error {
	v.log.WithField("bytes", v.task.total).Info("verification starts")
	if !v.request.Block {
		return visit(ctx, v.chunks, v.root, v.request.ParallelFiles, v)
	}
	entry, err := v.deviceEntry(ctx)
	if err != nil {
		return err
	}
	return v.content(ctx, v.request.Path, v.request.Path, entry)
}

// differs takes note of a difference.
func (v *verification) differs(path, reason string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.total++
	if len(v.differences) < failure.MaxNamed {
		v.differences = append(v.differences, failure.Entry{Path: path, Reason: reason})
	}
}

// difference is nil if there was none.
func (v *verification) difference() error {
	if v.total == 0 {
		return nil
	}
	return &failure.DifferenceError{Total: v.total, Differences: v.differences}
}

func (v *verification) directory(path string, entry *snapshot.DirEntry) error {
	v.attributes(path, fs.ModeDir, entry)
	return nil
}

func (*verification) reads(leaf) bool { return true }

func (v *verification) leaf(ctx context.Context, leaf leaf) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	target := v.target(leaf.path)
	if leaf.entry.Type == snapshot.EntryTypeSymlink {
		if !v.attributes(leaf.path, fs.ModeSymlink, leaf.entry) {
			return nil
		}
		want, err := v.chunks.readAll(ctx, leaf.entry.ObjectID)
		if err != nil {
			return fmt.Errorf("read link %s from the repository: %w", leaf.path, err)
		}
		if found, err := os.Readlink(target); err != nil || found != string(want) {
			v.differs(leaf.path, "it points to another place")
		}
		return nil
	}
	if !v.attributes(leaf.path, 0, leaf.entry) {
		return nil
	}
	return v.content(ctx, leaf.path, target, leaf.entry)
}

// attributes compares all but the content, and tells whether there can be any to compare.
func (v *verification) attributes(path string, kind fs.FileMode, entry *snapshot.DirEntry) bool {
	info, err := os.Lstat(v.target(path))
	switch {
	case err != nil:
		v.differs(path, failure.Reason(err))
		return false
	case info.Mode().Type() != kind:
		v.differs(path, fmt.Sprintf("its type is %s instead of %s", info.Mode().Type(), kind))
		return false
	}
	want := attributesOf(entry)
	if found := attributesOfFile(info); found.mode != want.mode && kind != fs.ModeSymlink {
		v.differs(path, fmt.Sprintf("its mode is %s instead of %s", found.mode, want.mode))
	} else if os.Geteuid() == 0 && (found.uid != want.uid || found.gid != want.gid) {
		v.differs(path, fmt.Sprintf("its owner is %d:%d instead of %d:%d", found.uid, found.gid, want.uid, want.gid))
	} else if !found.modified.Equal(want.modified) {
		v.differs(path, fmt.Sprintf("its time is %s instead of %s", found.modified.UTC(), want.modified.UTC()))
	}
	if kind == 0 && info.Size() != entry.FileSize {
		v.differs(path, fmt.Sprintf("it has %d bytes instead of %d", info.Size(), entry.FileSize))
		return false
	}
	return true
}

func attributesOfFile(info fs.FileInfo) attributes {
	result := attributes{mode: info.Mode() &^ fs.ModeType, modified: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		result.uid, result.gid = stat.Uid, stat.Gid
	}
	return result
}

// content compares the bytes of a file or device.
func (v *verification) content(ctx context.Context, path, target string, entry *snapshot.DirEntry) error {
	chunks, err := v.chunks.list(ctx, entry.ObjectID, entry.FileSize)
	if err != nil {
		return fmt.Errorf("read %s from the repository: %w", path, err)
	}
	file, err := os.Open(target)
	if err != nil {
		v.differs(path, failure.Reason(err))
		return nil
	}
	defer file.Close()
	// What is in memory may differ from what is on disk. Not every file system can do it.
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
	return v.eachChunk(ctx, chunks, func(ctx context.Context, c chunk) error {
		want, err := v.chunks.read(ctx, c)
		if err != nil {
			return fmt.Errorf("read %s from the repository: %w", path, err)
		}
		v.compare(path, file, c, want)
		return nil
	})
}

func (v *verification) compare(path string, file *os.File, c chunk, want []byte) {
	found := make([]byte, c.length)
	if n, err := file.ReadAt(found, c.offset); err != nil && (!errors.Is(err, io.EOF) || int64(n) < c.length) {
		v.differs(path, failure.Reason(err))
		return
	}
	if want == nil {
		want = make([]byte, c.length)
	}
	if bytes.Equal(found, want) {
		return
	}
	for i := range found {
		if found[i] != want[i] {
			v.differs(path, fmt.Sprintf("byte %d differs", c.offset+int64(i)))
			return
		}
	}
}
