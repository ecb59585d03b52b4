package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

const (
	contentType = "application/x-kopia"

	// classesBlob says, in a bucket that somebody has configured so for Kopia, in which storage class blobs are kept.
	classesBlob = ".storageconfig"

	customerAlgorithm = "AES256"

	// A part of a list is asked for so often, with pauses of up to listPause.
	listAttempts, listPause = 10, time.Second
)

// Storage is a bucket. It does each request once more only as the client does: on failures of network and server.
type Storage struct {
	blob.DefaultProviderImplementation

	options     Options
	client      *s3.Client
	customerKey []byte
	classes     classes
}

// classes are the storage classes of blobs by the first letters of their names.
type classes struct {
	BlobOptions []struct {
		Prefix       string `json:"prefix"`
		StorageClass string `json:"storageClass"`
	} `json:"blobOptions"`
}

func (c classes) of(id blob.ID) types.StorageClass {
	for _, option := range c.BlobOptions {
		if strings.HasPrefix(string(id), option.Prefix) {
			return types.StorageClass(option.StorageClass)
		}
	}
	return ""
}

// readClasses reads the storage classes, if the bucket has any.
func (s *Storage) readClasses(ctx context.Context) error {
	body, err := s.get(ctx, classesBlob, nil)
	if errors.Is(err, blob.ErrBlobNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read from bucket %q: %w", s.options.Bucket, err)
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&s.classes); err != nil {
		return fmt.Errorf("read %s of bucket %q: %w", classesBlob, s.options.Bucket, err)
	}
	return nil
}

func (s *Storage) key(id blob.ID) *string { return aws.String(s.options.Prefix + string(id)) }

// customer are the headers of a request for an object that is encrypted with the customer's key.
func (s *Storage) customer() (algorithm, key, sum *string) {
	if len(s.customerKey) == 0 {
		return nil, nil, nil
	}
	digest := md5.Sum(s.customerKey)
	return aws.String(customerAlgorithm), encoded(s.customerKey), encoded(digest[:])
}

func encoded(bytes []byte) *string { return aws.String(base64.StdEncoding.EncodeToString(bytes)) }

func (s *Storage) get(ctx context.Context, id blob.ID, byteRange *string) (io.ReadCloser, error) {
	input := &s3.GetObjectInput{Bucket: &s.options.Bucket, Key: s.key(id), Range: byteRange}
	input.SSECustomerAlgorithm, input.SSECustomerKey, input.SSECustomerKeyMD5 = s.customer()
	answer, err := s.client.GetObject(ctx, input)
	if err != nil {
		return nil, asBlobError(err)
	}
	return answer.Body, nil
}

// GetBlob reads a part of a blob, all of it if length is negative.
func (s *Storage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	output.Reset()
	var byteRange *string
	if length >= 0 {
		// There is no range of length 0.
		byteRange = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+max(length, 1)-1))
	}
	body, err := s.get(ctx, id, byteRange)
	if err != nil {
		return err
	}
	defer body.Close()
	if length == 0 {
		return nil
	}
	if _, err := io.Copy(output, body); err != nil {
		return fmt.Errorf("read blob %s: %w", id, err)
	}
	return blob.EnsureLengthExactly(output.Length(), length)
}

// GetMetadata returns length and time of a blob.
func (s *Storage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	input := &s3.HeadObjectInput{Bucket: &s.options.Bucket, Key: s.key(id)}
	input.SSECustomerAlgorithm, input.SSECustomerKey, input.SSECustomerKeyMD5 = s.customer()
	answer, err := s.client.HeadObject(ctx, input)
	if err != nil {
		return blob.Metadata{}, asBlobError(err)
	}
	return blob.Metadata{
		BlobID: id, Length: aws.ToInt64(answer.ContentLength), Timestamp: aws.ToTime(answer.LastModified),
	}, nil
}

