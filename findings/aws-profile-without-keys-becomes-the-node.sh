#!/usr/bin/env bash
# A profile that was asked for by name and holds no keys is no error for AWS's library: it signs as the node or pod instead.
#
# Versions: github.com/aws/aws-sdk-go-v2/config v1.33.1, Go 1.26.
# Guess: with a credentials file and a profile given explicitly, a profile that has a region but no credentials is refused, as a
#   profile that does not exist is ("failed to get shared config profile").
# What happens: the chain goes on behind the file. Where a container endpoint answers (EKS Pod Identity, ECS), its credentials are
#   taken without a word, so a backup goes on under another identity than the one in the Secret. A missing profile is refused.
#
# Output seen:
#   profile without keys: access key CONTAINERKEY from CredentialsEndpointProvider
#   profile not there:    failed to get shared config profile, absent
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
)

func load(profile string) string {
	ctx := context.Background()
	loaded, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile),
		config.WithSharedCredentialsFiles([]string{"credentials"}), config.WithSharedConfigFiles([]string{}))
	if err != nil {
		return err.Error()
	}
	value, err := loaded.Credentials.Retrieve(ctx)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("access key %s from %s", value.AccessKeyID, value.Source)
}

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"AccessKeyId":"CONTAINERKEY","SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}`)
	}))
	defer server.Close()
	os.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL)
	if err := os.WriteFile("credentials", []byte("[backup]\nregion = eu-central-1\n"), 0o600); err != nil {
		panic(err)
	}
	fmt.Println("profile without keys:", load("backup"))
	fmt.Println("profile not there:   ", load("absent"))
}
GO
go mod init example.test/finding >/dev/null 2>&1
go get github.com/aws/aws-sdk-go-v2/config@v1.33.1 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1

for name in $(env | sed -n 's/^\(AWS_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done
diff <(go run .) - <<'SEEN'
profile without keys: access key CONTAINERKEY from CredentialsEndpointProvider
profile not there:    failed to get shared config profile, absent
SEEN
echo "as described: a profile without keys is passed over by aws-sdk-go-v2/config v1.33.1"
