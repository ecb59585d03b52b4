#!/usr/bin/env bash
# Azure's blob client refuses the API version that its own options let one choose.
#
# Versions: github.com/Azure/azure-sdk-for-go/sdk/storage/azblob v1.7.0 with sdk/azcore v1.22.0, Go 1.26.
# Guess: azcore.ClientOptions.APIVersion, which is part of container.ClientOptions, sets the header x-ms-version. That is what
#   config.apiVersion of a Velero storage location needs, for Azure Stack and other stores that lag behind.
# What happens: the client is made without an error, and its first request fails before anything is sent. A policy of one's own
#   that sets the header on each request is sent as it is.
#
# Output seen:
#   with the option: 0 requests, error: this client doesn't support overriding its API version
#   with a policy:   1 requests, x-ms-version: 2019-12-12
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

const version = "2019-12-12"

// store answers a listing without blobs.
type store struct {
	requests int
	seen     string
}

func (s *store) Do(request *http.Request) (*http.Response, error) {
	s.requests++
	s.seen = strings.Join(request.Header["x-ms-version"], " and ") // the client writes the name in lower case
	return &http.Response{
		StatusCode: http.StatusOK, Request: request, Header: http.Header{"Content-Type": {"application/xml"}},
		Body: io.NopCloser(strings.NewReader(`<EnumerationResults><Blobs></Blobs></EnumerationResults>`)),
	}, nil
}

type header struct{}

func (header) Do(request *policy.Request) (*http.Response, error) {
	request.Raw().Header["x-ms-version"] = []string{version}
	return request.Next()
}

func list(options azcore.ClientOptions) (*store, error) {
	s := &store{}
	options.Transport = s
	client, err := container.NewClientWithNoCredential("https://account.blob.example/container", &container.ClientOptions{ClientOptions: options})
	if err != nil {
		return nil, fmt.Errorf("making the client: %w", err)
	}
	_, err = client.NewListBlobsFlatPager(nil).NextPage(context.Background())
	return s, err
}

func main() {
	s, err := list(azcore.ClientOptions{APIVersion: version})
	fmt.Printf("with the option: %d requests, error: %v\n", s.requests, err)
	s, err = list(azcore.ClientOptions{PerCallPolicies: []policy.Policy{header{}}})
	if err != nil {
		fmt.Println("with a policy:", err)
		return
	}
	fmt.Printf("with a policy:   %d requests, x-ms-version: %s\n", s.requests, s.seen)
}
GO
go mod init example.test/finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/storage/azblob@v1.7.0 github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.22.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1

diff <(go run .) - <<'SEEN'
with the option: 0 requests, error: this client doesn't support overriding its API version
with a policy:   1 requests, x-ms-version: 2019-12-12
SEEN
echo "as described: azblob v1.7.0 refuses ClientOptions.APIVersion at the first request"
