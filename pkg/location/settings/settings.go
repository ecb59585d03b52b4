// Package settings knows what spec.config of a BackupStorageLocation may hold, and what of it counts for the data of
// volumes. The names are those of Velero's plugins:
// https://github.com/vmware-tanzu/velero-plugin-for-aws/blob/main/backupstoragelocation.md
// https://github.com/vmware-tanzu/velero-plugin-for-microsoft-azure/blob/main/backupstoragelocation.md
// https://github.com/vmware-tanzu/velero-plugin-for-gcp/blob/main/backupstoragelocation.md
package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

// Names of providers.
const (
	AWS        = "velero.io/aws"
	Azure      = "velero.io/azure"
	GCP        = "velero.io/gcp"
	Filesystem = "velero.io/fs"
)

// Names of settings that all providers have.
const (
	Bucket          = "bucket"
	Prefix          = "prefix"
	CredentialsFile = "credentialsFile"
)

// Names of settings of AWS, and of whatever speaks S3.
const (
	Region               = "region"
	S3URL                = "s3Url"
	ForcePathStyle       = "s3ForcePathStyle"
	SkipTLSVerify        = "insecureSkipTLSVerify"
	Profile              = "profile"
	ServerSideEncryption = "serverSideEncryption"
	KMSKeyID             = "kmsKeyId"
	CustomerKeyFile      = "customerKeyEncryptionFile"
	Tagging              = "tagging"
	ChecksumAlgorithm    = "checksumAlgorithm"
)

// Names of settings of Azure.
const (
	StorageAccount      = "storageAccount"
	StorageAccountKey   = "storageAccountKeyEnvVar"
	StorageAccountSAS   = "storageAccountSASTokenEnvVar"
	StorageAccountURI   = "storageAccountURI"
	StorageBlobEndpoint = "storageAccountBlobEndpoint"
	SubscriptionID      = "subscriptionId"
	ResourceGroup       = "resourceGroup"
	UseAAD              = "useAAD"
	ActiveDirectory     = "activeDirectoryAuthorityURI"
	APIVersion          = "apiVersion"
)

// Names of settings of Google.
const (
	KMSKeyName     = "kmsKeyName"
	StoreEndpoint  = "storeEndpoint"
	UniverseDomain = "universeDomain"
)

// FilesystemPath is the directory that takes the place of the bucket.
const FilesystemPath = "fspath"

// Setting is a key of spec.config.
type Setting struct {
	// Name is the key.
	Name string

	// Example is a value that it may have.
	Example string

	// Elsewhere says what it is for, if it does not count for the data of volumes and need not.
	Elsewhere string
}

// What a setting is for that does not count for data.
const (
	links   = "only for the links that Velero's server signs for its command line"
	blocks  = "only for large objects of Velero's own: data is written in packs of about 20 MiB, each in one piece"
	already = "a credentials file is read as configuration in any case"
)

