// Package storetest says what every store has to do for Kopia.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Content is what a blob holds.
type Content string

// Length in bytes.
func (c Content) Length() int { return len(c) }

// Reader reads from the beginning.
func (c Content) Reader() io.ReadSeekCloser { return closer{strings.NewReader(string(c))} }

// WriteTo writes all.
func (c Content) WriteTo(w io.Writer) (int64, error) {
	written, err := io.WriteString(w, string(c))
	return int64(written), err
}

type closer struct{ io.ReadSeeker }

func (closer) Close() error { return nil }

// Output is what was read of a blob.
type Output struct{ bytes.Buffer }

// Length in bytes.
func (o *Output) Length() int { return o.Len() }

// List are the names of the blobs with a prefix.
func List(ctx context.Context, storage blob.Storage, prefix blob.ID) []string {
	GinkgoHelper()
	var result []string
	Expect(storage.ListBlobs(ctx, prefix, func(metadata blob.Metadata) error {
		result = append(result, string(metadata.BlobID))
		return nil
	})).To(Succeed())
	return result
}

// Answer writes the answer of a server.
func Answer(w io.Writer, format string, values ...any) {
	_, err := fmt.Fprintf(w, format, values...)
	Expect(err).NotTo(HaveOccurred())
}

// Serve makes a server with TLS that speaks HTTP/2 with whoever can, and fails the spec if somebody does: stores are to use a
// connection for each request.
func Serve(handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer GinkgoRecover()
		Expect(r.ProtoMajor).To(Equal(1), "requests share a connection")
		handler.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	DeferCleanup(server.Close)
	return server
}

// KeepsBlobs expects of an empty store what Kopia does.
func KeepsBlobs(ctx context.Context, storage blob.Storage) {
	GinkgoHelper()
	var when time.Time
	Expect(storage.PutBlob(ctx, "one", Content("0123456789"), blob.PutOptions{GetModTime: &when})).To(Succeed())
	Expect(storage.PutBlob(ctx, "other", Content(""), blob.PutOptions{})).To(Succeed())
	Expect(when).To(BeTemporally("~", time.Now(), time.Minute))

	var found Output
	Expect(storage.GetBlob(ctx, "one", 0, -1, &found)).To(Succeed())
	Expect(found.String()).To(Equal("0123456789"))
	Expect(storage.GetBlob(ctx, "one", 3, 4, &found)).To(Succeed())
	Expect(found.String()).To(Equal("3456"))
	Expect(storage.GetBlob(ctx, "one", 3, 0, &found)).To(Succeed())
	Expect(found.Len()).To(BeZero())
	Expect(storage.GetBlob(ctx, "one", 8, 4, &found)).To(MatchError(blob.ErrInvalidRange))
	Expect(storage.GetBlob(ctx, "one", 20, 4, &found)).To(MatchError(blob.ErrInvalidRange))
	Expect(storage.GetBlob(ctx, "none", 0, -1, &found)).To(MatchError(blob.ErrBlobNotFound))

	Expect(storage.GetMetadata(ctx, "one")).To(And(HaveField("Length", int64(10)), HaveField("BlobID", blob.ID("one"))))
	_, err := storage.GetMetadata(ctx, "none")
	Expect(err).To(MatchError(blob.ErrBlobNotFound))

	Expect(List(ctx, storage, "")).To(Equal([]string{"one", "other"}))
	Expect(List(ctx, storage, "on")).To(Equal([]string{"one"}))
	Expect(storage.DeleteBlob(ctx, "one")).To(Succeed())
	Expect(storage.DeleteBlob(ctx, "one")).To(Succeed())
	Expect(List(ctx, storage, "")).To(Equal([]string{"other"}))
	Expect(storage.Close(ctx)).To(Succeed())
}
