package gcs

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/store/storetest"
)

const bucket = "backups"

// google is what Google does of what is needed here: objects and tokens. It keeps what was said of each new object.
type google struct {
	server *httptest.Server

	mu       sync.Mutex
	objects  map[string]string
	metadata []map[string]any
	tokens   []string
}

func newGoogle() *google {
	result := &google{objects: map[string]string{}}
	result.server = storetest.Serve(result)
	return result
}

// options are those of the bucket. The endpoint, and the certificates of the location, are the server's.
func (g *google) options() Options {
	return Options{
		Bucket: bucket, Prefix: "p/", Endpoint: g.server.URL + "/storage/v1/",
		RootCA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw}),
	}
}

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = append(g.tokens, r.Header.Get("Authorization"))
	const objects = "/storage/v1/b/" + bucket + "/o"
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, objects+"/"), "/"+bucket+"/")
	data, found := g.objects[name]
	switch {
	case strings.HasPrefix(r.URL.Path, "/upload"+objects):
		g.upload(w, r)
	case r.URL.Path == objects:
		g.list(w, r.URL.Query().Get("prefix"))
	case !found:
		http.Error(w, `{"error":{"code":404,"message":"No such object"}}`, http.StatusNotFound)
	case r.Method == http.MethodDelete:
		delete(g.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case strings.HasPrefix(r.URL.Path, objects):
		g.answer(w, object(name, data))
	default:
		http.ServeContent(w, r, "", time.Now(), strings.NewReader(data))
	}
}

func (g *google) upload(w http.ResponseWriter, r *http.Request) {
	_, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	Expect(err).NotTo(HaveOccurred())
	parts := multipart.NewReader(r.Body, parameters["boundary"])
	part, err := parts.NextPart()
	Expect(err).NotTo(HaveOccurred())
	said := map[string]any{}
	Expect(json.NewDecoder(part).Decode(&said)).To(Succeed())
	said["kmsKeyName"] = r.URL.Query().Get("kmsKeyName")
	g.metadata = append(g.metadata, said)
	part, err = parts.NextPart()
	Expect(err).NotTo(HaveOccurred())
	data, err := io.ReadAll(part)
	Expect(err).NotTo(HaveOccurred())
	name, _ := said["name"].(string)
	g.objects[name] = string(data)
	g.answer(w, object(name, string(data)))
}

func (g *google) list(w http.ResponseWriter, prefix string) {
	var items []map[string]string
	for name, data := range g.objects {
		if strings.HasPrefix(name, prefix) {
			items = append(items, object(name, data))
		}
	}
	slices.SortFunc(items, func(a, b map[string]string) int { return strings.Compare(a["name"], b["name"]) })
	g.answer(w, map[string]any{"items": items})
}

func object(name, data string) map[string]string {
	now := time.Now().UTC().Format(time.RFC3339)
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(data), crc32.MakeTable(crc32.Castagnoli)))
	return map[string]string{
		"crc32c": base64.StdEncoding.EncodeToString(sum),
		"name":   name, "bucket": bucket, "size": fmt.Sprint(len(data)), "updated": now, "timeCreated": now,
	}
}

func (*google) answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	Expect(json.NewEncoder(w).Encode(body)).To(Succeed())
}

// tokenService gives out a token.
func tokenService() string {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		storetest.Answer(w, `{"access_token":"token of %s","expires_in":3600,"token_type":"Bearer",`+
			`"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`, r.FormValue("grant_type"))
	}))
	DeferCleanup(service.Close)
	return service.URL
}

// serviceAccount is a key of a service account.
func serviceAccount() map[string]any {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.MarshalPKCS8PrivateKey(key)
	Expect(err).NotTo(HaveOccurred())
	return map[string]any{
		"type": "service_account", "client_email": "me@project", "private_key_id": "1", "token_uri": tokenService(),
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
}

// federated is what lets a workload of another cloud in.
func federated() map[string]any {
	return map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/x", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url": tokenService(), "credential_source": map[string]any{"file": writeFile("token")},
	}
}

func writeFile(text string) string {
	path := filepath.Join(GinkgoT().TempDir(), "file")
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	return path
}

func inJSON(value any) string {
	content, err := json.Marshal(value)
	Expect(err).NotTo(HaveOccurred())
	return writeFile(string(content))
}

var _ = Describe("A bucket of Google", func() {
	BeforeEach(func() { GinkgoT().Setenv("GOOGLE_APPLICATION_CREDENTIALS", "") })

	DescribeTable("keeps blobs", func(ctx context.Context, credentials func() map[string]any, token string) {
		google := newGoogle()
		options := google.options()
		options.CredentialsFile = inJSON(credentials())
		storage, err := New(ctx, options)
		Expect(err).NotTo(HaveOccurred())
		storetest.KeepsBlobs(ctx, storage)
		Expect(google.objects).To(HaveKey("p/other"))
		Expect(google.tokens).To(HaveEach("Bearer token of " + token))
	},
		Entry("with the key of a service account", serviceAccount, "urn:ietf:params:oauth:grant-type:jwt-bearer"),
		Entry("with a federated identity", federated, "urn:ietf:params:oauth:grant-type:token-exchange"),
	)

	It("takes the credentials that Google's libraries find", func(ctx context.Context) {
		GinkgoT().Setenv("GOOGLE_APPLICATION_CREDENTIALS", inJSON(serviceAccount()))
		_, err := New(ctx, newGoogle().options())
		Expect(err).NotTo(HaveOccurred())
	})

	It("encrypts with the key of the location", func(ctx context.Context) {
		const key = "projects/P/locations/L/keyRings/R/cryptoKeys/K"
		google := newGoogle()
		options := google.options()
		options.CredentialsFile, options.KMSKey = inJSON(serviceAccount()), key
		storage, err := New(ctx, options)
		Expect(err).NotTo(HaveOccurred())
		Expect(storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(Succeed())
		Expect(google.metadata).To(ConsistOf(HaveKeyWithValue("kmsKeyName", key)))
	})

	DescribeTable("cannot be opened with credentials", func(ctx context.Context, content, text string) {
		options := newGoogle().options()
		options.CredentialsFile = writeFile(content)
		_, err := New(ctx, options)
		Expect(err).To(MatchError(And(ContainSubstring(text), Not(ContainSubstring("s3cr3t")))))
	},
		Entry("that are not in JSON", "s3cr3t", "is not in JSON"),
		Entry("of an unknown kind", `{"type":"gdch"}`, `type "gdch" is not known`),
	)
})
