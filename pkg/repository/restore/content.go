package restore

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// writer writes data at its place.
type writer interface {
	io.ReaderAt

	// WriteData writes data that is not all zeros. With stale, something else may be there.
	WriteData(data []byte, offset int64, stale bool) error
	// WriteZeros has zeros there.
	WriteZeros(offset, length int64, stale bool) error
}

// output is one file or device that is written.
type output struct {
	// path is the one that errors name, a string or with one.
	path any
	file writer
	// stale says that the file held something before, maybe what it should.
	stale bool
}

// restoreContent restores what is in a file or device.
func (t *task) restoreContent(ctx context.Context, to *output, chunks []chunk) error {
	return t.eachChunk(ctx, chunks, func(ctx context.Context, c chunk) error {
		if err := t.restoreChunk(ctx, to, c); err != nil {
			return err
		}
		t.done.Add(c.length)
		return nil
	})
}

func (t *task) restoreChunk(ctx context.Context, to *output, c chunk) error {
	if to.stale && t.chunks.matches(to.file, c) {
		t.found.Add(c.length)
		return nil
	}
	data, err := t.chunks.read(ctx, c)
	if err != nil {
		return fmt.Errorf("read %v from the repository: %w", to.path, err)
	}
	if err := t.mayWrite(); err != nil {
		return err
	}
	if data == nil {
		err = to.file.WriteZeros(c.offset, c.length, to.stale)
	} else {
		err = to.file.WriteData(data, c.offset, to.stale)
	}
	return onTarget("write", to.path, err)
}

// eachChunk does something with each chunk of a file, with several at the same time.
func (t *task) eachChunk(ctx context.Context, chunks []chunk, do func(context.Context, chunk) error) error {
	if len(chunks) == 1 {
		if err := t.takeSlot(ctx); err != nil {
			return err
		}
		defer t.freeSlot()
		return do(ctx, chunks[0])
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range chunks {
		if err := t.takeSlot(ctx); err != nil {
			return cmp.Or(group.Wait(), err)
		}
		group.Go(func() error {
			defer t.freeSlot()
			return do(ctx, c)
		})
	}
	return group.Wait()
}

func (t *task) takeSlot(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case t.slots <- struct{}{}:
		return nil
	}
}

func (t *task) freeSlot() { <-t.slots }
