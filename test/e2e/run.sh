#!/usr/bin/env bash
# Runs the end-to-end suite.
#
# With KUBECONFIG it runs on that cluster, which has stock Velero with --use-node-agent and
# --node-agent-configmap=node-agent-config, a default storage class whose driver makes snapshots, and the images named by IMAGE
# and E2E_WORKLOAD_IMAGE. Without, it runs on the cluster of `make cluster-up`; one that was not there before is
# taken down again, unless KEEP=1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly state=/var/lib/node-agent-testbed

down() {
	local status=$?
	make --no-print-directory cluster-down || status=1
	exit $status
}

if [[ -z "${KUBECONFIG:-}" || "$KUBECONFIG" == "$state/kubeconfig" ]]; then
	make --no-print-directory image-archive IMAGEFLAGS="--platforms linux/$(go env GOARCH)"
	if [[ ! -e "$state" && -z "${KEEP:-}" ]]; then trap down EXIT; fi
	make --no-print-directory cluster-up
	go build -o "$state/bin/testbed" ./test/testbed
	"$state/bin/testbed" load bin/node-agent-image.tar
	components="$(test/testbed/components.sh)"
	export KUBECONFIG="$state/kubeconfig" PATH="$state/bin:$components:$PATH" E2E_STORAGE="$state/csi" E2E_OBJECTS="$state/s3"
	export E2E_WORKLOAD_IMAGE=testbed.local/workload:1 AWS_SHARED_CREDENTIALS_FILE="$state/credentials"
fi
export E2E_IMAGE="$IMAGE"
go test ./test/e2e -count=1 -timeout 75m -v -ginkgo.v -ginkgo.label-filter="${LABELS:-}" "$@"