// PutBlob writes a blob.
func (s *Storage) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := transport.Writable(opts); err != nil {
		return err
	}
	input, err := s.putInput(id, data, opts)
	if err != nil {
		return err
	}
	body := data.Reader()
	defer body.Close()
	input.Body = body
	if _, err := s.client.PutObject(ctx, input, s.putOptions()...); err != nil {
		return asBlobError(err)
	}
	if opts.GetModTime == nil {
		return nil
	}
	metadata, err := s.GetMetadata(ctx, id)
	*opts.GetModTime = metadata.Timestamp
	return err
}

// putOptions leave the data to TLS, if it is spoken. With a checksum the client decides.
func (s *Storage) putOptions() []func(*s3.Options) {
	if strings.HasPrefix(s.options.Endpoint, "http://") || s.options.Checksum != "" {
		return nil
	}
	return []func(*s3.Options){unsigned}
}

// putInput describes a new object. Its MD5 sum is what buckets with object lock ask for.
func (s *Storage) putInput(id blob.ID, data blob.Bytes, opts blob.PutOptions) (*s3.PutObjectInput, error) {
	digest, err := sum(data)
	if err != nil {
		return nil, fmt.Errorf("hash blob %s: %w", id, err)
	}
	input := &s3.PutObjectInput{
		Bucket: &s.options.Bucket, Key: s.key(id), ContentLength: aws.Int64(int64(data.Length())),
		ContentType: aws.String(contentType), ContentMD5: encoded(digest),
		StorageClass:      s.classes.of(id),
		ChecksumAlgorithm: types.ChecksumAlgorithm(s.options.Checksum),
	}
	if s.options.Tagging != "" {
		input.Tagging = &s.options.Tagging
	}
	if encryption := s.options.Encryption; encryption.KMSKey != "" {
		input.ServerSideEncryption, input.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &encryption.KMSKey
	} else if len(s.customerKey) == 0 {
		input.ServerSideEncryption = types.ServerSideEncryption(encryption.Algorithm)
	}
	input.SSECustomerAlgorithm, input.SSECustomerKey, input.SSECustomerKeyMD5 = s.customer()
	if opts.RetentionPeriod != 0 {
		input.ObjectLockMode = types.ObjectLockMode(opts.RetentionMode)
		input.ObjectLockRetainUntilDate = aws.Time(time.Now().Add(opts.RetentionPeriod).UTC())
	}
	return input, nil
}

// sum is the MD5 sum of the data.
func sum(data blob.Bytes) ([]byte, error) {
	digest := md5.New()
	_, err := data.WriteTo(digest)
	return digest.Sum(nil), err
}

// DeleteBlob removes a blob. One that is not there is removed.
func (s *Storage) DeleteBlob(ctx context.Context, id blob.ID) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.options.Bucket, Key: s.key(id)})
	if err = asBlobError(err); errors.Is(err, blob.ErrBlobNotFound) {
		return nil
	}
	return err
}

// patient repeats a request that the store has no time for: all others are repeated by Kopia, but lists are not.
func patient(o *s3.Options) {
	o.Retryer = retry.AddWithMaxBackoffDelay(retry.AddWithMaxAttempts(o.Retryer, listAttempts), listPause)
}

// ListBlobs calls back for each blob whose name begins with the prefix.
func (s *Storage) ListBlobs(ctx context.Context, prefix blob.ID, callback func(blob.Metadata) error) error {
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.options.Bucket, Prefix: s.key(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, patient)
		if err != nil {
			return explained(err)
		}
		for _, object := range page.Contents {
			found := blob.Metadata{
				BlobID: blob.ID(strings.TrimPrefix(aws.ToString(object.Key), s.options.Prefix)),
				Length: aws.ToInt64(object.Size), Timestamp: aws.ToTime(object.LastModified),
			}
			if found.BlobID == classesBlob {
				continue
			}
			if err := callback(found); err != nil {
				return err
			}
		}
	}
	return nil
}

// ConnectionInfo tells the kind of store alone: where it is follows from the BackupStorageLocation.
func (s *Storage) ConnectionInfo() blob.ConnectionInfo {
	return blob.ConnectionInfo{Type: "s3", Config: struct{}{}}
}

// DisplayName names the bucket.
func (s *Storage) DisplayName() string { return "S3: " + s.options.Bucket }
