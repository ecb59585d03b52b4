#!/usr/bin/env bash
# minio-go copies all of an upload into memory before it sends anything, if the reader can seek but not read at an offset.
#
# Versions: github.com/minio/minio-go/v7 v7.2.0, Go 1.26.
# Guess: PutObject of a known size with SendContentMd5 reads a seekable reader once for the checksum, seeks back, and reads it again
#   while it sends. So a wrapper that counts what is read sees how far the upload is.
# What happens: that is so only if the reader is an io.ReaderAt, too. Any other one is read into a buffer of the whole size first: a
#   wrapper with Read, Seek and Close costs as much memory again as the object has, and its count is complete before the first byte
#   has left.
#
# Output seen:
#   Read, Seek and ReadAt: 4194304 bytes read before the request, 2 passes in all, no buffer of that size
#   Read and Seek:         4194304 bytes read before the request, 1 passes in all, a buffer of that size
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const size = 4 << 20

// counted can be read and sought in.
type counted struct {
	content *bytes.Reader
	read    int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.content.Read(p)
	c.read += n
	return n, err
}

func (c *counted) Seek(offset int64, whence int) (int64, error) { return c.content.Seek(offset, whence) }

// at can be read at an offset, too.
type at struct{ *counted }

func (a at) ReadAt(p []byte, offset int64) (int, error) {
	n, err := a.content.ReadAt(p, offset)
	a.read += n
	return n, err
}

// server takes everything and notes how much had been read of the source when a request came.
type server struct{ seen func() }

func (s server) RoundTrip(request *http.Request) (*http.Response, error) {
	s.seen()
	if request.Body != nil {
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: 200, Request: request, Header: http.Header{"Etag": {`"x"`}}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func put(name string, source *counted, reader io.Reader) {
	before := 0
	client, err := minio.New("store.example", &minio.Options{
		Creds: credentials.NewStaticV4("key", "secret", ""), Secure: true, Region: "eu-central-1",
		Transport: server{func() { before = source.read }},
	})
	if err != nil {
		panic(err)
	}
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	_, err = client.PutObject(context.Background(), "bucket", "object", reader, size, minio.PutObjectOptions{SendContentMd5: true, DisableMultipart: true})
	runtime.ReadMemStats(&end)
	if err != nil {
		panic(err)
	}
	buffer := "no buffer of that size"
	if end.TotalAlloc-start.TotalAlloc >= size {
		buffer = "a buffer of that size"
	}
	fmt.Printf("%-22s %d bytes read before the request, %d passes in all, %s\n", name+":", before, source.read/size, buffer)
}

func main() {
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	source := &counted{content: bytes.NewReader(content)}
	put("Read, Seek and ReadAt", source, at{source})
	source = &counted{content: bytes.NewReader(content)}
	put("Read and Seek", source, source)
}
GO
go mod init example.test/finding >/dev/null 2>&1
go get github.com/minio/minio-go/v7@v7.2.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1

diff <(go run .) - <<'SEEN'
Read, Seek and ReadAt: 4194304 bytes read before the request, 2 passes in all, no buffer of that size
Read and Seek:         4194304 bytes read before the request, 1 passes in all, a buffer of that size
SEEN
echo "as described: minio-go v7.2.0 buffers what cannot be read at an offset"
