# The base is pinned by version. For the same bytes from the same commit, build as `make image` does (SOURCE_DATE_EPOCH).
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
ARG COMMIT=unknown
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY pkg pkg
# The root of the image: the binary under the name that Velero's manifests use too, CA certificates, and a /tmp for everybody.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir -p /image/etc/ssl/certs /image/tmp && chmod 1777 /image/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    printf 'root:x:0:0::/tmp:/none\nnonroot:x:65532:65532::/tmp:/none\n' >/image/etc/passwd && \
    printf 'root:x:0:\nnonroot:x:65532:\n' >/image/etc/group && \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
      -ldflags "-s -w -X github.com/node-agent/node-agent/cmd/node-agent/app.version=$VERSION \
        -X github.com/node-agent/node-agent/cmd/node-agent/app.commit=$COMMIT" \
      -o /image/node-agent ./cmd/node-agent && \
    ln -s node-agent /image/velero

FROM scratch
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="node-agent" \
      org.opencontainers.image.description="Moves CSI volume snapshots of Velero backups into a Kopia repository" \
      org.opencontainers.image.source="https://github.com/node-agent/node-agent" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --from=build /image/ /
# Backup pods ask for root themselves, because only root may read every file of a volume; the agent needs no such right.
USER 65532:65532
ENV HOME=/tmp
ENTRYPOINT ["/node-agent"]
