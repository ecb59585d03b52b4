#!/usr/bin/env bash
# Prints the folders with the programs of the testbed, joined as in PATH; everything else goes to standard error.
#
# Each folder is ${XDG_CACHE_HOME:-$HOME/.cache}/node-agent/testbed/<component>-<version>-<os>-<arch>. One that exists is taken as
# it is, so a program that was built elsewhere can be put there. What is missing is built from its Go module, one component
# after the other: 30 minutes of CPU time after hack/controlplane.sh, once.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
platform="$(go env GOHOSTOS)-$(go env GOHOSTARCH)"
readonly here platform
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/node-agent/testbed"
work=""

# shellcheck source=hack/gomodules.sh
source "$here/../../hack/gomodules.sh"
# shellcheck source=test/testbed/versions.env
source "$here/versions.env"

# go_build LDFLAGS PACKAGE... builds into $work/bin, in the module of the working directory.
go_build() {
	local ldflags="-s -w $1"
	shift
	gobuild build -v -trimpath -ldflags="$ldflags" -o "$work/bin/" "$@"
}

build_kubernetes() {
	borrow_kubernetes "$work/module" "$KUBERNETES"
	go_build "$(kubernetes_version "$KUBERNETES")" k8s.io/kubernetes/cmd/{kube-controller-manager,kube-scheduler,kubelet,kubectl}
}

build_hostpath() {
	local module=github.com/kubernetes-csi/csi-driver-host-path
	borrow_module "$work/module" $module "$HOSTPATH"
	go_build "-X main.version=$HOSTPATH" $module/cmd/hostpathplugin
}

build_provisioner() {
	local module=github.com/kubernetes-csi/external-provisioner/v5
	borrow_module "$work/module" $module "$PROVISIONER"
	go_build "-X main.version=$PROVISIONER" $module/cmd/csi-provisioner
}

build_snapshotter() {
	local module=github.com/kubernetes-csi/external-snapshotter/v8
	borrow_module "$work/module" $module "$SNAPSHOTTER" '/=> \.\/client$/d' "s|\(k8s\.io/[a-z-]*\) v0\.37\.[0-9]*|\1 v0.37.2|"
	go_build "-X main.version=$SNAPSHOTTER" $module/cmd/{snapshot-controller,csi-snapshotter}
}

# Not every patch release of k8s.io/* that Velero names is served by the module proxy; those of the cluster are. The same versions
# in all modules also make the builds short: what they have in common is compiled once.
build_velero() {
	local module=github.com/vmware-tanzu/velero
	borrow_module "$work/module" $module "$VELERO" "s|\(k8s\.io/[a-z-]*\) v0\.33\.[0-9]*|\1 v0.${KUBERNETES#v1.}|"
	go_build "-X $module/pkg/buildinfo.Version=$VELERO" $module/cmd/velero
}

build_velero_plugin() {
	local module=github.com/vmware-tanzu/velero-plugin-for-aws
	borrow_module "$work/module" $module "$VELERO_PLUGIN" "s|\(k8s\.io/[a-z-]*\) v0\.33\.[0-9]*|\1 v0.${KUBERNETES#v1.}|" \
		"s|\(vmware-tanzu/velero\) v1\.18\.[0-9]*|\1 $VELERO|"
	go_build "" $module/velero-plugin-for-aws $module/hack/cp-plugin
}

build_versitygw() {
	local module=github.com/versity/versitygw
	borrow_module "$work/module" $module "$VERSITYGW"
	go_build "" $module/cmd/versitygw
}

# component NAME VERSION BUILD prints the folder of a component after it has built what is missing.
component() {
	local folder="$cache/$1-$2-$platform"
	if [[ ! -d "$folder" ]]; then
		work="$(mktemp -d "$cache/.build-XXXXXX")"
		mkdir "$work/bin"
		with_signs_of_life "$1 $2" "$work/log" "$3"
		# The rename is atomic: the folder is either absent or complete.
		mv "$work/bin" "$folder"
		rm -rf "$work"
		work=""
	fi
	printf '%s' "$folder"
}

all() {
	KUBEBUILDER_ASSETS="" "$here/../../hack/controlplane.sh" | tr -d '\n'
	printf ':' && component kubernetes "$KUBERNETES" build_kubernetes
	printf ':' && component hostpath "$HOSTPATH" build_hostpath
	printf ':' && component provisioner "$PROVISIONER" build_provisioner
	printf ':' && component snapshotter "$SNAPSHOTTER" build_snapshotter
	printf ':' && component velero "$VELERO" build_velero
	printf ':' && component velero-plugin "$VELERO_PLUGIN" build_velero_plugin
	printf ':' && component versitygw "$VERSITYGW" build_versitygw
	printf '\n'
}

mkdir -p "$cache"
exec 9>"$cache/.lock"
if command -v flock >/dev/null; then
	flock -n 9 || { say "waiting for another build to finish"; flock 9; }
fi
trap 'rm -rf "$work"' EXIT
all
