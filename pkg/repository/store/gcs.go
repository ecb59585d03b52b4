package store

import (
	"context"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"

	"github.com/node-agent/node-agent/pkg/location/settings"
	"github.com/node-agent/node-agent/pkg/repository/store/gcs"
)

func openGCS(ctx context.Context, access Access, _ bool) (blob.Storage, error) {
	options, err := gcsOptions(access)
	if err != nil {
		return nil, err
	}
	storage, err := gcs.New(ctx, options)
	if err != nil {
		return nil, err
	}
	return retrying.NewWrapper(storage), nil
}

func gcsOptions(access Access) (gcs.Options, error) {
	bucket, err := access.bucket()
	if err != nil {
		return gcs.Options{}, err
	}
	file, err := access.credentialsFile("GOOGLE_APPLICATION_CREDENTIALS")
	if err != nil {
		return gcs.Options{}, err
	}
	return gcs.Options{
		Bucket:          bucket,
		Prefix:          access.prefix(),
		CredentialsFile: file,
		KMSKey:          access.setting(settings.KMSKeyName),
		Endpoint:        access.setting(settings.StoreEndpoint),
		UniverseDomain:  access.setting(settings.UniverseDomain),
		RootCA:          access.CACert,
	}, nil
}
