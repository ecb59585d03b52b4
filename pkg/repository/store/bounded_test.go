package store

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// blobID is in the store, newID is not.
const (
	blobID = blob.ID("p1")
	newID  = blob.ID("p2")

	// stall is what the specs wait instead of StallTimeout, and patient what they wait for a store that is slow.
	stall   = 300 * time.Millisecond
	patient = 3 * time.Second

	// piece is more than what is read or written at once.
	piece = 256 << 10
)

// newTestStore is an S3 store whose requests pass a hook once it is set. A hook that returns true has answered.
func newTestStore(ctx context.Context) (*bounded, *atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]) {
	GinkgoHelper()
	backend := s3mem.New()
	Expect(backend.CreateBucket("bucket")).To(Succeed())
	fake := gofakes3.New(backend).Server()
	hook := &atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hook := hook.Load(); hook == nil || !(*hook)(w, r) {
			fake.ServeHTTP(w, r)
		}
	}))
	DeferCleanup(server.Close)
	access := accessTo(map[string]string{"region": "r", "s3Url": server.URL}, "[default]\naws_access_key_id=A\naws_secret_access_key=S\n")
	opened, err := openS3(ctx, access, false)
	Expect(err).NotTo(HaveOccurred())
	Expect(opened.PutBlob(ctx, blobID, Bytes("content"), blob.PutOptions{})).To(Succeed())
	result := newBounded(opened)
	result.stall, result.settle = stall, time.Minute
	return result, hook
}

// hang takes a request and does not answer it, until the client hangs up.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the server does not see the client hang up before
	<-r.Context().Done()
}

var _ = Describe("An operation of a store", func() {
	operations := map[string]func(context.Context, *bounded) error{
		"GET":  func(ctx context.Context, b *bounded) error { return b.GetBlob(ctx, blobID, 0, -1, &blobBuffer{}) },
		"HEAD": func(ctx context.Context, b *bounded) error { _, err := b.GetMetadata(ctx, blobID); return err },
		"PUT": func(ctx context.Context, b *bounded) error {
			return b.PutBlob(ctx, newID, Bytes(make([]byte, 8<<20)), blob.PutOptions{})
		},
		"DELETE": func(ctx context.Context, b *bounded) error { return b.DeleteBlob(ctx, blobID) },
		"LIST": func(ctx context.Context, b *bounded) error {
			return b.ListBlobs(ctx, "", func(blob.Metadata) error { return nil })
		},
	}
	all := []TableEntry{Entry(nil, "GET"), Entry(nil, "HEAD"), Entry(nil, "PUT"), Entry(nil, "DELETE"), Entry(nil, "LIST")}

	DescribeTable("that is never answered ends", func(ctx context.Context, name string) {
		store, hook := newTestStore(ctx)
		var requests atomic.Int32
		never := func(_ http.ResponseWriter, r *http.Request) bool {
			requests.Add(1)
			hang(r)
			return true
		}
		hook.Store(&never)
		err := operations[name](ctx, store)
		Expect(err).To(And(MatchError(context.DeadlineExceeded), MatchError(ContainSubstring("no progress in 300ms, tried 3 times"))))
		Expect(failure.Retryable(err)).To(BeTrue())
		Expect(requests.Load()).To(BeEquivalentTo(stallTries))
	}, all)

	DescribeTable("is repeated if it gets stuck once", func(ctx context.Context, name string) {
		store, hook := newTestStore(ctx)
		var requests atomic.Int32
		once := func(_ http.ResponseWriter, r *http.Request) bool {
			if requests.Add(1) == 1 {
				hang(r)
				return true
			}
			return false
		}
		hook.Store(&once)
		Expect(operations[name](ctx, store)).To(Succeed())
	}, all)

	DescribeTable("ends when it is canceled", func(ctx context.Context, name string) {
		store, hook := newTestStore(ctx)
		store.stall = time.Hour
		ctx, cancel := context.WithCancel(ctx)
		never := func(_ http.ResponseWriter, r *http.Request) bool {
			cancel()
			hang(r)
			return true
		}
		hook.Store(&never)
		Expect(operations[name](ctx, store)).To(MatchError(context.Canceled))
	}, all)

	// slowly has pieces of work done with pauses that are short, but longer than the time without progress in all.
	const pieces = 5
	slowly := func(do func()) {
		for range pieces {
			<-time.After(patient / (pieces - 1))
			do()
		}
	}

	It("may take long while it reads", func(ctx context.Context) {
		store, hook := newTestStore(ctx)
		store.stall = patient
		slow := func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Length", strconv.Itoa(pieces*piece))
			slowly(func() {
				_, _ = w.Write(make([]byte, piece))
				_ = http.NewResponseController(w).Flush()
			})
			return true
		}
		hook.Store(&slow)
		Expect(ReadBlob(ctx, store, blobID)).To(HaveLen(pieces * piece))
	})

	It("may take long while it writes", func(ctx context.Context) {
		const size = 64 << 20 // more than what the system takes at once
		store, hook := newTestStore(ctx)
		store.stall = patient
		slow := func(w http.ResponseWriter, r *http.Request) bool {
			slowly(func() { _, _ = io.CopyN(io.Discard, r.Body, size/pieces) })
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("ETag", `"x"`)
			return true
		}
		hook.Store(&slow)
		Expect(store.PutBlob(ctx, newID, Bytes(make([]byte, size)), blob.PutOptions{})).To(Succeed())
	})

	It("may take long while it lists", func(ctx context.Context) {
		store, _ := newTestStore(ctx)
		store.stall = patient
		slow := &slowLister{Storage: store.Storage, slowly: slowly}
		store.Storage = slow
		Expect(operations["LIST"](ctx, store)).To(Succeed())
	})
})

