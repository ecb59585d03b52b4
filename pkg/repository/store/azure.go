package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/azure"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// azureDomains are the blob storage domains of Azure's clouds, by the upper-case names that AZURE_CLOUD_NAME takes.
var azureDomains = map[string]string{
	"":                       "blob.core.windows.net",
	"AZUREPUBLICCLOUD":       "blob.core.windows.net",
	"AZURECLOUD":             "blob.core.windows.net",
	"AZUREUSGOVERNMENTCLOUD": "blob.core.usgovcloudapi.net",
	"AZUREUSGOVERNMENT":      "blob.core.usgovcloudapi.net",
	"AZURECHINACLOUD":        "blob.core.chinacloudapi.cn",
}

// openAzure opens a container of Azure Blob Storage. Kopia's client renews its tokens itself.
func openAzure(ctx context.Context, access Access, create bool) (blob.Storage, error) {
	options, err := azureOptions(access)
	if err != nil {
		return nil, err
	}
	return azure.New(ctx, options, create)
}

func azureOptions(access Access) (*azure.Options, error) {
	container, err := access.bucket()
	if err != nil {
		return nil, err
	}
	file, err := access.credentialsFile("AZURE_CREDENTIALS_FILE")
	if err != nil {
		return nil, err
	}
	credentials, err := readVariables(file)
	if err != nil {
		return nil, err
	}
	options := &azure.Options{
		Container:      container,
		Prefix:         access.prefix(),
		StorageAccount: access.setting("storageAccount"),
	}
	if options.StorageAccount == "" {
		return nil, errors.New("config.storageAccount is empty")
	}
	if err := setAzureEndpoint(options, access, credentials); err != nil {
		return nil, err
	}
	return options, setAzureCredentials(options, access, credentials)
}

// setAzureEndpoint takes the domain from config.storageAccountURI if given, else from the name of the cloud.
func setAzureEndpoint(options *azure.Options, access Access, credentials variables) error {
	uri := access.setting("storageAccountURI")
	if uri == "" {
		cloud := credentials.get("AZURE_CLOUD_NAME")
		domain, ok := azureDomains[strings.ToUpper(cloud)]
		if !ok {
			return fmt.Errorf("AZURE_CLOUD_NAME %q is not known", cloud)
		}
		options.StorageDomain = domain
		return nil
	}
	parsed, err := url.Parse(uri)
	if err != nil {
		return errors.New("config.storageAccountURI is not a URL")
	}
	domain, ok := strings.CutPrefix(parsed.Host, options.StorageAccount+".")
	if !ok || strings.Trim(parsed.Path, "/") != "" {
		return fmt.Errorf("config.storageAccountURI must be https://%s.<domain>, found %s", options.StorageAccount, failure.Sanitize(uri))
	}
	options.StorageDomain = domain
	options.DoNotUseTLS = parsed.Scheme == "http"
	return nil
}

// setAzureCredentials prefers an account key, if the location names where it is, to the identity of an application.
func setAzureCredentials(options *azure.Options, access Access, credentials variables) error {
	if variable := access.setting("storageAccountKeyEnvVar"); variable != "" {
		if options.StorageKey = credentials.get(variable); options.StorageKey == "" {
			return fmt.Errorf("config.storageAccountKeyEnvVar names %s, which is not in the credentials", variable)
		}
		return nil
	}
	options.TenantID = credentials.get("AZURE_TENANT_ID")
	options.ClientID = credentials.get("AZURE_CLIENT_ID")
	options.ClientSecret = credentials.get("AZURE_CLIENT_SECRET")
	options.ClientCertificate = credentials.get("AZURE_CLIENT_CERTIFICATE")
	options.AzureFederatedTokenFile = credentials.get("AZURE_FEDERATED_TOKEN_FILE")
	if path := credentials.get("AZURE_CLIENT_CERTIFICATE_PATH"); path != "" && options.ClientCertificate == "" {
		certificate, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the client certificate: %w", err)
		}
		options.ClientCertificate = string(certificate)
	}
	if options.TenantID == "" || options.ClientID == "" {
		return errors.New("the credentials hold neither a storage account key (set config.storageAccountKeyEnvVar) " +
			"nor AZURE_TENANT_ID and AZURE_CLIENT_ID")
	}
	if options.ClientSecret == "" && options.ClientCertificate == "" && options.AzureFederatedTokenFile == "" {
		return errors.New("the credentials hold none of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE, " +
			"AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE")
	}
	return nil
}
