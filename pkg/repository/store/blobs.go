package store

import (
	"bytes"
	"context"
	"io"

	"github.com/kopia/kopia/repo/blob"
)

// Bytes are the contents of a blob to be written.
type Bytes []byte

// Length is the number of bytes.
func (b Bytes) Length() int { return len(b) }

// WriteTo writes all bytes.
func (b Bytes) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

// Reader reads from the start, each time it is called.
func (b Bytes) Reader() io.ReadSeekCloser { return blobReader{bytes.NewReader(b)} }

type blobReader struct{ *bytes.Reader }

func (blobReader) Close() error { return nil }

// blobBuffer takes the contents of a blob that is read.
type blobBuffer struct{ bytes.Buffer }

// Length is the number of bytes.
func (b *blobBuffer) Length() int { return b.Len() }

// ReadBlob reads a whole blob. A missing one is blob.ErrBlobNotFound.
func ReadBlob(ctx context.Context, storage blob.Reader, id blob.ID) ([]byte, error) {
	var buffer blobBuffer
	if err := storage.GetBlob(ctx, id, 0, -1, &buffer); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
