package store

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"

	"github.com/node-agent/node-agent/pkg/location/settings"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/store/s3"
)

func openS3(ctx context.Context, access Access, _ bool) (blob.Storage, error) {
	options, err := s3Options(access)
	if err != nil {
		return nil, err
	}
	storage, err := s3.New(ctx, options)
	if err != nil {
		return nil, err
	}
	return retrying.NewWrapper(storage), nil
}

func s3Options(access Access) (s3.Options, error) {
	bucket, err := access.bucket()
	if err != nil {
		return s3.Options{}, err
	}
	file, err := access.credentialsFile("AWS_SHARED_CREDENTIALS_FILE")
	if err != nil {
		return s3.Options{}, err
	}
	options := s3.Options{
		Bucket:          bucket,
		Prefix:          access.prefix(),
		Region:          access.setting(settings.Region),
		RootCA:          access.CACert,
		CredentialsFile: file,
		Profile:         access.setting(settings.Profile),
		Encryption: s3.Encryption{
			Algorithm:       access.setting(settings.ServerSideEncryption),
			KMSKey:          access.setting(settings.KMSKeyID),
			CustomerKeyFile: access.setting(settings.CustomerKeyFile),
		},
		Tagging:  access.setting(settings.Tagging),
		Checksum: access.setting(settings.ChecksumAlgorithm),
	}
	if options.SkipTLSVerify, _, err = access.flag(settings.SkipTLSVerify); err != nil {
		return s3.Options{}, err
	}
	if options.Addressing, err = s3Addressing(access); err != nil {
		return s3.Options{}, err
	}
	options.Endpoint, err = s3Endpoint(access.setting(settings.S3URL))
	return options, err
}

// s3Addressing is where the bucket's name stands.
func s3Addressing(access Access) (s3.Addressing, error) {
	byPath, set, err := access.flag(settings.ForcePathStyle)
	switch {
	case err != nil || !set:
		return s3.AddressingAuto, err
	case byPath:
		return s3.AddressingPath, nil
	}
	return s3.AddressingHost, nil
}

// s3Endpoint is the URL of the server, empty for AWS.
func s3Endpoint(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	endpoint, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("config.%s is not a URL", settings.S3URL)
	}
	switch {
	case endpoint.Scheme != "http" && endpoint.Scheme != "https", endpoint.Host == "":
		return "", fmt.Errorf("config.%s must be http://HOST[:PORT] or https://HOST[:PORT], found %s",
			settings.S3URL, failure.Sanitize(text))
	case endpoint.User != nil:
		return "", fmt.Errorf("config.%s must not hold a user name or password", settings.S3URL)
	case strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "":
		return "", fmt.Errorf("config.%s must not have a path or query, found %s", settings.S3URL, failure.Sanitize(text))
	}
	return endpoint.Scheme + "://" + endpoint.Host, nil
}