// slowLister lists some blobs slowly.
type slowLister struct {
	blob.Storage

	slowly func(func())
}

func (l *slowLister) ListBlobs(ctx context.Context, _ blob.ID, callback func(blob.Metadata) error) error {
	l.slowly(func() { Expect(callback(blob.Metadata{})).To(Succeed()) })
	return ctx.Err()
}

var _ = Describe("A store that does not show at once what was written", func() {
	// hide answers that a blob does not exist for a number of requests.
	hide := func(times int32) *func(http.ResponseWriter, *http.Request) bool {
		var looks atomic.Int32
		hook := func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut || looks.Add(1) > times {
				return false
			}
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return &hook
	}

	It("is asked again for what this process has written", func(ctx context.Context) {
		store, hook := newTestStore(ctx)
		hook.Store(hide(2))
		var modified time.Time
		Expect(store.PutBlob(ctx, newID, Bytes("content"), blob.PutOptions{GetModTime: &modified})).To(Succeed())
		Expect(modified).To(BeTemporally("~", time.Now(), time.Minute))
		hook.Store(hide(2))
		Expect(ReadBlob(ctx, store, newID)).To(BeEquivalentTo("content"))
		hook.Store(hide(2))
		Expect(store.GetMetadata(ctx, newID)).To(HaveField("Length", BeEquivalentTo(len("content"))))
	})

	It("is given up after a while, and another attempt may come further", func(ctx context.Context) {
		store, hook := newTestStore(ctx)
		store.settle = stall
		Expect(store.PutBlob(ctx, newID, Bytes("content"), blob.PutOptions{})).To(Succeed())
		hook.Store(hide(1000))
		_, err := ReadBlob(ctx, store, newID)
		Expect(err).To(And(MatchError(failure.ErrNotShown), MatchError(blob.ErrBlobNotFound)))
		Expect(failure.Retryable(err)).To(BeTrue())
	})

	It("is not asked again for anything else", func(ctx context.Context) {
		store, hook := newTestStore(ctx)
		var looks atomic.Int32
		count := func(http.ResponseWriter, *http.Request) bool { looks.Add(1); return false }
		hook.Store(&count)
		_, err := store.GetMetadata(ctx, newID)
		Expect(err).To(MatchError(blob.ErrBlobNotFound))
		Expect(failure.Retryable(err)).To(BeFalse())
		Expect(store.PutBlob(ctx, newID, Bytes("content"), blob.PutOptions{})).To(Succeed())
		Expect(store.DeleteBlob(ctx, newID)).To(Succeed())
		looks.Store(0)
		_, err = ReadBlob(ctx, store, newID)
		Expect(err).To(MatchError(blob.ErrBlobNotFound))
		Expect(looks.Load()).To(BeEquivalentTo(1))
	})
})
