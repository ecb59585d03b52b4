package store

import (
	"context"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/gcs"
)

// openGCS opens a bucket of Google Cloud Storage. Without a credentials file Google's own default chain is used, which
// includes workload identity; Kopia's client renews its tokens itself.
func openGCS(ctx context.Context, access Access, create bool) (blob.Storage, error) {
	options, err := gcsOptions(access)
	if err != nil {
		return nil, err
	}
	return gcs.New(ctx, options, create)
}

func gcsOptions(access Access) (*gcs.Options, error) {
	bucket, err := access.bucket()
	if err != nil {
		return nil, err
	}
	file, err := access.credentialsFile("GOOGLE_APPLICATION_CREDENTIALS")
	if err != nil {
		return nil, err
	}
	return &gcs.Options{BucketName: bucket, Prefix: access.prefix(), ServiceAccountCredentialsFile: file}, nil
}
