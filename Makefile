# `make` prints the targets. A fresh machine needs Go, git, make and curl; tools are pinned in hack/tools/go.mod.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT ?= $(shell git rev-parse --verify --quiet HEAD || echo unknown)
IMAGE ?= node-agent:dev
FUZZTIME ?= 30s
# Packages that `make test` runs, and further flags for go test, e.g. TESTFLAGS='-run TestExpose -v'.
PKG ?= ./...
TESTFLAGS ?=
# Scenarios that `make e2e` runs, as a label filter of Ginkgo; RIGHTS=least runs our agent with config/rbac instead of Velero's
# cluster-admin. Flags for hack/image.
LABELS ?=
RIGHTS ?=
IMAGEFLAGS ?=

# Nothing here needs cgo, and with the same settings everywhere, build, tests and linters share what they compile.
export CGO_ENABLED ?= 0

APP := github.com/node-agent/node-agent/cmd/node-agent/app
LDFLAGS := -s -w -X $(APP).version=$(VERSION) -X $(APP).commit=$(COMMIT)
TOOL := go tool -modfile=hack/tools/go.mod

##@ Use

.PHONY: demo
demo: build ## Move a snapshot end to end on this machine: no cluster, no root.
	@assets="$$(hack/controlplane.sh)"; \
	KUBEBUILDER_ASSETS="$$assets" go run ./test/demo --node-agent bin/node-agent

.PHONY: build
build: ## Build bin/node-agent, a static binary.
	go build -ldflags '$(LDFLAGS)' -o bin/node-agent ./cmd/node-agent

.PHONY: image
image: ## Build the container image with docker and buildx, or else bin/node-agent-image.tar.
	@if docker buildx version >/dev/null 2>&1; then $(MAKE) --no-print-directory image-docker; \
	else $(MAKE) --no-print-directory image-archive; fi

.PHONY: image-docker
image-docker:
	SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" docker buildx build --provenance=false \
		--output type=docker,rewrite-timestamp=true \
		--build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --tag $(IMAGE) .

# For amd64 and arm64; `docker load`, `ctr images import`, `kind load image-archive`, skopeo and crane read it.
.PHONY: image-archive
image-archive:
	@mkdir -p bin
	@go run ./hack/image --name $(IMAGE) --output bin/node-agent-image.tar --ldflags '$(LDFLAGS)' \
		--version $(VERSION) --commit $(COMMIT) --created "$$(git log -1 --format=%ct)" $(IMAGEFLAGS)

.PHONY: cluster-up
cluster-up: ## Start a one-node cluster with stock Velero on this machine; needs Linux and root.
	@path="$$(test/testbed/components.sh)"; PATH="$$path:$$PATH" go run ./test/testbed up

.PHONY: cluster-down
cluster-down: ## Stop that cluster and remove every trace of it.
	@go run ./test/testbed down

##@ Test

.PHONY: test
test: ## Run all tests; those that need one get a real kube-apiserver.
	@hack/test.sh '$(PKG)' $(TESTFLAGS)

.PHONY: test-race
test-race: ## The same under the race detector; needs a C compiler.
	@CGO_ENABLED=1 $(MAKE) --no-print-directory test TESTFLAGS='-race $(TESTFLAGS)'

.PHONY: faults
faults: ## Inject every fault into every API call, one at a time, and lose events; `make test` takes a sample.
	@assets="$$(hack/controlplane.sh)"; mkdir -p bin; \
	FAULTS="$${FAULTS:-all}" FAULTS_TABLE="$$PWD/bin/faults.txt" KUBEBUILDER_ASSETS="$$assets" GOGC=400 \
		go tool ginkgo run -p --tags testing --timeout 4h --no-color --silence-skips $(TESTFLAGS) ./test/faults

.PHONY: soak
soak: ## SOAK DataUploads (1000), for at most SOAKTIME, while everything goes wrong at random; `make test` takes a sample.
	@SOAK="$${SOAK:-1000}" $(MAKE) --no-print-directory test PKG=./test/soak \
		TESTFLAGS='-count=1 -timeout 3h -v -ginkgo.v -ginkgo.label-filter=soak $(TESTFLAGS)'

.PHONY: e2e
e2e: ## Run the end-to-end suite on KUBECONFIG, or on a cluster made for it; LABELS='swap || kill' selects scenarios.
	@IMAGE=$(IMAGE) LABELS='$(LABELS)' E2E_RIGHTS=$(RIGHTS) test/e2e/run.sh $(TESTFLAGS)

.PHONY: workload-image
workload-image: ## Build bin/workload-image.tar, the application that the end-to-end suite backs up on a cluster of yours.
	@mkdir -p bin
	@GOOS=linux go build -trimpath -o bin/workload ./test/e2e/workload
	@go run ./test/testbed workload-image bin/workload bin/workload-image.tar

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME each.
	@hack/fuzz.sh $(FUZZTIME)

##@ Develop

.PHONY: generate
generate: ## Write deepcopy code and config/crd from the API types.
	$(TOOL) controller-gen object crd paths=./pkg/apis/... output:crd:dir=config/crd

.PHONY: rooms
rooms: ## Draw the picture of the packages in docs/architecture.md.
	@go run ./hack/rooms --write docs/architecture.md

.PHONY: verify
verify: ## Check what needs no cluster: generated files, format, lint, vet, modules, manifests.
	@hack/verify.sh

.PHONY: lint
lint: ## Run golangci-lint, which checks the format too.
	$(TOOL) golangci-lint run --allow-parallel-runners

.PHONY: fmt
fmt: ## Format the code and sort its imports.
	$(TOOL) golangci-lint fmt

.PHONY: clean
clean: ## Remove what was built here (not the cache of the control plane).
	rm -rf bin

.PHONY: help
help: ## Print this.
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
