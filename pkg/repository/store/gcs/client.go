package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"

	"cloud.google.com/go/storage"
	"github.com/kopia/kopia/repo/blob"
	"google.golang.org/api/option"
	googletransport "google.golang.org/api/transport/http"

	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

// Options say where a bucket is and how its objects are read and written.
type Options struct {
	// Bucket is the name of the bucket.
	Bucket string

	// Prefix stands before the name of each blob.
	Prefix string

	// CredentialsFile is a key, or says where to get one. If empty, it is what Google's own libraries find, which includes
	// workload identity.
	CredentialsFile string

	// KMSKey is the key, of Google's key management, that new objects are encrypted with. If empty, the bucket decides.
	KMSKey string

	// Endpoint is the URL of the server. If empty, it is that of Google.
	Endpoint string

	// UniverseDomain is that of a cloud of its own. If empty, it is Google's.
	UniverseDomain string

	// RootCA is a PEM bundle of certificates to trust beside those of the system.
	RootCA []byte
}

// credentialTypes are the kinds of files that may be given.
var credentialTypes = []option.CredentialsType{
	option.ServiceAccount, option.ExternalAccount, option.ImpersonatedServiceAccount, option.AuthorizedUser,
}

// New opens the bucket, and makes sure that it is there.
func New(ctx context.Context, options Options) (*Storage, error) {
	settings, err := options.client()
	if err != nil {
		return nil, err
	}
	base, err := transport.New(options.RootCA)
	if err != nil {
		return nil, err
	}
	signed, err := googletransport.NewTransport(ctx, base, settings...)
	if err != nil {
		return nil, fmt.Errorf("get credentials for bucket %q: %w", options.Bucket, err)
	}
	settings = append(options.place(), option.WithHTTPClient(&http.Client{Transport: signed}))
	client, err := storage.NewClient(ctx, settings...)
	if err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", options.Bucket, err)
	}
	result := &Storage{options: options, client: client}
	// A bucket that does not exist answers as if each of its objects did not.
	err = result.ListBlobs(ctx, "kopia.repository", func(blob.Metadata) error { return nil })
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return result, nil
}

// place says where the server is.
func (o Options) place() []option.ClientOption {
	var result []option.ClientOption
	if o.Endpoint != "" {
		result = append(result, option.WithEndpoint(o.Endpoint))
	}
	if o.UniverseDomain != "" {
		result = append(result, option.WithUniverseDomain(o.UniverseDomain))
	}
	return result
}

// client says where the server is, and who asks.
func (o Options) client() ([]option.ClientOption, error) {
	result := append(o.place(), option.WithScopes(storage.ScopeFullControl))
	if o.CredentialsFile == "" {
		return result, nil
	}
	content, err := os.ReadFile(o.CredentialsFile)
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	var kind struct {
		Type option.CredentialsType `json:"type"`
	}
	if err := json.Unmarshal(content, &kind); err != nil {
		// The error of the decoder may hold a part of the key.
		return nil, fmt.Errorf("credentials file %s is not in JSON", o.CredentialsFile)
	}
	if !slices.Contains(credentialTypes, kind.Type) {
		return nil, fmt.Errorf("credentials file %s: type %q is not known (known: %q)", o.CredentialsFile, kind.Type, credentialTypes)
	}
	return append(result, option.WithAuthCredentialsJSON(kind.Type, content)), nil
}
