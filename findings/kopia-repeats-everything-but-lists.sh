#!/usr/bin/env bash
# Kopia's wrapper that repeats what a store refused for a moment repeats everything but a listing.
#
# Versions: github.com/kopia/kopia v0.23.1 (repo/blob/retrying), Go 1.26.
# Guess: every call to the store is repeated after an error that may pass, as it is for reading, writing and deleting a blob.
# What happens: ListBlobs is passed on as it is. A store that answers one listing with a 503 fails the refresh of an index, and with
#   it an upload of hours, unless its client repeats lists by itself. (Kopia's own S3 store does, within minio-go; a store of one's
#   own, as blob.Storage invites one to write, has to know that.)
#
# Output seen:
#   put:      2 calls, error: <nil>
#   get:      2 calls, error: <nil>
#   metadata: 2 calls, error: <nil>
#   delete:   2 calls, error: <nil>
#   list:     1 calls, error: not now
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/filesystem"
	"github.com/kopia/kopia/repo/blob/retrying"
)

var errNotNow = errors.New("not now")

// busy refuses the first call of each kind.
type busy struct {
	blob.Storage
	calls int
}

func (b *busy) refuses() error {
	if b.calls++; b.calls == 1 {
		return errNotNow
	}
	return nil
}

func (b *busy) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	if err := b.refuses(); err != nil {
		return err
	}
	return b.Storage.PutBlob(ctx, id, data, opts)
}

func (b *busy) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	if err := b.refuses(); err != nil {
		return err
	}
	return b.Storage.GetBlob(ctx, id, offset, length, output)
}

func (b *busy) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	if err := b.refuses(); err != nil {
		return blob.Metadata{}, err
	}
	return b.Storage.GetMetadata(ctx, id)
}

func (b *busy) DeleteBlob(ctx context.Context, id blob.ID) error {
	if err := b.refuses(); err != nil {
		return err
	}
	return b.Storage.DeleteBlob(ctx, id)
}

func (b *busy) ListBlobs(ctx context.Context, prefix blob.ID, callback func(blob.Metadata) error) error {
	if err := b.refuses(); err != nil {
		return err
	}
	return b.Storage.ListBlobs(ctx, prefix, callback)
}

type content []byte

func (c content) Length() int                            { return len(c) }
func (c content) WriteTo(w io.Writer) (int64, error)     { n, err := w.Write(c); return int64(n), err }
func (c content) Reader() io.ReadSeekCloser              { return reader{bytes.NewReader(c)} }

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

type buffer struct{ bytes.Buffer }

func (b *buffer) Length() int { return b.Len() }

func main() {
	ctx := context.Background()
	dir, err := os.MkdirTemp(".", "store-")
	if err != nil {
		panic(err)
	}
	files, err := filesystem.New(ctx, &filesystem.Options{Path: dir}, true)
	if err != nil {
		panic(err)
	}
	under := &busy{Storage: files}
	store := retrying.NewWrapper(under)
	for _, call := range []struct {
		name string
		make func() error
	}{
		{"put", func() error { return store.PutBlob(ctx, "p1", content("data"), blob.PutOptions{}) }},
		{"get", func() error { return store.GetBlob(ctx, "p1", 0, -1, &buffer{}) }},
		{"metadata", func() error { _, err := store.GetMetadata(ctx, "p1"); return err }},
		{"delete", func() error { return store.DeleteBlob(ctx, "p1") }},
		{"list", func() error { return store.ListBlobs(ctx, "", func(blob.Metadata) error { return nil }) }},
	} {
		under.calls = 0
		err := call.make()
		fmt.Printf("%-9s %d calls, error: %v\n", call.name+":", under.calls, err)
	}
}
GO
go mod init example.test/finding >/dev/null 2>&1
go get github.com/kopia/kopia@v0.23.1 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1

diff <(go run . 2>/dev/null) - <<'SEEN'
put:      2 calls, error: <nil>
get:      2 calls, error: <nil>
metadata: 2 calls, error: <nil>
delete:   2 calls, error: <nil>
list:     1 calls, error: not now
SEEN
echo "as described: kopia v0.23.1 does not repeat lists"
