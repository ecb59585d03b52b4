package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/target"
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
		volume, err := target.OpenVolume(v.request.Path)
		if err != nil {
			return onTarget("open", v.request.Path, err)
		}
		defer volume.Close()
		v.volume = volume
		return visit(ctx, v.chunks, v.root, v.request.ParallelFiles, v)
	}
	entry, err := v.deviceEntry(ctx)
	if err != nil {
		return err
	}
	file, err := os.Open(v.request.Path)
	if err != nil {
		return onTarget("open", v.request.Path, err)
	}
	defer file.Close()
	return v.content(ctx, v.request.Path, file, entry)
}

// differs takes note of a difference at a path, which is a string or has one.
func (v *verification) differs(path any, reason string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.total++
	if len(v.differences) < failure.MaxNamed {
		v.differences = append(v.differences, failure.Entry{Path: fmt.Sprint(path), Reason: reason})
	}
}

// difference is nil if there was none.
func (v *verification) difference() error {
	if v.total == 0 {
		return nil
	}
	return &failure.DifferenceError{Total: v.total, Differences: v.differences}
}

func (v *verification) directory(dir *target.Folder, entry *snapshot.DirEntry) error {
	_, err := v.attributes(dir.Here(), fs.ModeDir, entry)
	return err
}

func (*verification) reads(leaf) bool { return true }

func (v *verification) leaf(ctx context.Context, leaf leaf) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if leaf.entry.Type == snapshot.EntryTypeSymlink {
		return v.link(ctx, leaf)
	}
	if found, err := v.attributes(leaf.Place, 0, leaf.entry); err != nil || !found {
		return err
	}
	file, err := v.volume.OpenFile(leaf.Place)
	if err != nil {
		v.differs(leaf.Place, failure.Reason(err))
		return nil
	}
	defer file.Close()
	return v.content(ctx, leaf.Place, file, leaf.entry)
}

func (v *verification) link(ctx context.Context, leaf leaf) error {
	want, err := v.chunks.readAll(ctx, leaf.entry.ObjectID)
	if err != nil {
		return fmt.Errorf("read link %s from the repository: %w", leaf.Place, err)
	}
	if err := v.mayWrite(); err != nil {
		return err
	}
	to, err := v.volume.ReadLink(leaf.Place, len(want))
	if errors.Is(err, fs.ErrNotExist) && !v.request.Strict && v.volume.RefusesLink(leaf.Place, string(want)) {
		return nil
	}
	if found, attributesErr := v.attributes(leaf.Place, fs.ModeSymlink, leaf.entry); attributesErr != nil || !found {
		return attributesErr
	}
	if err != nil || to != string(want) {
		v.differs(leaf.Place, "it points to another place")
	}
	return nil
}

// attributes compares all but the content, and tells whether there can be any to compare.
func (v *verification) attributes(where target.Place, kind fs.FileMode, entry *snapshot.DirEntry) (bool, error) {
	found, size, err := v.volume.Stat(where)
	if err != nil {
		v.differs(where, failure.Reason(err))
		return false, nil
	}
	if found.Mode.Type() != kind {
		v.differs(where, fmt.Sprintf("its type is %s instead of %s", found.Mode.Type(), kind))
		return false, nil
	}
	missing, err := v.avoidable(where, attributesOf(entry), found)
	if err != nil {
		return false, err
	}
	if len(missing) > 0 {
		v.differs(where, missing[0].Has)
	}
	if kind == 0 && size != entry.FileSize {
		v.differs(where, fmt.Sprintf("it has %d bytes instead of %d", size, entry.FileSize))
		return false, nil
	}
	return true, nil
}

// avoidable says what an entry lacks though the file system can hold it. What it has of times, owners and modes depends on
// the file system and on the server behind it, and nobody can be asked: so it is told once more to take what is missing. What
// is missing then as it was before, cannot be had.
func (v *verification) avoidable(where target.Place, want, found target.Attributes) ([]target.ShortfallError, error) {
	missing := want.MissingIn(found)
	if len(missing) == 0 {
		return nil, nil
	}
	if err := v.mayWrite(); err != nil {
		return nil, err
	}
	again, err := v.volume.Give(where, want)
	if err != nil {
		return nil, onTarget("set mode, owner and time of", where, err)
	}
	return slices.DeleteFunc(missing, func(before target.ShortfallError) bool {
		return slices.ContainsFunc(again, func(after target.ShortfallError) bool {
			return after.Has == before.Has && (!v.request.Strict || !after.IsRefused())
		})
	}), nil
}

// content compares the bytes of a file or device at a path, which is a string or has one.
func (v *verification) content(ctx context.Context, path any, file *os.File, entry *snapshot.DirEntry) error {
	chunks, err := v.chunks.list(ctx, entry.ObjectID, entry.FileSize)
	if err != nil {
		return fmt.Errorf("read %v from the repository: %w", path, err)
	}
	// What is in memory may differ from what is on disk. Not every file system can do it.
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
	return v.eachChunk(ctx, chunks, func(ctx context.Context, c chunk) error {
		want, err := v.chunks.read(ctx, c)
		if err != nil {
			return fmt.Errorf("read %v from the repository: %w", path, err)
		}
		v.compare(path, file, c, want)
		return nil
	})
}

func (v *verification) compare(path any, file *os.File, c chunk, want []byte) {
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
