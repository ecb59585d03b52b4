package store

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location/settings"
	"github.com/node-agent/node-agent/pkg/repository/store/azure"
	"github.com/node-agent/node-agent/pkg/repository/store/gcs"
	"github.com/node-agent/node-agent/pkg/repository/store/s3"
)

// accessTo is the way to a location with the given settings.
func accessTo(config map[string]string, credentials string) Access {
	GinkgoHelper()
	result := Access{
		Location: &velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{
			Config:      config,
			StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "bucket", Prefix: "/a/b/"}},
		}},
		VolumeNamespace: "shop",
	}
	if credentials != "" {
		result.CredentialsFile = filepath.Join(GinkgoT().TempDir(), "credentials")
		Expect(os.WriteFile(result.CredentialsFile, []byte(credentials), 0o600)).To(Succeed())
	}
	return result
}

// without clears the variables that a test machine may have.
func without(prefixes ...string) {
	for _, name := range prefixes {
		GinkgoT().Setenv(name, "")
	}
}

var _ = Describe("Bucket and prefix", func() {
	DescribeTable("of a location", func(storage *velerov1.ObjectStorageLocation, config map[string]string, bucket, prefix string) {
		access := accessTo(config, "")
		access.Location.Spec.ObjectStorage = storage
		Expect(access.bucket()).To(Equal(bucket))
		Expect(access.prefix()).To(Equal(prefix))
	},
		Entry(nil, &velerov1.ObjectStorageLocation{Bucket: "b"}, nil, "b", "kopia/shop/"),
		Entry(nil, &velerov1.ObjectStorageLocation{Bucket: "/b/", Prefix: "/p/q/"}, nil, "b", "p/q/kopia/shop/"),
		Entry("settings do not count beside objectStorage", &velerov1.ObjectStorageLocation{Bucket: "b"},
			map[string]string{"bucket": "c", "prefix": "p"}, "b", "kopia/shop/"),
		Entry("settings alone do", nil, map[string]string{"bucket": "c", "prefix": "p"}, "c", "p/kopia/shop/"),
	)

	It("must exist", func() {
		access := accessTo(nil, "")
		access.Location.Spec.ObjectStorage.Bucket = ""
		_, err := access.bucket()
		Expect(err).To(MatchError("spec.objectStorage.bucket is empty"))
	})
})

var _ = Describe("Options of S3", func() {
	BeforeEach(func() { without("AWS_SHARED_CREDENTIALS_FILE") })

	DescribeTable("follow the location", func(config map[string]string, change func(*s3.Options)) {
		want := s3.Options{Bucket: "bucket", Prefix: "a/b/kopia/shop/"}
		change(&want)
		Expect(s3Options(accessTo(config, ""))).To(Equal(want))
	},
		Entry("of AWS", map[string]string{"region": "eu-west-1"}, func(o *s3.Options) { o.Region = "eu-west-1" }),
		Entry("over HTTP", map[string]string{"s3Url": "http://minio:9000/", "region": "r"},
			func(o *s3.Options) { o.Endpoint, o.Region = "http://minio:9000", "r" }),
		Entry("over HTTPS", map[string]string{"s3Url": "https://minio.example.com", "insecureSkipTLSVerify": "true"},
			func(o *s3.Options) { o.Endpoint, o.SkipTLSVerify = "https://minio.example.com", true }),
		Entry("with the bucket in the path", map[string]string{"s3ForcePathStyle": "true"}, func(o *s3.Options) { o.Addressing = s3.AddressingPath }),
		Entry("with the bucket in the host", map[string]string{"s3ForcePathStyle": "false"}, func(o *s3.Options) { o.Addressing = s3.AddressingHost }),
		Entry("without what is not for data", map[string]string{"publicUrl": "https://x", "signatureVersion": "1"}, func(*s3.Options) {}),
	)

	DescribeTable("reject", func(setting, value, text string) {
		_, err := s3Options(accessTo(map[string]string{setting: value}, ""))
		Expect(err).To(MatchError(And(ContainSubstring("config."+setting), ContainSubstring(text), Not(ContainSubstring("secret")))))
	},
		Entry("a URL without a scheme", "s3Url", "minio:9000", "must be http://HOST"),
		Entry("a URL of another scheme", "s3Url", "ftp://minio", "must be http://HOST"),
		Entry("a URL with a path", "s3Url", "https://minio/path", "must not have a path or query, found https://minio/path"),
		Entry("a URL with a query", "s3Url", "https://minio?token=secret", "must not have a path or query"),
		Entry("a URL with a password", "s3Url", "https://user:secret@minio", "must not hold a user name or password"),
		Entry("what is no URL", "s3Url", "https://[", "is not a URL"),
		Entry("what is neither true nor false", "s3ForcePathStyle", "no", `must be "true" or "false", found "no"`),
		Entry("what is neither true nor false", "insecureSkipTLSVerify", "yes", `must be "true" or "false", found "yes"`),
	)
})