// known settings by provider.
var known = map[string][]Setting{
	AWS: {
		{Name: Region, Example: "eu-west-1"},
		{Name: S3URL, Example: "https://minio.example.com:9000"},
		{Name: ForcePathStyle, Example: "false"},
		{Name: SkipTLSVerify, Example: "true"},
		{Name: Profile, Example: "backups"},
		{Name: ServerSideEncryption, Example: "AES256"},
		{Name: KMSKeyID, Example: "alias/backups"},
		{Name: CustomerKeyFile, Example: "/credentials/customer-key"},
		{Name: Tagging, Example: "team=shop&cost=12"},
		{Name: ChecksumAlgorithm, Example: "CRC32"},
		{Name: CredentialsFile, Example: "/credentials/other"},
		{Name: "enableSharedConfig", Example: "true", Elsewhere: already},
		{Name: "publicUrl", Example: "https://minio.example.com", Elsewhere: links},
		{Name: "signatureVersion", Example: "4", Elsewhere: links},
	},
	Azure: {
		{Name: StorageAccount, Example: "shopbackups"},
		{Name: StorageAccountKey, Example: "AZURE_STORAGE_ACCOUNT_ACCESS_KEY"},
		{Name: StorageAccountSAS, Example: "AZURE_STORAGE_SAS_TOKEN"},
		{Name: StorageAccountURI, Example: "https://shopbackups.blob.core.windows.net"},
		{Name: StorageBlobEndpoint, Example: "https://shopbackups.z17.blob.storage.azure.net"},
		{Name: SubscriptionID, Example: "00000000-0000-0000-0000-000000000000"},
		{Name: ResourceGroup, Example: "backups"},
		{Name: UseAAD, Example: "true"},
		{Name: ActiveDirectory, Example: "https://login.microsoftonline.us/"},
		{Name: APIVersion, Example: "2019-12-12"},
		{Name: CredentialsFile, Example: "/credentials/other"},
		{Name: "blockSizeInBytes", Example: "104857600", Elsewhere: blocks},
	},
	GCP: {
		{Name: KMSKeyName, Example: "projects/P/locations/L/keyRings/R/cryptoKeys/K"},
		{Name: StoreEndpoint, Example: "https://storage-backups.p.googleapis.com/storage/v1/"},
		{Name: UniverseDomain, Example: "example.goog"},
		{Name: CredentialsFile, Example: "/credentials/other"},
		{Name: "serviceAccount", Example: "velero@project.iam.gserviceaccount.com", Elsewhere: links},
	},
	Filesystem: {
		{Name: FilesystemPath, Example: "/backups"},
	},
}

// Provider is the full name of a location's provider. One without a domain is of velero.io. As with Velero, any that is
// not known speaks S3 if the location has an s3Url. The error names those that are known.
func Provider(spec velerov1.BackupStorageLocationSpec) (string, error) {
	provider := spec.Provider
	if !strings.Contains(provider, "/") {
		provider = "velero.io/" + provider
	}
	if _, ok := known[provider]; ok {
		return provider, nil
	}
	if strings.TrimSpace(spec.Config[S3URL]) != "" {
		return AWS, nil
	}
	return "", fmt.Errorf("storage provider %q is not known (known: %s, and any provider with config.%s)",
		spec.Provider, strings.Join(Providers(), ", "), S3URL)
}

// Providers are the full names of those that are known.
func Providers() []string { return slices.Sorted(maps.Keys(known)) }

// Of are the settings of a provider, by its full name.
func Of(provider string) []Setting { return known[provider] }

// Remark is a setting without effect on the data of volumes.
type Remark struct {
	// Setting is its name.
	Setting string

	// Reason says why it has none.
	Reason string

	// Harmless tells that it need not have any.
	Harmless bool
}

func (r Remark) String() string { return "config." + r.Setting + ": " + r.Reason }

// WithoutEffect are the settings of a location that do not count for data, by name. A location whose provider is not known
// has none: nothing is stored in it.
func WithoutEffect(spec velerov1.BackupStorageLocationSpec) []Remark {
	provider, err := Provider(spec)
	if err != nil {
		return nil
	}
	var result []Remark
	for _, name := range slices.Sorted(maps.Keys(spec.Config)) {
		if spec.Config[name] == "" {
			continue
		}
		i := slices.IndexFunc(known[provider], func(setting Setting) bool { return setting.Name == name })
		switch {
		case i >= 0 && known[provider][i].Elsewhere == "":
		case i >= 0:
			result = append(result, Remark{Setting: name, Reason: known[provider][i].Elsewhere, Harmless: true})
		case name != Bucket && name != Prefix:
			result = append(result, Remark{Setting: name, Reason: "not known for provider " + provider + suggestion(name)})
		case spec.ObjectStorage != nil:
			result = append(result, Remark{Setting: name, Reason: "spec.objectStorage counts"})
		}
	}
	return result
}

// suggestion says what may be meant by a name that is not known.
func suggestion(name string) string {
	if name == "caCert" {
		return ": certificates belong into spec.objectStorage"
	}
	for _, setting := range slices.Concat(slices.Collect(maps.Values(known))...) {
		if strings.EqualFold(setting.Name, name) && setting.Name != name {
			return ": upper and lower case count, " + setting.Name + " may be meant"
		}
	}
	return ""
}
