package repository_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"google.golang.org/api/googleapi"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// answer is what the client of S3 makes of an answer.
func answer(status int, code string) error {
	return &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: &smithy.GenericAPIError{Code: code},
	}
}

// beSafe says that an error is one line without anything secret.
func beSafe() OmegaMatcher {
	return MatchError(And(
		Not(ContainSubstring(secretKey)), Not(ContainSubstring(password)), Not(ContainSubstring("\n")), Not(BeEmpty())))
}

var _ = Describe("A repository that cannot be used", func() {
	DescribeTable("is told apart", func(ctx context.Context, kind string) {
		store := newStore(kind)
		access := store.access(namespace)
		_, err := repository.Open(ctx, access)
		Expect(err).To(And(MatchError(failure.ErrNotInitialized), beSafe()))

		Expect(repository.Initialize(ctx, access)).To(Succeed())
		access.Password = "wrong"
		_, err = repository.Open(ctx, access)
		Expect(err).To(And(MatchError(failure.ErrWrongPassword), beSafe()))
		Expect(repository.Initialize(ctx, access)).To(And(MatchError(failure.ErrWrongPassword), beSafe()))

		By("and so is one that is gone, although there is a cache of it")
		access.Password = password
		store.remove(namespace, "kopia.repository")
		_, err = repository.Open(ctx, access)
		Expect(err).To(MatchError(failure.ErrNotInitialized))
	}, Entry(nil, "a directory"), Entry(nil, "S3 over HTTP"))

	DescribeTable("says why", func(ctx context.Context, prepare func(*repository.Access), text string) {
		access := newS3Store().access(namespace)
		prepare(&access)
		_, err := repository.Open(ctx, access)
		Expect(err).To(And(MatchError(ContainSubstring(text)), beSafe()))
		Expect(err).NotTo(MatchError(failure.ErrNotInitialized))
		Expect(repository.Initialize(ctx, access)).To(And(MatchError(ContainSubstring(text)), beSafe()))
	},
		Entry("no location", func(a *repository.Access) { a.Location = nil }, "needs a backup storage location"),
		Entry("no namespace", func(a *repository.Access) { a.VolumeNamespace = "" }, "needs a volume namespace"),
		Entry("no password", func(a *repository.Access) { a.Password = "" }, "needs a password"),
		Entry("no state directory", func(a *repository.Access) { a.StateDir = "" }, "needs a directory for its state"),
		Entry("no such bucket", func(a *repository.Access) { a.Location.Spec.ObjectStorage.Bucket = "nobody" },
			"the bucket does not exist"),
		Entry("unknown provider", func(a *repository.Access) {
			a.Location.Spec.Provider, a.Location.Spec.Config = "tape.example.com/lto", nil
		}, `storage provider "tape.example.com/lto" is not known (known: velero.io/aws, velero.io/azure, velero.io/fs, velero.io/gcp`),
		Entry("credentials file is missing", func(a *repository.Access) { a.CredentialsFile = "/does/not/exist" },
			"credentials file: stat /does/not/exist: no such file or directory"),
		Entry("directory that is not mounted", func(a *repository.Access) {
			a.Location.Spec.Provider, a.Location.Spec.Config = "velero.io/fs", map[string]string{"fspath": "/does/not/exist"}
		}, "directory /does/not/exist of the location is not available here"),
		Entry("directory without a path", func(a *repository.Access) {
			a.Location.Spec.Provider, a.Location.Spec.Config = "velero.io/fs", nil
		}, "config.fspath must be an absolute path"),
		Entry("directory that is a file", func(a *repository.Access) {
			a.Location.Spec.Provider, a.Location.Spec.Config = "velero.io/fs", map[string]string{"fspath": a.CredentialsFile}
		}, "config.fspath must be a directory"),
	)

	DescribeTable("says what the store answers", func(ctx context.Context, status int, code, text string, retryable bool) {
		store := newS3Store()
		store.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			return answerS3(w, status, code, "Sorry.")
		})
		_, err := repository.Open(ctx, store.access(namespace))
		Expect(err).To(And(MatchError(ContainSubstring(text)), MatchError(ContainSubstring("Sorry.")), beSafe()))
		Expect(failure.Retryable(err)).To(Equal(retryable))
	},
		Entry(nil, http.StatusForbidden, "InvalidAccessKeyId", "the store refuses the credentials", false),
		Entry(nil, http.StatusForbidden, "SignatureDoesNotMatch", "the store refuses the credentials", false),
		Entry(nil, http.StatusForbidden, "AccessDenied", "the store refuses access", false),
		Entry(nil, http.StatusInternalServerError, "InternalError", "the store fails", true),
		Entry(nil, http.StatusServiceUnavailable, "SlowDown", "the store asks to slow down", true),
	)

	DescribeTable("tells whether another attempt may come further", func(err error, want bool) {
		Expect(failure.Retryable(fmt.Errorf("upload volume: %w", err))).To(Equal(want))
	},
		Entry("a connection that breaks", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, true),
		Entry("an answer that breaks off", io.ErrUnexpectedEOF, true),
		Entry("a request that fails", &url.Error{Op: "Put", URL: "https://store", Err: io.EOF}, true),
		Entry("a name that is not found", &net.DNSError{Err: "no such host", Name: "store"}, true),
		Entry("a file server that is gone", &fs.PathError{Op: "write", Path: "p", Err: syscall.ESTALE}, true),
		Entry("no answer in time", context.DeadlineExceeded, true),
		Entry("S3: too many requests", answer(http.StatusTooManyRequests, ""), true),
		Entry("S3: a slow request", answer(http.StatusBadRequest, "RequestTimeout"), true),
		Entry("S3: bad gateway", answer(http.StatusBadGateway, ""), true),
		Entry("S3: no such bucket", answer(http.StatusNotFound, "NoSuchBucket"), false),
		Entry("S3: full", answer(http.StatusInsufficientStorage, "XMinioStorageFull"), false),
		Entry("Azure: busy", &azcore.ResponseError{StatusCode: http.StatusServiceUnavailable, ErrorCode: "ServerBusy"}, true),
		Entry("Azure: no such container", &azcore.ResponseError{StatusCode: http.StatusNotFound, ErrorCode: "ContainerNotFound"}, false),
		Entry("Google: too many requests", &googleapi.Error{Code: http.StatusTooManyRequests}, true),
		Entry("Google: unauthorized", &googleapi.Error{Code: http.StatusUnauthorized}, false),
		Entry("a certificate that is not trusted", &url.Error{
			Op: "Get", URL: "https://store", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		}, false),
		Entry("expired credentials", blob.ErrInvalidCredentials, false),
		Entry("a full disk", &fs.PathError{Op: "write", Path: "p", Err: syscall.ENOSPC}, false),
		Entry("a read-only disk", &fs.PathError{Op: "write", Path: "p", Err: syscall.EROFS}, false),
		Entry("a broken disk", &fs.PathError{Op: "read", Path: "p", Err: syscall.EIO}, false),
		Entry("an entry that cannot be read, whatever the reason", fmt.Errorf("%w: %w", &failure.EntryError{}, syscall.ETIMEDOUT), false),
		Entry("wrong password", failure.ErrWrongPassword, false),
		Entry("no repository", fmt.Errorf("%w: %w", failure.ErrNotInitialized, context.DeadlineExceeded), false),
		Entry("a read-only location", failure.ErrLocationReadOnly, false),
		Entry("a canceled upload", failure.ErrCanceled, false),
		Entry("anything else", errors.New("nobody knows"), false),
	)

	It("does not wait for a store that is not there", func(ctx context.Context) {
		store := newS3Store()
		access := store.access(namespace)
		store.server.Close()
		started := time.Now()
		_, err := repository.Open(ctx, access)
		Expect(err).To(And(MatchError(ContainSubstring("the store cannot be reached")), beSafe()))
		Expect(err).To(MatchError(ContainSubstring("connection refused")))
		Expect(failure.Retryable(err)).To(BeTrue())
		Expect(time.Since(started)).To(BeNumerically("<", time.Minute))
	})

	It("stops opening when it is told to", func(ctx context.Context) {
		canceled, cancel := context.WithCancel(ctx)
		store := newS3Store()
		store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			cancel()
			<-r.Context().Done()
			return true
		})
		_, err := repository.Open(canceled, store.access(namespace))
		Expect(err).To(And(MatchError(failure.ErrCanceled), beSafe()))
	})

	It("reports a store that takes no more data, and keeps nothing", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		put(volume, "file", randomBytes(1, 1<<20), 0o644)
		results := make(chan error)
		tryUpload := func(status int, code string) {
			defer GinkgoRecover()
			store := newS3Store()
			access := store.access(namespace)
			repo := open(ctx, access)
			store.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPut && answerS3(w, status, code, "Sorry.")
			})
			_, err := upload.Run(ctx, repo, request(volume))
			store.intercept(func(http.ResponseWriter, *http.Request) bool { return false })
			snapshots, listErr := repo.Snapshots(ctx, namespace, pvc)
			if len(snapshots) > 0 {
				listErr = errors.Join(listErr, errors.New("there is a snapshot"))
			}
			results <- cmp.Or(listErr, err)
		}
		// Kopia tries for some seconds: all at once.
		go tryUpload(http.StatusInsufficientStorage, "XMinioStorageFull")
		go tryUpload(http.StatusForbidden, "AccessDenied")
		go tryUpload(http.StatusServiceUnavailable, "SlowDown")
		retryable := WithTransform(failure.Retryable, BeTrue())
		Expect([]error{<-results, <-results, <-results}).To(ConsistOf(
			And(beSafe(), retryable, MatchError(ContainSubstring("write to the repository: the store asks to slow down"))),
			And(beSafe(), Not(retryable), MatchError(ContainSubstring("write to the repository: the store is full"))),
			And(beSafe(), Not(retryable), MatchError(ContainSubstring("write to the repository: the store refuses access"))),
		))
	})
})

var _ = Describe("The state directory", func() {
	It("is for this user only and holds no secret", func(ctx context.Context) {
		access := newS3Store().access(namespace)
		Expect(os.MkdirAll(access.StateDir, 0o755)).To(Succeed())
		repo := open(ctx, access)
		_, err := upload.Run(ctx, repo, request(GinkgoT().TempDir()))
		Expect(err).NotTo(HaveOccurred())

		info, err := os.Stat(access.StateDir)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o700)))
		var files int
		Expect(filepath.Walk(access.StateDir, func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			files++
			content, err := os.ReadFile(path)
			Expect(strings.Contains(string(content), secretKey)).To(BeFalse(), path)
			Expect(strings.Contains(string(content), password)).To(BeFalse(), path)
			return err
		})).To(Succeed())
		Expect(files).To(BeNumerically(">", 1))
		info, err = os.Stat(filepath.Join(access.StateDir, "kopia.config"))
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
	})
})
