package store

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/kopia/kopia/repo/blob/azure"
	"github.com/kopia/kopia/repo/blob/gcs"
	"github.com/kopia/kopia/repo/blob/s3"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
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
	DescribeTable("follow the location", func(config map[string]string, change func(*s3.Options)) {
		want := &s3.Options{BucketName: "bucket", Prefix: "a/b/kopia/shop/"}
		change(want)
		Expect(s3Options(accessTo(config, ""))).To(Equal(want))
	},
		Entry("of AWS", map[string]string{"region": "eu-west-1"}, func(o *s3.Options) { o.Region = "eu-west-1" }),
		Entry("over HTTP", map[string]string{"s3Url": "http://minio:9000/", "region": "r"},
			func(o *s3.Options) { o.Endpoint, o.DoNotUseTLS, o.Region = "minio:9000", true, "r" }),
		Entry("over HTTPS", map[string]string{"s3Url": "https://minio.example.com", "insecureSkipTLSVerify": "true"},
			func(o *s3.Options) { o.Endpoint, o.DoNotVerifyTLS = "minio.example.com", true }),
		Entry("whatever else the plugin knows", map[string]string{
			"s3ForcePathStyle": "true", "publicUrl": "https://x", "kmsKeyId": "k", "checksumAlgorithm": "CRC32",
		}, func(*s3.Options) {}),
	)

	DescribeTable("reject an s3Url", func(value, text string) {
		_, err := s3Options(accessTo(map[string]string{"s3Url": value}, ""))
		Expect(err).To(MatchError(And(ContainSubstring("config.s3Url"), ContainSubstring(text), Not(ContainSubstring("secret")))))
	},
		Entry("without a scheme", "minio:9000", "must be http://HOST"),
		Entry("of another scheme", "ftp://minio", "must be http://HOST"),
		Entry("with a path", "https://minio/path", "must not have a path or query, found https://minio/path"),
		Entry("with a query", "https://minio?token=secret", "must not have a path or query"),
		Entry("with a password", "https://user:secret@minio", "must not hold a user name or password"),
		Entry("that is none", "https://[", "is not a URL"),
	)

	DescribeTable("find the region of a bucket", func(status int, region, expected, text string) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead || r.URL.Path != "/bucket" {
				status = http.StatusBadRequest
			}
			w.Header().Set("X-Amz-Bucket-Region", region)
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
		}))
		DeferCleanup(server.Close)
		found, err := bucketRegion(context.Background(), server.URL, "bucket")
		if text != "" {
			Expect(err).To(MatchError(ContainSubstring(text)))
			return
		}
		Expect(found, err).To(Equal(expected))
	},
		Entry("that may be read", http.StatusOK, "eu-west-1", "eu-west-1", ""),
		Entry("that may not", http.StatusForbidden, "eu-west-1", "eu-west-1", ""),
		Entry("that is elsewhere", http.StatusMovedPermanently, "eu-west-1", "eu-west-1", ""),
		Entry("that does not exist", http.StatusNotFound, "", "", `bucket "bucket" does not exist`),
		Entry("of a store that does not say", http.StatusOK, "", "", "set config.region"),
	)
})