var _ = Describe("Options of Azure", func() {
	const application = "AZURE_TENANT_ID=tenant\nAZURE_CLIENT_ID=client\n"

	BeforeEach(func() {
		without("AZURE_CREDENTIALS_FILE", "AZURE_CLOUD_NAME", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
			"AZURE_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE",
			"AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP")
	})

	DescribeTable("follow the location and its credentials", func(config map[string]string, content string, change func(*azure.Options)) {
		settings := map[string]string{"storageAccount": "acct"}
		maps.Copy(settings, config)
		want := azure.Options{Container: "bucket", Prefix: "a/b/kopia/shop/", Account: "acct"}
		change(&want)
		Expect(azureOptions(accessTo(settings, content))).To(Equal(want))
	},
		Entry("with an account key", map[string]string{"storageAccountKeyEnvVar": "KEY"},
			"# comment\n\n  KEY = 'k=='\nAZURE_CLOUD_NAME=AzureUSGovernmentCloud\n",
			func(o *azure.Options) { o.Key, o.Cloud = "k==", "AzureUSGovernmentCloud" }),
		Entry("with a token", map[string]string{"storageAccountSASTokenEnvVar": "SAS"}, "SAS=sv=2024&sig=x%3D\n",
			func(o *azure.Options) { o.SharedAccess = "sv=2024&sig=x%3D" }),
		Entry("with a secret", map[string]string{"useAAD": "true"}, application+"export AZURE_CLIENT_SECRET=\"s\"\n",
			func(o *azure.Options) {
				o.AsIdentity, o.Identity = true, azure.Identity{Tenant: "tenant", Client: "client", Secret: "s"}
			}),
		Entry("with a web identity", nil, application+"AZURE_FEDERATED_TOKEN_FILE=/token\n",
			func(o *azure.Options) {
				o.Identity = azure.Identity{Tenant: "tenant", Client: "client", TokenFile: "/token"}
			}),
		Entry("with a certificate", nil, application+"AZURE_CLIENT_CERTIFICATE_PATH=/c\nAZURE_CLIENT_CERTIFICATE_PASSWORD=p\nAZURE_CLIENT_SEND_CERTIFICATE_CHAIN=True\n",
			func(o *azure.Options) {
				o.Identity = azure.Identity{Tenant: "tenant", Client: "client", CertificateFile: "/c", CertificatePassword: "p", SendCertificateChain: true}
			}),
		Entry("with tenants", nil, "AZURE_ADDITIONALLY_ALLOWED_TENANTS=a;b\n",
			func(o *azure.Options) { o.Identity = azure.Identity{OtherTenants: []string{"a", "b"}} }),
		Entry("with a place to read the key", nil, "AZURE_SUBSCRIPTION_ID=sub\nAZURE_RESOURCE_GROUP=group\n",
			func(o *azure.Options) { o.Subscription, o.ResourceGroup = "sub", "group" }),
		Entry("with a place of the location's", map[string]string{"subscriptionId": "own", "resourceGroup": "mine"}, "AZURE_SUBSCRIPTION_ID=sub\nAZURE_RESOURCE_GROUP=group\n",
			func(o *azure.Options) { o.Subscription, o.ResourceGroup = "own", "mine" }),
		Entry("at another address", map[string]string{"storageAccountURI": "http://acct.blob.example.com/"}, "",
			func(o *azure.Options) { o.Endpoint = "http://acct.blob.example.com/" }),
		Entry("at an address without a scheme", map[string]string{"storageAccountURI": "acct.blob.example.com"}, "",
			func(o *azure.Options) { o.Endpoint = "https://acct.blob.example.com" }),
	)

	DescribeTable("are rejected", func(config map[string]string, content, text string) {
		_, err := azureOptions(accessTo(config, content))
		Expect(err).To(MatchError(And(ContainSubstring(text), Not(ContainSubstring("s3cr3t")))))
	},
		Entry("without the account key", map[string]string{"storageAccountKeyEnvVar": "KEY"}, "OTHER=s3cr3t", "names KEY, which is not in the credentials"),
		Entry("without the token", map[string]string{"storageAccountSASTokenEnvVar": "SAS"}, "OTHER=s3cr3t", "names SAS, which is not in the credentials"),
		Entry("with a line of another form", nil, "A=b\ns3cr3t\n", "line 2 is not of the form KEY=VALUE"),
		Entry("with a switch that is none", map[string]string{"useAAD": "yes"}, "", `config.useAAD must be "true" or "false"`),
	)
})

