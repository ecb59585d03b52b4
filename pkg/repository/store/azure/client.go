package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

// New opens the container, and makes sure that it is there.
func New(ctx context.Context, options Options) (*Storage, error) {
	connections, err := transport.New(options.RootCA)
	if err != nil {
		return nil, err
	}
	return open(ctx, options, &http.Client{Transport: connections})
}

func open(ctx context.Context, options Options, connections policy.Transporter) (*Storage, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	environment, err := options.environment()
	if err != nil {
		return nil, err
	}
	client := azcore.ClientOptions{
		Cloud: environment.configuration, Transport: connections,
		Telemetry: policy.TelemetryOptions{ApplicationID: "node-agent"},
	}
	if err := options.complete(ctx, client, environment.domain); err != nil {
		return nil, err
	}
	opened, err := options.container(client)
	if err != nil {
		return nil, fmt.Errorf("open container %q: %w", options.Container, err)
	}
	result := &Storage{options: options, container: opened}
	// A container that does not exist answers as if each of its blobs did not.
	err = result.ListBlobs(ctx, "kopia.repository", func(blob.Metadata) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("list container %q: %w", options.Container, err)
	}
	return result, nil
}

// complete asks Azure's resource manager for what the options lack: the address of the account, and its key.
func (o *Options) complete(ctx context.Context, client azcore.ClientOptions, domain string) error {
	if err := o.manageable(); o.needsKey() && err != nil {
		return err
	}
	if o.Key == "" && o.SharedAccess == "" && o.manageable() == nil {
		if err := o.ask(ctx, client); err != nil {
			return err
		}
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://" + o.Account + "." + domain
	}
	o.Endpoint = strings.TrimRight(o.Endpoint, "/")
	return nil
}

// ask asks for the key, if it is needed, and for the address, if it is not given.
func (o *Options) ask(ctx context.Context, client azcore.ClientOptions) error {
	accounts, err := o.accounts(client)
	if err != nil {
		return err
	}
	if o.needsKey() {
		if o.Key, err = readKey(ctx, accounts, o.ResourceGroup, o.Account); err != nil {
			return fmt.Errorf("read the key of storage account %q: %w", o.Account, err)
		}
	}
	if o.Endpoint == "" {
		o.Endpoint = readEndpoint(ctx, accounts, o.ResourceGroup, o.Account)
	}
	return nil
}

func (o *Options) accounts(client azcore.ClientOptions) (*armstorage.AccountsClient, error) {
	identity, err := o.Identity.credential(client)
	if err != nil {
		return nil, err
	}
	accounts, err := armstorage.NewAccountsClient(o.Subscription, identity, &arm.ClientOptions{ClientOptions: client})
	if err != nil {
		return nil, fmt.Errorf("reach Azure's resource manager: %w", err)
	}
	return accounts, nil
}

// readKey returns a key that lets its owner do everything.
func readKey(ctx context.Context, accounts *armstorage.AccountsClient, group, account string) (string, error) {
	answer, err := accounts.ListKeys(ctx, group, account, nil)
	if err != nil {
		return "", explained(err)
	}
	for _, key := range answer.Keys {
		// The service writes FULL, its library Full.
		if key.Permissions != nil && key.Value != nil && strings.EqualFold(string(*key.Permissions), string(armstorage.KeyPermissionFull)) {
			return *key.Value, nil
		}
	}
	return "", errors.New("it has none that allows everything")
}

// readEndpoint returns the address of the account, which has a zone in it where the account was made so. It is empty if the
// identity may not ask.
func readEndpoint(ctx context.Context, accounts *armstorage.AccountsClient, group, account string) string {
	answer, err := accounts.GetProperties(ctx, group, account, nil)
	if err != nil || answer.Properties == nil || answer.Properties.PrimaryEndpoints == nil {
		return ""
	}
	return orZero(answer.Properties.PrimaryEndpoints.Blob)
}

// container opens the container with the key, the token or the identity.
func (o *Options) container(client azcore.ClientOptions) (*container.Client, error) {
	if o.APIVersion != "" {
		client.PerCallPolicies = []policy.Policy{apiVersion(o.APIVersion)}
	}
	client.InsecureAllowCredentialWithHTTP = strings.HasPrefix(o.Endpoint, "http://")
	options := &container.ClientOptions{ClientOptions: client}
	address := o.Endpoint + "/" + o.Container
	switch {
	case o.SharedAccess != "":
		return container.NewClientWithNoCredential(address+"?"+strings.TrimPrefix(o.SharedAccess, "?"), options)
	case o.Key != "":
		key, err := container.NewSharedKeyCredential(o.Account, o.Key)
		if err != nil {
			return nil, errors.New("the key of the storage account is not in base64")
		}
		return container.NewClientWithSharedKeyCredential(address, key, options)
	}
	identity, err := o.Identity.credential(client)
	if err != nil {
		return nil, err
	}
	return container.NewClient(address, identity, options)
}

// apiVersion is sent in place of the library's, which offers no way to choose it.
type apiVersion string

// Do sets the version before the request is signed.
func (v apiVersion) Do(request *policy.Request) (*http.Response, error) {
	request.Raw().Header["x-ms-version"] = []string{string(v)}
	return request.Next()
}
