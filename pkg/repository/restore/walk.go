package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"golang.org/x/sync/errgroup"

	"github.com/node-agent/node-agent/pkg/repository/names"
	"github.com/node-agent/node-agent/pkg/repository/target"
)

// The walk is one or two batches ahead of the restore. A batch is full with that many files and links, or bytes in them.
const (
	batchLeaves = 512
	batchBytes  = 32 << 20
)

// leaf is a file or a symbolic link.
type leaf struct {
	target.Place

	entry *snapshot.DirEntry
}

// visitor is called for each entry of a snapshot, for a directory before all that is in it.
type visitor interface {
	// directory is called for one after the other, the root first.
	directory(dir *target.Folder, entry *snapshot.DirEntry) error
	// reads tells whether the content of a file is going to be read from the repository, as far as one can say beforehand.
	reads(leaf leaf) bool
	// leaf is called for several at the same time.
	leaf(ctx context.Context, leaf leaf) error
}

// visit has the entries of a file system visited.
func visit(ctx context.Context, chunks *chunkReader, root *snapshot.DirEntry, parallel int, by visitor) error {
	if root.Type != snapshot.EntryTypeDirectory {
		return errors.New("it is not the snapshot of a file system")
	}
	defer chunks.packs.Clear()
	group, ctx := errgroup.WithContext(ctx)
	leaves := make(chan leaf, batchLeaves)
	for range parallel {
		group.Go(func() error {
			for leaf := range leaves {
				if err := by.leaf(ctx, leaf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(leaves)
		w := &walk{chunks: chunks, by: by, out: leaves}
		if err := w.enter(ctx, &target.Folder{}, root); err != nil {
			return err
		}
		return w.flush(ctx)
	})
	return group.Wait()
}

// walk goes through the directories and hands on what is in them, in batches.
type walk struct {
	chunks *chunkReader
	by     visitor
	out    chan<- leaf

	batch []leaf
	bytes int64 // in it
}

func (w *walk) enter(ctx context.Context, dir *target.Folder, entry *snapshot.DirEntry) error {
	if err := w.by.directory(dir, entry); err != nil {
		return err
	}
	entries, err := w.chunks.readDirectory(ctx, dir, entry.ObjectID)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := checkName(entry.Name); err != nil {
			return fmt.Errorf("directory %s of the snapshot: %w", dir, err)
		}
		if entry.Type == snapshot.EntryTypeDirectory {
			err = w.enter(ctx, &target.Folder{Parent: dir, Name: entry.Name}, entry)
		} else {
			err = w.add(ctx, leaf{Place: target.Place{Dir: dir, Name: entry.Name}, entry: entry})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) add(ctx context.Context, leaf leaf) error {
	w.batch = append(w.batch, leaf)
	w.bytes += leaf.entry.FileSize
	if len(w.batch) < batchLeaves && w.bytes < batchBytes {
		return nil
	}
	return w.flush(ctx)
}

func (w *walk) flush(ctx context.Context) error {
	w.prefetch(ctx)
	for _, leaf := range w.batch {
		select {
		case w.out <- leaf:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.batch, w.bytes = w.batch[:0], 0
	return nil
}

// prefetch reads the packs that hold much of the batch, while the batch before is being restored.
func (w *walk) prefetch(ctx context.Context) {
	wanted := map[blob.ID][]content.ID{}
	for _, leaf := range w.batch {
		id, _, direct := leaf.entry.ObjectID.ContentID()
		if !direct || leaf.entry.FileSize == 0 || !w.by.reads(leaf) {
			continue
		}
		if info, err := w.chunks.ContentInfo(ctx, id); err == nil {
			wanted[info.PackBlobID] = append(wanted[info.PackBlobID], id)
		}
	}
	w.chunks.prefetch(ctx, wanted)
}

// readDirectory reads the entries of a directory as they are stored. Kopia's own reader shows for a directory the time of
// the newest file below it.
func (r *chunkReader) readDirectory(ctx context.Context, dir *target.Folder, id object.ID) ([]*snapshot.DirEntry, error) {
	var content snapshot.DirManifest
	reader, err := r.OpenObject(ctx, id)
	if err == nil {
		defer reader.Close()
		err = json.NewDecoder(reader).Decode(&content)
	}
	if err != nil {
		return nil, fmt.Errorf("read directory %s from the repository: %w", dir, err)
	}
	if r.escapedNames {
		for _, entry := range content.Entries {
			entry.Name = names.Unescape(entry.Name)
		}
	}
	return content.Entries, nil
}

// checkName keeps a restore from writing outside of its volume.
func checkName(name string) error {
	switch {
	case filepath.IsAbs(name):
		return fmt.Errorf("entry %q is a device, but the volume is a file system", name)
	case name == "", name == ".", name == "..", strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q is not the name of a file", name)
	}
	return nil
}
