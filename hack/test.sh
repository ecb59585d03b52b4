#!/usr/bin/env bash
# Runs all tests, or those of some packages: hack/test.sh [PACKAGES [FLAG...]]. `make test` calls it.
#
# What waits more than it works runs beside the rest and is printed after it; test/integration in several processes, each with an API
# server of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# With Kopia's tag for tests, repositories that tests make have a key that is derived without the 0.2 s of CPU that scrypt takes
# at each opening. Nothing else differs, and others can be opened, too.
readonly tags=testing

packages="${1:-./...}"
shift || true

KUBEBUILDER_ASSETS="$(hack/controlplane.sh)"
# go test shows nothing of a suite that passes, so the fault suite leaves its table here.
FAULTS_TABLE="$PWD/bin/faults.txt"
export KUBEBUILDER_ASSETS FAULTS_TABLE
mkdir -p bin
touch bin/.begin

run_beside() {
	local status=0 race=()
	[[ " $* " == *" -race "* ]] && race=(-race)
	go test -tags $tags -timeout 20m ./test/soak "$@" || status=$?
	go tool ginkgo run --tags $tags --procs=3 --timeout 20m --no-color --silence-skips ${race[@]+"${race[@]}"} ./test/integration || status=$?
	return $status
}

beside=""
if [[ "$packages" == ./... ]]; then
	packages="$(go list ./... | grep -v '/test/integration$\|/test/soak$')"
	set -m # in a process group of its own, which an interrupt does not reach
	run_beside "$@" >bin/beside.log 2>&1 &
	beside=$!
	set +m
	trap 'kill -- -$beside 2>/dev/null || true' EXIT
fi

status=0
# shellcheck disable=SC2086 # several packages
go test -tags $tags -timeout 20m $packages "$@" || status=$?
if [[ -n "$beside" ]]; then
	wait "$beside" || status=$?
	cat bin/beside.log
fi
if [[ "$FAULTS_TABLE" -nt bin/.begin ]]; then cat "$FAULTS_TABLE"; fi
exit $status
