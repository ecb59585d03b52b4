package repository_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

var _ = Describe("An S3 store", func() {
	DescribeTable("over HTTPS", func(ctx context.Context, prepare func(*repository.Access, []byte), expected OmegaMatcher) {
		store := newS3Store()
		server := httptest.NewTLSServer(store.server.Config.Handler)
		DeferCleanup(server.Close)
		access := store.access(namespace)
		access.Location.Spec.Config["s3Url"] = server.URL
		prepare(&access, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		Expect(repository.Initialize(ctx, access)).To(expected)
	},
		Entry("is verified", func(*repository.Access, []byte) {}, MatchError(ContainSubstring("certificate"))),
		Entry("is verified with the location's certificates", func(a *repository.Access, ca []byte) { a.CACert = ca }, Succeed()),
		Entry("rejects what is no certificate", func(a *repository.Access, _ []byte) { a.CACert = []byte("nonsense") },
			MatchError(ContainSubstring("cannot parse provided CA"))),
		Entry("is not verified if the location says so", func(a *repository.Access, _ []byte) {
			a.Location.Spec.Config["insecureSkipTLSVerify"] = "true"
		}, Succeed()),
	)

	Context("with a role", func() {
		var (
			store *s3Store
			mu    sync.Mutex
			used  map[string]bool
		)

		BeforeEach(func() {
			// The token service gives keys that have always expired already, and never the same.
			var issued int
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				issued++
				action := r.FormValue("Action")
				_, err := fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>`+
					`<Credentials><AccessKeyId>ISSUED%[2]d</AccessKeyId><SecretAccessKey>%[3]s</SecretAccessKey><SessionToken>%[4]s</SessionToken><Expiration>%[5]s</Expiration>`+
					`</Credentials></%[1]sResult></%[1]sResponse>`, action, issued, secretKey, r.FormValue("RoleArn"),
					time.Now().Add(-time.Second).UTC().Format(time.RFC3339))
				Expect(err).NotTo(HaveOccurred())
			}))
			DeferCleanup(service.Close)
			GinkgoT().Setenv("AWS_ENDPOINT_URL_STS", service.URL)

			store, used = newS3Store(), map[string]bool{}
			key := regexp.MustCompile(`Credential=(\w+)/`)
			store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				Expect(r.Header.Get("X-Amz-Security-Token")).To(Equal("arn:aws:iam::1:role/mover"))
				if found := key.FindStringSubmatch(r.Header.Get("Authorization")); found != nil {
					mu.Lock()
					defer mu.Unlock()
					used[found[1]] = true
				}
				return false
			})
		})

		DescribeTable("renews its keys", func(ctx context.Context, profile func() string) {
			access := store.access(namespace)
			access.CredentialsFile = writeFile(profile())
			access.Location.Spec.Config["profile"] = "mover"
			repo := open(ctx, access)
			_, err := upload.Run(ctx, repo, request(GinkgoT().TempDir()))
			Expect(err).NotTo(HaveOccurred())
			mu.Lock()
			defer mu.Unlock()
			Expect(len(used)).To(BeNumerically(">", 3))
		},
			Entry("of a web identity", func() string {
				return "[mover]\nrole_arn=arn:aws:iam::1:role/mover\nweb_identity_token_file=" + writeFile("token")
			}),
			Entry("of another profile", func() string {
				return "[profile mover]\nrole_arn=arn:aws:iam::1:role/mover\nsource_profile=default\n" +
					"[default]\naws_access_key_id=" + accessKey + "\naws_secret_access_key=" + secretKey
			}),
		)
	})

	It("takes keys from the environment", func(ctx context.Context) {
		GinkgoT().Setenv("AWS_SHARED_CREDENTIALS_FILE", "/does/not/exist")
		GinkgoT().Setenv("AWS_ACCESS_KEY_ID", accessKey)
		GinkgoT().Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
		access := newS3Store().access(namespace)
		access.CredentialsFile = ""
		Expect(repository.Initialize(ctx, access)).To(Succeed())
	})

	It("takes keys from the file that the environment names", func(ctx context.Context) {
		access := newS3Store().access(namespace)
		GinkgoT().Setenv("AWS_SHARED_CREDENTIALS_FILE", access.CredentialsFile)
		access.CredentialsFile = ""
		Expect(repository.Initialize(ctx, access)).To(Succeed())
		Expect(os.Remove(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"))).To(Succeed())
	})
})
