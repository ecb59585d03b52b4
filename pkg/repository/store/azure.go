package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/retrying"

	"github.com/node-agent/node-agent/pkg/location/settings"
	"github.com/node-agent/node-agent/pkg/repository/store/azure"
)

func openAzure(ctx context.Context, access Access, _ bool) (blob.Storage, error) {
	options, err := azureOptions(access)
	if err != nil {
		return nil, err
	}
	storage, err := azure.New(ctx, options)
	if err != nil {
		return nil, err
	}
	return retrying.NewWrapper(storage), nil
}

func azureOptions(access Access) (azure.Options, error) {
	container, err := access.bucket()
	if err != nil {
		return azure.Options{}, err
	}
	file, err := access.credentialsFile("AZURE_CREDENTIALS_FILE")
	if err != nil {
		return azure.Options{}, err
	}
	credentials, err := readVariables(file)
	if err != nil {
		return azure.Options{}, err
	}
	options := azure.Options{
		Container:     container,
		Prefix:        access.prefix(),
		Account:       access.setting(settings.StorageAccount),
		Endpoint:      firstOf(access.setting(settings.StorageAccountURI), access.setting(settings.StorageBlobEndpoint)),
		Subscription:  firstOf(access.setting(settings.SubscriptionID), credentials.get("AZURE_SUBSCRIPTION_ID")),
		ResourceGroup: firstOf(access.setting(settings.ResourceGroup), credentials.get("AZURE_RESOURCE_GROUP")),
		Identity:      azureIdentity(credentials),
		Cloud:         credentials.get("AZURE_CLOUD_NAME"),
		Authority:     access.setting(settings.ActiveDirectory),
		APIVersion:    access.setting(settings.APIVersion),
		RootCA:        access.CACert,
	}
	// The sample of Velero's plugin leaves the scheme out.
	if options.Endpoint != "" && !strings.Contains(options.Endpoint, "://") {
		options.Endpoint = "https://" + options.Endpoint
	}
	if options.AsIdentity, _, err = access.flag(settings.UseAAD); err != nil {
		return azure.Options{}, err
	}
	if options.Key, err = credentials.namedBy(access, settings.StorageAccountKey); err != nil {
		return azure.Options{}, err
	}
	options.SharedAccess, err = credentials.namedBy(access, settings.StorageAccountSAS)
	return options, err
}

// azureIdentity is the application that the credentials name, or a workload identity's webhook in the environment.
func azureIdentity(credentials variables) azure.Identity {
	result := azure.Identity{
		Tenant:               credentials.get("AZURE_TENANT_ID"),
		Client:               credentials.get("AZURE_CLIENT_ID"),
		Secret:               credentials.get("AZURE_CLIENT_SECRET"),
		Certificate:          credentials.get("AZURE_CLIENT_CERTIFICATE"),
		CertificateFile:      credentials.get("AZURE_CLIENT_CERTIFICATE_PATH"),
		CertificatePassword:  credentials.get("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
		SendCertificateChain: azure.IsTrue(credentials.get("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")),
		TokenFile:            credentials.get("AZURE_FEDERATED_TOKEN_FILE"),
		User:                 credentials.get("AZURE_USERNAME"),
	}
	if tenants := credentials.get("AZURE_ADDITIONALLY_ALLOWED_TENANTS"); tenants != "" {
		result.OtherTenants = strings.Split(tenants, ";")
	}
	return result
}

// namedBy is the value of the entry whose name is the value of a setting, empty if the setting is not set.
func (v variables) namedBy(access Access, setting string) (string, error) {
	name := access.setting(setting)
	if name == "" {
		return "", nil
	}
	value := v.get(name)
	if value == "" {
		return "", fmt.Errorf("config.%s names %s, which is not in the credentials", setting, name)
	}
	return value, nil
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