var _ = Describe("A file of profiles", func() {
	const keys = "aws_access_key_id = AKID\naws_secret_access_key = a#b;c%(d)s\\\n"

	BeforeEach(func() { without("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE") })

	DescribeTable("gives the keys", func(content, profile, token string) {
		found, err := s3Credentials(accessTo(map[string]string{"profile": profile}, content), "")
		Expect(err).NotTo(HaveOccurred())
		value, err := found.GetWithContext(nil)
		Expect(err).NotTo(HaveOccurred())
		Expect([]string{value.AccessKeyID, value.SecretAccessKey, value.SessionToken}).To(
			Equal([]string{"AKID", `a#b;c%(d)s\`, token}))
	},
		Entry("of the default", "[default]\n"+keys, "", ""),
		Entry("of a profile", "[default]\nx=y\n[mine]\n"+keys+"aws_session_token=T\n", "mine", "T"),
		Entry("of a profile in a configuration", "[profile mine]\n"+keys, "mine", ""),
	)

	DescribeTable("is rejected", func(content, profile, text string) {
		_, err := s3Credentials(accessTo(map[string]string{"profile": profile}, content), "")
		Expect(err).To(MatchError(And(ContainSubstring(text), Not(ContainSubstring("a#b")))))
	},
		Entry("without the profile", "[a]\n"+keys+"[b]\n", "c", `profile "c" does not exist (found: a, b)`),
		Entry("without keys", "[default]\naws_access_key_id=AKID\n", "", "neither aws_access_key_id with aws_secret_access_key nor role_arn is set"),
		Entry("with a role alone", "[default]\nrole_arn=r\n"+keys, "", "role_arn needs web_identity_token_file or source_profile"),
		Entry("with a role of a profile that does not exist", "[default]\nrole_arn=r\nsource_profile=x\n", "", `source_profile: profile "x" does not exist`),
		Entry("with a chain of roles", "[default]\nrole_arn=r\nsource_profile=b\n[b]\nrole_arn=s\n", "", "a chain of roles is not supported"),
		Entry("with a section that does not end", "[default\n"+keys, "", "is not a file of profiles"),
	)

	DescribeTable("names the token service", func(region, endpoint string) {
		without("AWS_ENDPOINT_URL_STS")
		Expect(stsEndpoint(region)).To(Equal(endpoint))
	},
		Entry(nil, "", "https://sts.amazonaws.com"),
		Entry(nil, "eu-west-1", "https://sts.eu-west-1.amazonaws.com"),
		Entry(nil, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
	)
})

var _ = Describe("Options of Azure", func() {
	const application = "AZURE_TENANT_ID=tenant\nAZURE_CLIENT_ID=client\n"

	BeforeEach(func() {
		without("AZURE_CREDENTIALS_FILE", "AZURE_CLOUD_NAME", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
			"AZURE_CLIENT_CERTIFICATE", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")
	})

	settings := func(more map[string]string) map[string]string {
		result := map[string]string{"storageAccount": "acct"}
		maps.Copy(result, more)
		return result
	}

	DescribeTable("follow the location and its credentials", func(config map[string]string, content string, change func(*azure.Options)) {
		want := &azure.Options{
			Container: "bucket", Prefix: "a/b/kopia/shop/", StorageAccount: "acct", StorageDomain: "blob.core.windows.net",
		}
		change(want)
		Expect(azureOptions(accessTo(settings(config), content))).To(Equal(want))
	},
		Entry("with an account key", map[string]string{"storageAccountKeyEnvVar": "KEY"},
			"# comment\n\n  KEY = 'k=='\nAZURE_CLOUD_NAME=AzureUSGovernmentCloud\n",
			func(o *azure.Options) { o.StorageKey, o.StorageDomain = "k==", "blob.core.usgovcloudapi.net" }),
		Entry("with a secret", nil, application+"export AZURE_CLIENT_SECRET=\"s\"\n",
			func(o *azure.Options) { o.TenantID, o.ClientID, o.ClientSecret = "tenant", "client", "s" }),
		Entry("with a web identity", nil, application+"AZURE_FEDERATED_TOKEN_FILE=/token\n",
			func(o *azure.Options) {
				o.TenantID, o.ClientID, o.AzureFederatedTokenFile = "tenant", "client", "/token"
			}),
		Entry("at another address", map[string]string{"storageAccountURI": "http://acct.blob.example.com/", "storageAccountKeyEnvVar": "KEY"},
			"KEY=k", func(o *azure.Options) { o.StorageKey, o.StorageDomain, o.DoNotUseTLS = "k", "blob.example.com", true }),
	)

	DescribeTable("are rejected", func(config map[string]string, content, text string) {
		_, err := azureOptions(accessTo(settings(config), content))
		Expect(err).To(MatchError(And(ContainSubstring(text), Not(ContainSubstring("s3cr3t")))))
	},
		Entry("without an account", map[string]string{"storageAccount": ""}, "", "config.storageAccount is empty"),
		Entry("without credentials", nil, "", "neither a storage account key"),
		Entry("without a proof of identity", nil, application, "none of AZURE_CLIENT_SECRET"),
		Entry("without the account key", map[string]string{"storageAccountKeyEnvVar": "KEY"}, "OTHER=s3cr3t", "names KEY, which is not in the credentials"),
		Entry("with a line of another form", nil, "A=b\ns3cr3t\n", "line 2 is not of the form KEY=VALUE"),
		Entry("with an unknown cloud", nil, "AZURE_CLOUD_NAME=Sky\n", `AZURE_CLOUD_NAME "Sky" is not known`),
		Entry("with the address of another account", map[string]string{"storageAccountURI": "https://x.blob.example.com?sig=s3cr3t"}, "",
			"config.storageAccountURI must be https://acct.<domain>, found https://x.blob.example.com"),
		Entry("with a certificate that is missing", nil, application+"AZURE_CLIENT_CERTIFICATE_PATH=/does/not/exist\n", "read the client certificate"),
	)
})

var _ = Describe("Options of Google Cloud Storage", func() {
	BeforeEach(func() { without("GOOGLE_APPLICATION_CREDENTIALS") })

	It("follow the location", func() {
		access := accessTo(nil, "{}")
		Expect(gcsOptions(access)).To(Equal(&gcs.Options{
			BucketName: "bucket", Prefix: "a/b/kopia/shop/", ServiceAccountCredentialsFile: access.CredentialsFile,
		}))
	})

	It("leave the credentials to the environment", func() {
		Expect(gcsOptions(accessTo(nil, ""))).To(HaveField("ServiceAccountCredentialsFile", BeEmpty()))
	})

	It("take the file that the location names", func() {
		file := accessTo(nil, "{}").CredentialsFile
		Expect(gcsOptions(accessTo(map[string]string{"credentialsFile": file}, ""))).To(HaveField("ServiceAccountCredentialsFile", file))
	})
})

var _ = Describe("A provider", func() {
	DescribeTable("is known", func(provider string, config map[string]string, known bool) {
		access := accessTo(config, "")
		access.Location.Spec.Provider = provider
		_, err := openerFor(access)
		Expect(err == nil).To(Equal(known))
	},
		Entry(nil, "aws", nil, true), Entry(nil, "velero.io/aws", nil, true), Entry(nil, "azure", nil, true),
		Entry(nil, "gcp", nil, true), Entry(nil, "velero.io/fs", nil, true),
		Entry(nil, "ceph.example.com/rgw", map[string]string{"s3Url": "http://rgw"}, true),
		Entry(nil, "ceph.example.com/rgw", nil, false), Entry(nil, "", nil, false),
	)
})
