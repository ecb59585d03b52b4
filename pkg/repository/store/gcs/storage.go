// Package gcs is a store in a bucket of Google Cloud Storage.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"github.com/kopia/kopia/repo/blob"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"

	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

const contentType = "application/x-kopia"

// Storage is a bucket. It does each request once more only as the client does: on failures of network and server.
type Storage struct {
	blob.DefaultProviderImplementation

	options Options
	client  *storage.Client
}

func (s *Storage) object(id blob.ID) *storage.ObjectHandle {
	return s.client.Bucket(s.options.Bucket).Object(s.options.Prefix + string(id))
}

// GetBlob reads a part of a blob, all of it if length is negative.
func (s *Storage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	output.Reset()
	reader, err := s.object(id).NewRangeReader(ctx, offset, length)
	if err != nil {
		return asBlobError(err)
	}
	defer reader.Close()
	if _, err := io.Copy(output, reader); err != nil {
		return fmt.Errorf("read blob %s: %w", id, err)
	}
	return blob.EnsureLengthExactly(output.Length(), length)
}

// GetMetadata returns length and time of a blob.
func (s *Storage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	attributes, err := s.object(id).Attrs(ctx)
	if err != nil {
		return blob.Metadata{}, asBlobError(err)
	}
	return s.metadata(attributes), nil
}

func (s *Storage) metadata(attributes *storage.ObjectAttrs) blob.Metadata {
	return blob.Metadata{
		BlobID: blob.ID(strings.TrimPrefix(attributes.Name, s.options.Prefix)),
		Length: attributes.Size, Timestamp: attributes.Created,
	}
}

// PutBlob writes a blob.
func (s *Storage) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := transport.Writable(opts); err != nil {
		return err
	}
	// The end of the context abandons a write that is not complete.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	writer := s.object(id).NewWriter(ctx)
	writer.ChunkSize = 0 // one request; what fails is repeated as a whole
	writer.ContentType = contentType
	writer.KMSKeyName = s.options.KMSKey
	if opts.RetentionPeriod != 0 {
		writer.Retention = &storage.ObjectRetention{
			Mode: string(blob.Locked), RetainUntil: time.Now().Add(opts.RetentionPeriod).UTC(),
		}
	}
	if _, err := data.WriteTo(writer); err != nil {
		cancel()
		return asBlobError(errors.Join(err, writer.Close()))
	}
	if err := writer.Close(); err != nil {
		return asBlobError(err)
	}
	if opts.GetModTime != nil {
		*opts.GetModTime = writer.Attrs().Updated
	}
	return nil
}

// DeleteBlob removes a blob. One that is not there is removed.
func (s *Storage) DeleteBlob(ctx context.Context, id blob.ID) error {
	err := asBlobError(s.object(id).Delete(ctx))
	if errors.Is(err, blob.ErrBlobNotFound) {
		return nil
	}
	return err
}

// ListBlobs calls back for each blob whose name begins with the prefix.
func (s *Storage) ListBlobs(ctx context.Context, prefix blob.ID, callback func(blob.Metadata) error) error {
	objects := s.client.Bucket(s.options.Bucket).Objects(ctx, &storage.Query{Prefix: s.options.Prefix + string(prefix)})
	for {
		attributes, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list bucket %q: %w", s.options.Bucket, err)
		}
		if err := callback(s.metadata(attributes)); err != nil {
			return err
		}
	}
}

// Close ends the connections.
func (s *Storage) Close(context.Context) error { return s.client.Close() }

// ConnectionInfo tells the kind of store alone: where it is follows from the BackupStorageLocation.
func (s *Storage) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: "gcs", Config: struct{}{}}
}

// DisplayName names the bucket.
func (s *Storage) DisplayName() string { return "GCS: " + s.options.Bucket }

// asBlobError tells Kopia what an answer about one object means.
func asBlobError(err error) error {
	if errors.Is(err, storage.ErrObjectNotExist) {
		return blob.ErrBlobNotFound
	}
	if answer, ok := errors.AsType[*googleapi.Error](err); ok && answer.Code == http.StatusRequestedRangeNotSatisfiable {
		return blob.ErrInvalidRange
	}
	return err
}
