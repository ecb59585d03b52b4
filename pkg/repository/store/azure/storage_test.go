package azure

import (
	"context"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/store/storetest"
)

var _ = Describe("A container", func() {
	BeforeEach(func() {
		for _, variable := range os.Environ() {
			if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "IDENTITY_") {
				GinkgoT().Setenv(name, "")
			}
		}
	})

	application := Identity{Tenant: "tenant", Client: "client", Secret: "s"}

	DescribeTable("keeps blobs", func(ctx context.Context, change func(*Options), authorization string, hosts ...string) {
		cloud := newCloud()
		storage, err := cloud.open(ctx, change)
		Expect(err).NotTo(HaveOccurred())
		storetest.KeepsBlobs(ctx, storage)
		Expect(cloud.blobs).To(HaveKey("p/other"))
		Expect(cloud.hosts()).To(Equal(hosts))
		Expect(cloud.authorization(hosts[len(hosts)-1])).To(HavePrefix(authorization))
	},
		Entry("with the key of the account", func(o *Options) { o.Key = accountKey }, "SharedKey acct:", "acct.blob.core.windows.net"),
		Entry("with a token for the container", func(o *Options) { o.SharedAccess = "?sv=2024-01-01&sig=x" }, "", "acct.blob.core.windows.net"),
		Entry("in China", func(o *Options) { o.Key, o.Cloud = accountKey, "AzureChinaCloud" }, "SharedKey acct:", "acct.blob.core.chinacloudapi.cn"),
		Entry("at another address", func(o *Options) { o.Key, o.Endpoint = accountKey, "https://acct.z1.blob.storage.azure.net/" },
			"SharedKey acct:", "acct.z1.blob.storage.azure.net"),
		Entry("without TLS", func(o *Options) { o.Key, o.Endpoint = accountKey, "http://azurite:10000" }, "SharedKey acct:", "azurite:10000"),
		Entry("with the key that an application may read", func(o *Options) {
			o.Identity, o.Subscription, o.ResourceGroup = application, "sub", "group"
		}, "SharedKey acct:", "login.microsoftonline.com", "management.azure.com", "acct.z17.blob.storage.azure.net"),
		Entry("with the key that the node's identity may read", func(o *Options) { o.Subscription, o.ResourceGroup = "sub", "group" },
			"SharedKey acct:", "169.254.169.254", "management.azure.com", "acct.z17.blob.storage.azure.net"),
		Entry("as an application", func(o *Options) { o.Identity, o.AsIdentity = application, true },
			"Bearer of-the-application", "login.microsoftonline.com", "acct.blob.core.windows.net"),
		Entry("as an application of another authority", func(o *Options) {
			o.Identity, o.AsIdentity, o.Authority = application, true, "https://login.microsoftonline.us/"
		}, "Bearer of-the-application", "login.microsoftonline.us", "acct.blob.core.windows.net"),
		Entry("as a workload", func(o *Options) {
			file := filepath.Join(GinkgoT().TempDir(), "token")
			Expect(os.WriteFile(file, []byte("token"), 0o600)).To(Succeed())
			o.Identity, o.AsIdentity = Identity{Tenant: "tenant", Client: "client", TokenFile: file}, true
		}, "Bearer of-the-application", "login.microsoftonline.com", "acct.blob.core.windows.net"),
		Entry("as the node", func(o *Options) { o.AsIdentity = true }, "Bearer of-the-node", "169.254.169.254", "acct.blob.core.windows.net"),
	)

	It("is spoken to in the version that the location names", func(ctx context.Context) {
		cloud := newCloud()
		_, err := cloud.open(ctx, func(o *Options) { o.Key, o.APIVersion = accountKey, "2019-12-12" })
		Expect(err).NotTo(HaveOccurred())
		Expect(cloud.requests[0].Header.Get("X-Ms-Version")).To(Equal("2019-12-12"))
	})

	DescribeTable("cannot be opened", func(ctx context.Context, change func(*Options), text string) {
		_, err := newCloud().open(ctx, change)
		Expect(err).To(MatchError(And(ContainSubstring(text), Not(ContainSubstring("s3cr3t")), Not(ContainSubstring("\n")))))
	},
		Entry("without an account", func(o *Options) { o.Account = "" }, "config.storageAccount is empty"),
		Entry("without a key, an identity or a place to read the key", func(*Options) {},
			"to read the key of the account config.subscriptionId (or AZURE_SUBSCRIPTION_ID) and config.resourceGroup (or AZURE_RESOURCE_GROUP) is missing"),
		Entry("without a group", func(o *Options) { o.Subscription = "sub" }, "to read the key of the account config.resourceGroup (or AZURE_RESOURCE_GROUP) is missing"),
		Entry("with another group", func(o *Options) { o.Subscription, o.ResourceGroup = "sub", "other" },
			`read the key of storage account "acct": ResourceNotFound (404)`),
		Entry("without a tenant", func(o *Options) { o.AsIdentity, o.Identity = true, Identity{Client: "c", Secret: "s3cr3t"} }, "no AZURE_TENANT_ID"),
		Entry("without a client", func(o *Options) { o.AsIdentity, o.Identity = true, Identity{Tenant: "t", TokenFile: "/token"} }, "no AZURE_CLIENT_ID"),
		Entry("with a person", func(o *Options) { o.AsIdentity, o.Identity = true, Identity{Tenant: "t", Client: "c", User: "me"} }, "AZURE_USERNAME is not supported"),
		Entry("with a certificate that is missing", func(o *Options) {
			o.AsIdentity, o.Identity = true, Identity{Tenant: "t", Client: "c", CertificateFile: "/does/not/exist"}
		}, "read the client certificate: open /does/not/exist"),
		Entry("with a key that is none", func(o *Options) { o.Key = "s3cr3t!" }, "the key of the storage account is not in base64"),
		Entry("in an unknown cloud", func(o *Options) { o.Cloud = "Sky" }, `AZURE_CLOUD_NAME "Sky" is not known`),
		Entry("with an address that is none", func(o *Options) { o.Endpoint = "https://x?sig=s3cr3t" }, "config.storageAccountURI must be https://HOST"),
		Entry("that does not exist", func(o *Options) { o.Key, o.Container = accountKey, "none" }, `list container "none": ContainerNotFound (404)`),
	)

	It("is verified with the location's certificates", func(ctx context.Context) {
		server := httptest.NewTLSServer(newCloud())
		DeferCleanup(server.Close)
		storage, err := New(ctx, Options{
			Container: contents, Account: account, Key: accountKey, Endpoint: server.URL,
			RootCA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		})
		Expect(err).NotTo(HaveOccurred())
		storetest.KeepsBlobs(ctx, storage)
	})
})
