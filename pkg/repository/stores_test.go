package repository_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

const (
	bucket    = "backups"
	prefix    = "some/prefix"
	namespace = "shop"
	pvc       = "data"
	password  = "correct horse"

	accessKey = "AKIDEXAMPLE"
	secretKey = "wJalrXUtnFEMI#K7MDENG;bPxRfiCYEXAMPLEKEY"
)

// anyStore is a place for repositories.
type anyStore interface {
	// access is the way to the repository of a namespace, with a state directory of its own.
	access(namespace string) repository.Access
	// blobs are the names of the blobs below the repository of a namespace.
	blobs(namespace string) []string
	// read reads a blob.
	read(namespace, name string) []byte
	// remove removes a blob.
	remove(namespace, name string)
}

// newStore makes the kind of store that an entry of a table names.
func newStore(kind string) anyStore {
	GinkgoHelper()
	switch kind {
	case "a directory":
		return &directoryStore{dir: GinkgoT().TempDir()}
	case "S3 over HTTP":
		return newS3Store()
	}
	Fail("unknown store " + kind)
	return nil
}

func newAccess(location *velerov1.BackupStorageLocation, namespace string) repository.Access {
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	log.SetLevel(logrus.InfoLevel)
	return repository.Access{
		Access:   store.Access{Location: location, VolumeNamespace: namespace},
		Password: password,
		StateDir: filepath.Join(GinkgoT().TempDir(), "state"),
		Log:      log,
	}
}

func newLocation(provider string, config map[string]string) *velerov1.BackupStorageLocation {
	return &velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "default"},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider:    provider,
			Config:      config,
			StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: bucket, Prefix: prefix}},
		},
	}
}

type directoryStore struct{ dir string }

func (s *directoryStore) access(namespace string) repository.Access {
	return newAccess(newLocation("velero.io/fs", map[string]string{"fspath": s.dir}), namespace)
}

func (s *directoryStore) root(namespace string) string {
	return filepath.Join(s.dir, prefix, "kopia", namespace)
}

// path finds the file of a blob, in whichever shard it is.
func (s *directoryStore) path(namespace, name string) string {
	var found string
	Expect(filepath.Walk(s.root(namespace), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && s.name(namespace, path) == name {
			found = path
		}
		return err
	})).To(Succeed())
	Expect(found).NotTo(BeEmpty(), "blob %s", name)
	return found
}

func (s *directoryStore) name(namespace, path string) string {
	relative, err := filepath.Rel(s.root(namespace), path)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSuffix(strings.ReplaceAll(relative, "/", ""), ".f")
}

func (s *directoryStore) blobs(namespace string) []string {
	var result []string
	Expect(filepath.Walk(s.root(namespace), func(path string, _ os.FileInfo, err error) error {
		if err == nil && strings.HasSuffix(path, ".f") {
			result = append(result, s.name(namespace, path))
		}
		return err
	})).To(Succeed())
	return result
}

func (s *directoryStore) read(namespace, name string) []byte {
	content, err := os.ReadFile(s.path(namespace, name))
	Expect(err).NotTo(HaveOccurred())
	return content
}

func (s *directoryStore) remove(namespace, name string) {
	Expect(os.Remove(s.path(namespace, name))).To(Succeed())
}

// s3Store is an S3 server. Requests pass a hook, which may answer in its place.
type s3Store struct {
	backend *s3mem.Backend
	server  *httptest.Server
	hook    atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func newS3Store() *s3Store {
	GinkgoHelper()
	result := &s3Store{backend: s3mem.New()}
	Expect(result.backend.CreateBucket(bucket)).To(Succeed())
	fake := gofakes3.New(result.backend).Server()
	result.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hook := result.hook.Load(); hook != nil && (*hook)(w, r) {
			return
		}
		fake.ServeHTTP(w, r)
	}))
	DeferCleanup(result.server.Close)
	return result
}

// intercept installs a hook, which returns true for a request that it has answered.
func (s *s3Store) intercept(hook func(http.ResponseWriter, *http.Request) bool) { s.hook.Store(&hook) }

func newS3Location(url string) *velerov1.BackupStorageLocation {
	return newLocation("aws", map[string]string{"region": "us-east-1", "s3Url": url, "s3ForcePathStyle": "true"})
}

func (s *s3Store) access(namespace string) repository.Access {
	result := newAccess(newS3Location(s.server.URL), namespace)
	result.CredentialsFile = writeFile("[default]\naws_access_key_id = " + accessKey + "\naws_secret_access_key=" + secretKey + "\n")
	return result
}

func (s *s3Store) key(namespace, name string) string {
	return prefix + "/kopia/" + namespace + "/" + name
}

func (s *s3Store) blobs(namespace string) []string {
	root := s.key(namespace, "")
	list, err := s.backend.ListBucket(bucket, &gofakes3.Prefix{HasPrefix: true, Prefix: root}, gofakes3.ListBucketPage{})
	Expect(err).NotTo(HaveOccurred())
	var result []string
	for _, object := range list.Contents {
		result = append(result, strings.TrimPrefix(object.Key, root))
	}
	return result
}

func (s *s3Store) read(namespace, name string) []byte {
	object, err := s.backend.GetObject(bucket, s.key(namespace, name), nil)
	Expect(err).NotTo(HaveOccurred())
	defer object.Contents.Close()
	content, err := io.ReadAll(object.Contents)
	Expect(err).NotTo(HaveOccurred())
	return content
}

// write writes a blob that holds little.
func (s *s3Store) write(namespace, name string) {
	meta := map[string]string{"Last-Modified": time.Now().UTC().Format(http.TimeFormat)}
	_, err := s.backend.PutObject(bucket, s.key(namespace, name), meta, strings.NewReader("{}"), 2, nil)
	Expect(err).NotTo(HaveOccurred())
}

func (s *s3Store) remove(namespace, name string) {
	_, err := s.backend.DeleteObject(bucket, s.key(namespace, name))
	Expect(err).NotTo(HaveOccurred())
}

// answerS3 answers with an error as an S3 server words it.
func answerS3(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, err := io.WriteString(w, "<Error><Code>"+code+"</Code><Message>"+message+"</Message></Error>")
	return err == nil
}

// writeFile puts text into a file of its own and returns its path.
func writeFile(text string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "file")
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	return path
}

// open initialises and opens a repository, and closes it at the end of the spec.
func open(ctx context.Context, access repository.Access) *repository.Repository {
	GinkgoHelper()
	initialize(ctx, access)
	result, err := repository.Open(ctx, access)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) { Expect(result.Close(ctx)).To(Succeed()) })
	return result
}

// template is a directory with a fresh repository. Each time that Kopia derives a key it takes a quarter of a second,
// which copies save.
var template = sync.OnceValue(func() string {
	store := &directoryStore{dir: suiteDir}
	Expect(repository.Initialize(context.Background(), store.access(namespace))).To(Succeed())
	return store.root(namespace)
})

// initialize makes a repository, unless there is one.
func initialize(ctx context.Context, access repository.Access) {
	GinkgoHelper()
	directory := access.Location.Spec.Config["fspath"]
	if directory == "" {
		Expect(repository.Initialize(ctx, access)).To(Succeed())
		return
	}
	root := (&directoryStore{dir: directory}).root(access.VolumeNamespace)
	if _, err := os.Stat(root); os.IsNotExist(err) {
		Expect(os.CopyFS(root, os.DirFS(template()))).To(Succeed())
	}
}
