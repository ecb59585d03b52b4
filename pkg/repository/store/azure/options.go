// Package azure is a store in a container of Azure Blob Storage. Accounts are found, and requests signed, as Velero does it:
// https://github.com/vmware-tanzu/velero-plugin-for-microsoft-azure/blob/main/backupstoragelocation.md
package azure

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
)

// Options say where a container is and who asks for its blobs.
type Options struct {
	// Container is the name of the container.
	Container string

	// Prefix stands before the name of each blob.
	Prefix string

	// Account is the storage account that has the container.
	Account string

	// Endpoint is the URL of the account's blobs. If empty, it is asked for, or follows from the name of the cloud.
	Endpoint string

	// Key is the key of the account. If empty, requests are made as Identity, or with a key that Identity may read.
	Key string

	// SharedAccess is a token for the container. Neither a key nor an identity is needed beside it.
	SharedAccess string

	// AsIdentity makes requests for blobs as Identity. Else it reads the key of the account.
	AsIdentity bool

	// Subscription and ResourceGroup are where the account is managed.
	Subscription, ResourceGroup string

	// Identity is who asks if there is no key.
	Identity Identity

	// Cloud is the name of Azure's cloud, as AZURE_CLOUD_NAME has it. If empty, it is the public one.
	Cloud string

	// Authority is the URL of the service that gives out tokens. If empty, it is that of the cloud.
	Authority string

	// APIVersion is the version of the interface to speak. If empty, it is that of the library.
	APIVersion string

	// RootCA is a PEM bundle of certificates to trust beside those of the system.
	RootCA []byte
}

// environment is one of Azure's clouds.
type environment struct {
	domain        string
	configuration cloud.Configuration
}

// environments by the upper-case names that AZURE_CLOUD_NAME takes.
var environments = map[string]environment{
	"":                       {"blob.core.windows.net", cloud.AzurePublic},
	"AZUREPUBLICCLOUD":       {"blob.core.windows.net", cloud.AzurePublic},
	"AZURECLOUD":             {"blob.core.windows.net", cloud.AzurePublic},
	"AZUREUSGOVERNMENTCLOUD": {"blob.core.usgovcloudapi.net", cloud.AzureGovernment},
	"AZUREUSGOVERNMENT":      {"blob.core.usgovcloudapi.net", cloud.AzureGovernment},
	"AZURECHINACLOUD":        {"blob.core.chinacloudapi.cn", cloud.AzureChina},
}

// environment is the cloud, with the authority of the options.
func (o Options) environment() (environment, error) {
	found, ok := environments[strings.ToUpper(o.Cloud)]
	if !ok {
		return environment{}, fmt.Errorf("AZURE_CLOUD_NAME %q is not known", o.Cloud)
	}
	if o.Authority != "" {
		found.configuration.ActiveDirectoryAuthorityHost = o.Authority
	}
	return found, nil
}

// validate names the first thing that is wrong or missing.
func (o Options) validate() error {
	if o.Account == "" {
		return errors.New("config.storageAccount is empty")
	}
	if o.Endpoint == "" {
		return nil
	}
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return errors.New("config.storageAccountURI is not a URL")
	}
	if endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.Host == "" || endpoint.User != nil || endpoint.RawQuery != "" {
		return errors.New("config.storageAccountURI must be https://HOST, without a user or query")
	}
	return nil
}

// needsKey tells whether the key of the account has to be read.
func (o Options) needsKey() bool { return o.Key == "" && o.SharedAccess == "" && !o.AsIdentity }

// manageable says what is missing to ask Azure's resource manager about the account.
func (o Options) manageable() error {
	var missing []string
	if o.Subscription == "" {
		missing = append(missing, "config.subscriptionId (or AZURE_SUBSCRIPTION_ID)")
	}
	if o.ResourceGroup == "" {
		missing = append(missing, "config.resourceGroup (or AZURE_RESOURCE_GROUP)")
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the location names neither a key (config.storageAccountKeyEnvVar) nor an identity with access to the data "+
		"(config.useAAD: \"true\"), and to read the key of the account %s is missing", strings.Join(missing, " and "))
}
