package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/s3"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// Settings of a location that speaks S3. Others that Velero's plugins know do not concern the repository.
const (
	settingRegion                = "region"
	settingS3URL                 = "s3Url"
	settingInsecureSkipTLSVerify = "insecureSkipTLSVerify"
)

// s3ClientTimeout bounds the small requests for credentials and for the region of a bucket.
const s3ClientTimeout = 30 * time.Second

// awsEndpoint answers, for any bucket and without credentials, in which region the bucket is.
const awsEndpoint = "https://s3.amazonaws.com"

func openS3(ctx context.Context, access Access, create bool) (blob.Storage, error) {
	options, err := s3Options(access)
	if err != nil {
		return nil, err
	}
	if options.Endpoint == "" && options.Region == "" {
		if options.Region, err = bucketRegion(ctx, awsEndpoint, options.BucketName); err != nil {
			return nil, err
		}
	}
	if options.Endpoint == "" {
		options.Endpoint = "s3-" + options.Region + ".amazonaws.com"
	}
	keys, err := s3Credentials(access, options.Region)
	if err != nil {
		return nil, err
	}
	storage := &s3Storage{options: *options, keys: keys, open: func(ctx context.Context, options *s3.Options) (blob.Storage, error) {
		return s3.New(ctx, options, create)
	}}
	storage.Storage, err = storage.current(ctx)
	if err != nil {
		return nil, err
	}
	return storage, nil
}

// s3Options leaves out the keys, and the endpoint if it follows from a region that is not known yet.
func s3Options(access Access) (*s3.Options, error) {
	bucket, err := access.bucket()
	if err != nil {
		return nil, err
	}
	options := &s3.Options{
		BucketName:     bucket,
		Prefix:         access.prefix(),
		Region:         access.setting(settingRegion),
		DoNotVerifyTLS: access.setting(settingInsecureSkipTLSVerify) == "true",
		RootCA:         access.CACert,
	}
	text := access.setting(settingS3URL)
	if text == "" {
		return options, nil
	}
	endpoint, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("config.%s is not a URL", settingS3URL)
	}
	switch {
	case endpoint.Scheme != "http" && endpoint.Scheme != "https", endpoint.Host == "":
		return nil, fmt.Errorf("config.%s must be http://HOST[:PORT] or https://HOST[:PORT], found %s",
			settingS3URL, failure.Sanitize(text))
	case endpoint.User != nil:
		return nil, fmt.Errorf("config.%s must not hold a user name or password", settingS3URL)
	case strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "":
		return nil, fmt.Errorf("config.%s must not have a path or query, found %s", settingS3URL, failure.Sanitize(text))
	}
	options.Endpoint = endpoint.Host
	options.DoNotUseTLS = endpoint.Scheme == "http"
	return options, nil
}

// bucketRegion asks the store in which region a bucket is. That needs no permission.
func bucketRegion(ctx context.Context, endpoint, bucket string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint+"/"+url.PathEscape(bucket), nil)
	if err != nil {
		return "", fmt.Errorf("find the region of bucket %q: %w", bucket, err)
	}
	client := &http.Client{
		Timeout: s3ClientTimeout,
		// The redirect to the region is the answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("find the region of bucket %q (config.%s is not set): %w", bucket, settingRegion, err)
	}
	defer response.Body.Close()
	if region := response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return region, nil
	}
	if response.StatusCode == http.StatusNotFound {
		return "", fmt.Errorf("bucket %q does not exist", bucket)
	}
	return "", fmt.Errorf("find the region of bucket %q: the answer %q names none, set config.%s", bucket, response.Status, settingRegion)
}

// s3Storage opens Kopia's store anew whenever the credentials were renewed. Kopia's own store takes fixed keys, which
// an assumed role or web identity outlives in a long upload.
type s3Storage struct {
	blob.Storage // the first store, for what needs no request

	options s3.Options
	keys    *credentials.Credentials
	open    func(context.Context, *s3.Options) (blob.Storage, error)

	mu    sync.Mutex
	store blob.Storage
	value credentials.Value
}

// current is the store with keys that are valid now.
func (s *s3Storage) current(ctx context.Context) (blob.Storage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, err := s.keys.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: s3ClientTimeout}})
	if err != nil {
		return nil, fmt.Errorf("get credentials for bucket %q: %w", s.options.BucketName, err)
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return nil, errors.New("the credentials hold no access key")
	}
	if s.store != nil && value == s.value {
		return s.store, nil
	}
	options := s.options
	options.AccessKeyID, options.SecretAccessKey, options.SessionToken = value.AccessKeyID, value.SecretAccessKey, value.SessionToken
	store, err := s.open(ctx, &options)
	if err != nil {
		return nil, err
	}
	s.store, s.value = store, value
	return store, nil
}

// GetBlob reads a blob.
func (s *s3Storage) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	store, err := s.current(ctx)
	if err != nil {
		return err
	}
	return store.GetBlob(ctx, id, offset, length, output)
}

// GetMetadata reads size and time of a blob.
func (s *s3Storage) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	store, err := s.current(ctx)
	if err != nil {
		return blob.Metadata{}, err
	}
	return store.GetMetadata(ctx, id)
}

// ListBlobs lists the blobs whose IDs have a prefix.
func (s *s3Storage) ListBlobs(ctx context.Context, prefix blob.ID, callback func(blob.Metadata) error) error {
	store, err := s.current(ctx)
	if err != nil {
		return err
	}
	return store.ListBlobs(ctx, prefix, callback)
}

// PutBlob writes a blob. Asked for the time of the blob, Kopia's store looks for it even if it could not be written, and
// then returns that it does not exist instead of why, nor does it try again. So that is done here.
func (s *s3Storage) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	store, err := s.current(ctx)
	if err != nil {
		return err
	}
	modified := opts.GetModTime
	opts.GetModTime = nil
	if err := store.PutBlob(ctx, id, data, opts); err != nil || modified == nil {
		return err
	}
	metadata, err := store.GetMetadata(ctx, id)
	if err != nil {
		return err
	}
	*modified = metadata.Timestamp
	return nil
}

// DeleteBlob removes a blob.
func (s *s3Storage) DeleteBlob(ctx context.Context, id blob.ID) error {
	store, err := s.current(ctx)
	if err != nil {
		return err
	}
	return store.DeleteBlob(ctx, id)
}

// ExtendBlobRetention extends the object lock of a blob.
func (s *s3Storage) ExtendBlobRetention(ctx context.Context, id blob.ID, opts blob.ExtendOptions) error {
	store, err := s.current(ctx)
	if err != nil {
		return err
	}
	return store.ExtendBlobRetention(ctx, id, opts)
}
