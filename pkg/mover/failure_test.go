package mover_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

var unreadable = &failure.EntryError{
	Total:    1,
	Failures: []failure.Entry{{Path: "a/b", Reason: "permission denied"}},
}

const uploadFailure = "upload the volume of PersistentVolumeClaim shop/data: "

var _ = Describe("A mover that fails", func() {
	DescribeTable("says why the upload failed",
		func(ctx context.Context, cause error, want string) {
			b := newBench(ctx, v2alpha1.PhaseInProgress)
			b.start()
			b.uploading()
			b.uploader.fail(cause)
			message, err := b.ended()
			Expect(err).To(MatchError(message))
			Expect(message).To(Equal(uploadFailure + want))
			Expect(result.IsCanceled(message)).To(BeFalse())
			Expect(b.patches()).To(BeZero())
			Expect(b.uploader.closes()).To(Equal(1))
		},
		Entry("a full store", errors.New("write blob: no space left on device"), "write blob: no space left on device"),
		Entry("a file that cannot be read",
			unreadable, unreadable.Error()),
		Entry("a canceled upload that nobody canceled", failure.ErrCanceled, "canceled"),
		Entry("a text that looks like a cancellation", errors.New("open data path is canceled"), "open data path is canceled."),
		Entry("a signed URL", errors.New(`Put "https://s3.example/b/k?X-Amz-Credential=AK&X-Amz-Signature=1f": EOF`),
			`Put "https://s3.example/b/k?...": EOF`),
		Entry("a URL with a password", errors.New("dial s3://user:pass@s3.example/b: refused"),
			"dial s3://...@s3.example/b: refused"),
		Entry("bytes that are no text", errors.New("open a\xff\xfeb: denied"), "open a?b: denied"),
	)

	It("keeps the start and the end of a long message", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.start()
		b.uploading()
		b.uploader.fail(errors.New(strings.Repeat("\u20ac", 5000) + " the end"))
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(len(message)).To(And(BeNumerically("<=", result.MaxLength), BeNumerically(">", result.MaxLength-10)))
		Expect(utf8.ValidString(message)).To(BeTrue())
		Expect(message).To(HavePrefix(uploadFailure))
		Expect(message).To(ContainSubstring(" ... "))
		Expect(message).To(HaveSuffix(" the end"))
	})

	It("gives a reason where there is none", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.Open = func(context.Context, repository.Access) (mover.Uploader, error) { return nil, errors.New("") }
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(ContainSubstring("open the repository of namespace shop in backup storage location default"))
	})

	It("does not write into a read-only location", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		location := &velerov1.BackupStorageLocation{}
		location.Namespace, location.Name = b.namespace, locationName
		Expect(k8s.Patch(ctx, location, mergePatch(`{"spec":{"accessMode":"ReadOnly"}}`))).To(Succeed())
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(Equal("open the repository of namespace shop in backup storage location default: " +
			"backup storage location is read-only"))
		Expect(b.uploader.begun).NotTo(Receive())
	})

	It("names a location that does not exist", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.patch(ctx, `{"spec":{"backupStorageLocation":"elsewhere"}}`)
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(ContainSubstring("elsewhere"))
		Expect(message).To(ContainSubstring("not found"))
	})

	It("says that the repository did not open", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.Open = func(context.Context, repository.Access) (mover.Uploader, error) {
			return nil, fmt.Errorf("connect: %w", failure.ErrWrongPassword)
		}
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(Equal("open the repository of namespace shop in backup storage location default: " +
			"connect: wrong repository password"))
	})

	It("gives up on a location that it cannot read, but not on a slow repository or upload", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.intercept(interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, opts ...client.GetOption,
		) error {
			if _, location := into.(*velerov1.BackupStorageLocation); location {
				<-ctx.Done()
				return ctx.Err()
			}
			return c.Get(ctx, key, into, opts...)
		}})
		b.start()
		b.pausing(1)
		b.clock.Step(time.Minute)
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(Equal("backup storage location default could not be read within 1m0s"))
		Expect(exitCode(err)).To(Equal(result.ExitRetryable))

		slow := newBench(ctx, v2alpha1.PhaseInProgress)
		slow.options.Open = func(context.Context, repository.Access) (mover.Uploader, error) {
			slow.clock.Step(61 * time.Second) // longer than the location may take
			return slow.uploader, nil
		}
		slow.start()
		slow.uploading()
		slow.clock.Step(20 * time.Second) // in all less than a lease: the mover need not ask in between
		slow.uploader.succeed()
		_, err = slow.ended()
		Expect(err).NotTo(HaveOccurred())
	})

	It("fails if nobody could read its result", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.TerminationMessagePath = filepath.Join(GinkgoT().TempDir(), "missing", "file")
		b.start()
		b.uploading()
		b.uploader.succeed()
		var err error
		Eventually(b.done).WithTimeout(patience).Should(Receive(&err))
		Expect(err).To(MatchError(os.ErrNotExist))
		Expect(exitCode(err)).To(Equal(result.ExitRetryable), "another attempt finds the snapshot")
	})
})

