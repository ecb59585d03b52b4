#!/usr/bin/env bash
# Prints the path of a folder that holds etcd and kube-apiserver; everything else goes to standard error.
#
#   export KUBEBUILDER_ASSETS="$(hack/controlplane.sh)"
#
# The first of these that has both binaries is taken:
#   1. $KUBEBUILDER_ASSETS
#   2. the cache, ${XDG_CACHE_HOME:-$HOME/.cache}/node-agent/controlplane/<kubernetes>-<etcd>-<os>-<arch>
#   3. setup-envtest, where its download works (ENVTEST_INSTALLED_ONLY=1 keeps it off the network)
#   4. a build from the Go modules of both, put into the cache: about 7 minutes on 2 cores, once
set -euo pipefail

readonly kubernetes=v1.34.3
readonly etcd=v3.6.5
readonly download_seconds=120

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
os="$(go env GOHOSTOS)"
arch="$(go env GOHOSTARCH)"
readonly root os arch
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/node-agent/controlplane"
readonly assets="$cache/$kubernetes-$etcd-$os-$arch"
work=""

# shellcheck source=hack/gomodules.sh
source "$root/hack/gomodules.sh"

complete() { [[ -n "$1" && -x "$1/etcd" && -x "$1/kube-apiserver" ]]; }

build_etcd() {
	mkdir "$work/etcd-module"
	cd "$work/etcd-module"
	gobuild mod init build.local/etcd
	gobuild get "go.etcd.io/etcd/server/v3@$etcd"
	gobuild build -v -trimpath -ldflags='-s -w' -o "$work/bin/etcd" go.etcd.io/etcd/server/v3
}

# kube-apiserver cannot be had by `go install`: its go.mod points at staging folders that are not in the module. A module of
# our own with the same requirements, and the staging folders replaced by the published modules, gives the same binary.
build_apiserver() {
	local staging="v0.${kubernetes#v1.}" gomod version package
	mkdir "$work/apiserver-module"
	cd "$work/apiserver-module"
	gomod="$(gobuild mod download -json "k8s.io/kubernetes@$kubernetes" | sed -n 's/^[[:space:]]*"GoMod": "\(.*\)",*$/\1/p')"
	sed -e 's|^module .*|module build.local/apiserver|' \
		-e "s|=> \./staging/src/\(k8s\.io/[a-z-]*\)|=> \1 $staging|" "$gomod" >go.mod
	gobuild mod edit -require="k8s.io/kubernetes@$kubernetes"
	version=(-s -w)
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		version+=(-X "$package.gitVersion=$kubernetes" -X "$package.gitMajor=1" -X "$package.gitMinor=$(cut -d. -f2 <<<"$kubernetes")")
	done
	gobuild build -v -trimpath -ldflags="${version[*]}" -o "$work/bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
}

from_setup_envtest() {
	local tool="$work/setup-envtest" found limit=()
	(cd "$root/hack/tools" && go build -o "$tool" sigs.k8s.io/controller-runtime/tools/setup-envtest) || return 1
	if command -v timeout >/dev/null; then limit=(timeout "$download_seconds"); fi
	found="$("${limit[@]}" "$tool" use -p path "${kubernetes#v}" 2>"$work/setup-envtest.log")" || return 1
	complete "$found" && echo "$found"
}

build() {
	say "building etcd $etcd and kube-apiserver $kubernetes from their Go modules into $assets"
	say "this takes about 7 minutes on 2 cores and is done once"
	mkdir "$work/bin"
	with_signs_of_life "etcd" "$work/etcd.log" build_etcd
	with_signs_of_life "kube-apiserver" "$work/apiserver.log" build_apiserver
	# The rename is atomic: the folder is either absent or complete, whatever happens to this process.
	rm -rf "$assets"
	mv "$work/bin" "$assets"
}

if complete "${KUBEBUILDER_ASSETS:-}"; then
	echo "$KUBEBUILDER_ASSETS"
	exit
fi
if [[ -n "${KUBEBUILDER_ASSETS:-}" ]]; then say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks etcd or kube-apiserver: not used"; fi

if ! complete "$assets"; then
	mkdir -p "$cache"
	# Of two that run at once the second waits and then finds the cache filled. Without flock both build, which is slow and right.
	exec 9>"$cache/.lock"
	if command -v flock >/dev/null; then
		flock -n 9 || { say "waiting for another build to finish"; flock 9; }
	fi
fi
if ! complete "$assets"; then
	work="$(mktemp -d "$cache/.build-XXXXXX")"
	trap 'rm -rf "$work"' EXIT
	if found="$(from_setup_envtest)"; then
		echo "$found"
		exit
	fi
	say "setup-envtest has no binaries: $(tail -n 1 "$work/setup-envtest.log" 2>/dev/null | cut -c -200)"
	build
fi
echo "$assets"
