package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

// Storage is a container. It does each request once more only as the client does: on failures of network and server.
type Storage struct {
	blob.DefaultProviderImplementation

	options   Options
	container *container.Client
}

func (s *Storage) name(id blob.ID) string { return s.options.Prefix + string(id) }

// GetBlob reads a part of a blob, all of it if length is negative.
func (s *Storage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	output.Reset()
	options := &azblob.DownloadStreamOptions{}
	if length >= 0 {
		// There is no range of length 0.
		options.Range = azblob.HTTPRange{Offset: offset, Count: max(length, 1)}
	}
	answer, err := s.container.NewBlobClient(s.name(id)).DownloadStream(ctx, options)
	if err != nil {
		return asBlobError(err)
	}
	defer answer.Body.Close()
	if length == 0 {
		return nil
	}
	if _, err := io.Copy(output, answer.Body); err != nil {
		return fmt.Errorf("read blob %s: %w", id, err)
	}
	return blob.EnsureLengthExactly(output.Length(), length)
}

// GetMetadata returns length and time of a blob.
func (s *Storage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	answer, err := s.container.NewBlobClient(s.name(id)).GetProperties(ctx, nil)
	if err != nil {
		return blob.Metadata{}, asBlobError(err)
	}
	return blob.Metadata{BlobID: id, Length: orZero(answer.ContentLength), Timestamp: orZero(answer.LastModified)}, nil
}

// PutBlob writes a blob.
func (s *Storage) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := transport.Writable(opts); err != nil {
		return err
	}
	options := &blockblob.UploadOptions{}
	if opts.RetentionPeriod != 0 {
		mode, end := azblob.ImmutabilityPolicySettingLocked, time.Now().Add(opts.RetentionPeriod).UTC()
		options.ImmutabilityPolicyMode, options.ImmutabilityPolicyExpiryTime = &mode, &end
	}
	answer, err := s.container.NewBlockBlobClient(s.name(id)).Upload(ctx, data.Reader(), options)
	if err != nil {
		return asBlobError(err)
	}
	if opts.GetModTime != nil {
		*opts.GetModTime = orZero(answer.LastModified)
	}
	return nil
}

// DeleteBlob removes a blob. One that is not there is removed.
func (s *Storage) DeleteBlob(ctx context.Context, id blob.ID) error {
	_, err := s.container.NewBlobClient(s.name(id)).Delete(ctx, nil)
	if err = asBlobError(err); errors.Is(err, blob.ErrBlobNotFound) {
		return nil
	}
	return err
}

// ListBlobs calls back for each blob whose name begins with the prefix.
func (s *Storage) ListBlobs(ctx context.Context, prefix blob.ID, callback func(blob.Metadata) error) error {
	name := s.name(prefix)
	pages := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &name})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return explained(err)
		}
		for _, item := range page.Segment.BlobItems {
			found := blob.Metadata{BlobID: blob.ID(strings.TrimPrefix(orZero(item.Name), s.options.Prefix))}
			if item.Properties != nil {
				found.Length, found.Timestamp = orZero(item.Properties.ContentLength), orZero(item.Properties.LastModified)
			}
			if err := callback(found); err != nil {
				return err
			}
		}
	}
	return nil
}

func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}

// ConnectionInfo tells the kind of store alone: where it is follows from the BackupStorageLocation.
func (s *Storage) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: "azureBlob", Config: struct{}{}}
}

// DisplayName names the container.
func (s *Storage) DisplayName() string { return "Azure: " + s.options.Container }

// explained puts an answer of Azure's into a line. It returns nil for nil.
func explained(err error) error {
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok {
		// Its text repeats the answer of the authority, which may be a page.
		text, _, _ := strings.Cut(failed.Error(), "\n")
		return failure.Short("no token for the identity: "+text, err)
	}
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	text := answer.ErrorCode
	if text == "" {
		text = http.StatusText(answer.StatusCode)
	}
	return failure.Short(fmt.Sprintf("%s (%d)", text, answer.StatusCode), err)
}

// asBlobError tells Kopia what an answer about one blob means.
func asBlobError(err error) error {
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return blob.ErrBlobNotFound
	case bloberror.HasCode(err, bloberror.InvalidRange):
		return blob.ErrInvalidRange
	}
	return explained(err)
}