var _ = Describe("The exit code of a mover", func() {
	status := func(code int32) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: "so says the API server"}}
	}

	DescribeTable("tells whether another attempt makes sense",
		func(ctx context.Context, cause error, want int) {
			b := newBench(ctx, v2alpha1.PhaseInProgress)
			b.start()
			b.uploading()
			b.uploader.fail(fmt.Errorf("upload volume: %w", cause))
			_, err := b.ended()
			Expect(exitCode(err)).To(Equal(want))
			Expect(b.uploader.discards()).To(BeEmpty())
		},
		Entry("the network fails", &net.OpError{Op: "dial", Err: errors.New("no route to host")}, result.ExitRetryable),
		Entry("the store is slow", context.DeadlineExceeded, result.ExitRetryable),
		Entry("the API server is overloaded", status(http.StatusTooManyRequests), result.ExitRetryable),
		Entry("somebody else has written", status(http.StatusConflict), result.ExitRetryable),
		Entry("the API server fails", status(http.StatusInternalServerError), result.ExitRetryable),
		Entry("the API server refuses", status(http.StatusForbidden), 1),
		Entry("a file cannot be read", unreadable, 1),
		Entry("wrong password", failure.ErrWrongPassword, 1),
		Entry("anything else", errors.New("nobody knows"), 1),
	)

	// withoutSecrets lets a number of requests for Secrets fail, and time pass until the mover has ended or uploads.
	withoutSecrets := func(ctx context.Context, failures int) *bench {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.ResourceTimeout = time.Hour
		b.intercept(interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
		) error {
			if _, ok := obj.(*corev1.Secret); ok && failures > 0 {
				failures--
				return status(http.StatusServiceUnavailable)
			}
			return c.Get(ctx, key, obj, opts...)
		}})
		b.start()
		Eventually(func() int {
			b.clock.Step(time.Second)
			return len(b.done) + len(b.uploader.begun)
		}).WithTimeout(patience).Should(Equal(1))
		return b
	}

	It("is that of the API server while the repository is looked for, in the end", func(ctx context.Context) {
		b := withoutSecrets(ctx, 1000)
		message, err := b.ended()
		Expect(message).To(ContainSubstring("so says the API server"))
		Expect(exitCode(err)).To(Equal(result.ExitRetryable))
	})

	It("is not worth an attempt if the API server recovers", func(ctx context.Context) {
		b := withoutSecrets(ctx, 4)
		b.uploading()
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
	})
})

// lateUploader has saved its snapshot by the time it hears of the cancellation.
type lateUploader struct {
	*fakeUploader
}

func (u *lateUploader) open(context.Context, repository.Access) (mover.Uploader, error) {
	return u, nil
}

func (u *lateUploader) Upload(ctx context.Context, request upload.Request) (upload.Result, error) {
	u.begun <- request
	<-ctx.Done()
	return upload.Result{SnapshotID: snapshotID, TotalBytes: 100}, nil
}
