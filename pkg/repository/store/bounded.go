package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

const (
	// StallTimeout is how long the store may let an operation wait without any progress. However slow it is, an operation that
	// gets on is not ended.
	StallTimeout = 2 * time.Minute

	// stallTries is how often an operation is tried that got stuck: a connection may be dead without either side knowing.
	stallTries = 3

	// settleTime is how long a store may not show what was written to it: not all show it at once.
	settleTime = 2 * time.Minute

	// The time between two looks for what was written grows from the first to the last.
	firstLook, lastLook = 100 * time.Millisecond, 5 * time.Second
)

var errStalled = errors.New("no progress")

// bounded bounds every operation of a store by the time without progress, and waits for what was written to be shown.
type bounded struct {
	blob.Storage

	stall, settle time.Duration

	mutex   sync.Mutex
	written map[blob.ID]time.Time // by this process, and when
}

func newBounded(storage blob.Storage) *bounded {
	return &bounded{Storage: storage, stall: StallTimeout, settle: settleTime, written: map[blob.ID]time.Time{}}
}

// do does something of which it hears whenever it gets on, again if it gets stuck and may be repeated.
func (b *bounded) do(ctx context.Context, what string, repeatable func() bool, do func(ctx context.Context, progress func()) error) error {
	for try := 1; ; try++ {
		err := b.once(ctx, do)
		if !errors.Is(err, errStalled) {
			return err
		}
		if try == stallTries || !repeatable() {
			return fmt.Errorf("%s: %w in %s, tried %d times: %w", what, errStalled, b.stall, try, context.DeadlineExceeded)
		}
	}
}

func (b *bounded) once(ctx context.Context, do func(ctx context.Context, progress func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(b.stall, func() { cancel(errStalled) })
	defer timer.Stop()
	err := do(ctx, func() { timer.Reset(b.stall) })
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

func always() bool { return true }

// GetBlob reads a blob, or a part of it.
func (b *bounded) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	return b.shown(ctx, id, func() error {
		return b.do(ctx, fmt.Sprintf("read blob %s", id), always, func(ctx context.Context, progress func()) error {
			output.Reset()
			return b.Storage.GetBlob(ctx, id, offset, length, &progressOutput{OutputBuffer: output, progress: progress})
		})
	})
}

// GetMetadata returns size and time of a blob.
func (b *bounded) GetMetadata(ctx context.Context, id blob.ID) (found blob.Metadata, err error) {
	err = b.shown(ctx, id, func() error {
		return b.do(ctx, fmt.Sprintf("look for blob %s", id), always, func(ctx context.Context, _ func()) (err error) {
			found, err = b.Storage.GetMetadata(ctx, id)
			return err
		})
	})
	return found, err
}

// ListBlobs lists the blobs whose IDs have a prefix.
func (b *bounded) ListBlobs(ctx context.Context, prefix blob.ID, callback func(blob.Metadata) error) error {
	none := true
	nothingListed := func() bool { return none }
	return b.do(ctx, fmt.Sprintf("list blobs %s*", prefix), nothingListed, func(ctx context.Context, progress func()) error {
		return b.Storage.ListBlobs(ctx, prefix, func(found blob.Metadata) error {
			none = false
			progress()
			return callback(found)
		})
	})
}

// PutBlob writes a blob.
func (b *bounded) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	err := b.do(ctx, fmt.Sprintf("write blob %s", id), always, func(ctx context.Context, progress func()) error {
		return b.Storage.PutBlob(ctx, id, &progressBytes{Bytes: data, progress: progress}, opts)
	})
	// Asked for the time of the blob, a store may write it and then not find it.
	unseen := opts.GetModTime != nil && errors.Is(err, blob.ErrBlobNotFound)
	if err != nil && !unseen {
		return err
	}
	b.mutex.Lock()
	b.written[id] = time.Now()
	b.mutex.Unlock()
	if !unseen {
		return nil
	}
	found, err := b.GetMetadata(ctx, id)
	if err == nil {
		*opts.GetModTime = found.Timestamp
	}
	return err
}

// DeleteBlob removes a blob.
func (b *bounded) DeleteBlob(ctx context.Context, id blob.ID) error {
	b.mutex.Lock()
	delete(b.written, id)
	b.mutex.Unlock()
	return b.do(ctx, fmt.Sprintf("delete blob %s", id), always, func(ctx context.Context, _ func()) error {
		return b.Storage.DeleteBlob(ctx, id)
	})
}

// ExtendBlobRetention extends the object lock of a blob.
func (b *bounded) ExtendBlobRetention(ctx context.Context, id blob.ID, opts blob.ExtendOptions) error {
	return b.do(ctx, fmt.Sprintf("extend the retention of blob %s", id), always, func(ctx context.Context, _ func()) error {
		return b.Storage.ExtendBlobRetention(ctx, id, opts)
	})
}

// shown looks for a blob again, if this process has written it and the store does not show it yet.
func (b *bounded) shown(ctx context.Context, id blob.ID, look func() error) error {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		err := look()
		if !errors.Is(err, blob.ErrBlobNotFound) {
			return err
		}
		b.mutex.Lock()
		at, written := b.written[id]
		b.mutex.Unlock()
		if !written {
			return err
		}
		if time.Since(at) >= b.settle {
			return fmt.Errorf("blob %s, written %s ago: %w: %w", id, time.Since(at).Round(time.Second), failure.ErrNotShown, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// progressOutput tells whenever something was read.
type progressOutput struct {
	blob.OutputBuffer

	progress func()
}

func (o *progressOutput) Write(data []byte) (int, error) {
	o.progress()
	return o.OutputBuffer.Write(data)
}

// progressBytes tells whenever something of a blob is taken to be written.
type progressBytes struct {
	blob.Bytes

	progress func()
}

// Reader reads from the start, each time it is called.
func (b *progressBytes) Reader() io.ReadSeekCloser {
	inner := b.Bytes.Reader()
	reader := &progressReader{ReadSeekCloser: inner, progress: b.progress}
	// The client of S3 reads anything else into memory before it begins.
	if at, ok := inner.(io.ReaderAt); ok {
		return &progressReaderAt{progressReader: reader, at: at}
	}
	return reader
}

// WriteTo writes all bytes.
func (b *progressBytes) WriteTo(w io.Writer) (int64, error) {
	return b.Bytes.WriteTo(&progressWriter{Writer: w, progress: b.progress})
}

type progressReader struct {
	io.ReadSeekCloser

	progress func()
}

func (r *progressReader) Read(data []byte) (int, error) {
	r.progress()
	return r.ReadSeekCloser.Read(data)
}

type progressReaderAt struct {
	*progressReader

	at io.ReaderAt
}

// ReadAt reads from an offset.
func (r *progressReaderAt) ReadAt(data []byte, offset int64) (int, error) {
	r.progress()
	return r.at.ReadAt(data, offset)
}

type progressWriter struct {
	io.Writer

	progress func()
}

func (w *progressWriter) Write(data []byte) (int, error) {
	w.progress()
	return w.Writer.Write(data)
}