var _ = Describe("Options of Google Cloud Storage", func() {
	BeforeEach(func() { without("GOOGLE_APPLICATION_CREDENTIALS") })

	It("follow the location", func() {
		access := accessTo(nil, "{}")
		Expect(gcsOptions(access)).To(Equal(gcs.Options{Bucket: "bucket", Prefix: "a/b/kopia/shop/", CredentialsFile: access.CredentialsFile}))
	})

	It("leave the credentials to the environment", func() {
		Expect(gcsOptions(accessTo(nil, ""))).To(HaveField("CredentialsFile", BeEmpty()))
	})

	It("take the file that the location names", func() {
		file := accessTo(nil, "{}").CredentialsFile
		Expect(gcsOptions(accessTo(map[string]string{"credentialsFile": file}, ""))).To(HaveField("CredentialsFile", file))
	})
})

var _ = Describe("Each setting", func() {
	// options are those of a provider, whatever their type.
	options := func(provider string, access Access) (any, error) {
		switch provider {
		case settings.AWS:
			return s3Options(access)
		case settings.Azure:
			return azureOptions(access)
		case settings.GCP:
			return gcsOptions(access)
		}
		return access.setting(settings.FilesystemPath), nil
	}

	var entries []TableEntry
	for _, provider := range settings.Providers() {
		for _, setting := range settings.Of(provider) {
			entries = append(entries, Entry(provider+" "+setting.Name, provider, setting))
		}
	}

	DescribeTable("changes how data is stored, unless it is known not to", func(provider string, setting settings.Setting) {
		GinkgoT().Setenv("AZURE_STORAGE_ACCOUNT_ACCESS_KEY", "k")
		GinkgoT().Setenv("AZURE_STORAGE_SAS_TOKEN", "sv=x")
		value := setting.Example
		if setting.Name == settings.CredentialsFile {
			value = accessTo(nil, "AZURE_TENANT_ID=t").CredentialsFile
		}
		without, err := options(provider, accessTo(nil, ""))
		Expect(err).NotTo(HaveOccurred())
		with, err := options(provider, accessTo(map[string]string{setting.Name: value}, ""))
		Expect(err).NotTo(HaveOccurred())
		if setting.Elsewhere == "" {
			Expect(with).NotTo(Equal(without))
		} else {
			Expect(with).To(Equal(without))
		}
	}, entries)

	It("has a provider that is served", func() {
		Expect(slices.Sorted(maps.Keys(openers))).To(Equal(settings.Providers()))
	})
})
