# Sourced by scripts that build programs of other Go modules. All of them are built with the same settings, so that what they
# have in common is compiled once.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

# The caller's Go settings must not leak into the builds of other modules.
gobuild() {
	env GOWORK=off GOFLAGS=-mod=mod GOTOOLCHAIN=local CGO_ENABLED=0 GOOS="$(go env GOHOSTOS)" GOARCH="$(go env GOHOSTARCH)" go "$@"
}

# with_signs_of_life NAME LOG COMMAND... runs COMMAND with its output in LOG and reports twice a minute.
with_signs_of_life() {
	local name="$1" log="$2" started=$SECONDS pid ticks=0
	shift 2
	"$@" >"$log" 2>&1 9>&- &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		((++ticks % 30)) || say "$name: $((SECONDS - started)) s, $(grep -vc '^go: ' "$log") packages compiled"
	done
	if ! wait "$pid"; then
		say "$name failed, the end of its output:"
		tail -n 20 "$log" >&2
		return 1
	fi
	say "$name: done after $((SECONDS - started)) s"
}

# module_file JSON FIELD prints a path from the output of `go mod download -json`.
module_file() { sed -n "s/^[[:space:]]*\"$2\": \"\(.*\)\",*\$/\1/p" <<<"$1"; }

# borrow_module FOLDER MODULE VERSION [SED]... makes FOLDER a module with the requirements of MODULE, edited by SED, and with its
# checksums. `go install MODULE/...@VERSION` refuses modules with replace lines; a module with the same lines may build them.
borrow_module() {
	local folder="$1" module="$2" version="$3" download expression edit=(-e "s|^module .*|module build.local/borrowed|")
	shift 3
	for expression in "$@"; do edit+=(-e "$expression"); done
	mkdir -p "$folder"
	cd "$folder"
	download="$(gobuild mod download -json "$module@$version")"
	sed "${edit[@]}" "$(module_file "$download" GoMod)" >go.mod
	cp "$(module_file "$download" Dir)/go.sum" go.sum
	chmod u+w go.sum
	gobuild mod edit -require="$module@$version"
}

# borrow_kubernetes FOLDER VERSION does that for k8s.io/kubernetes, whose go.mod points at staging folders that are not in the
# module: the published modules take their place.
borrow_kubernetes() {
	borrow_module "$1" k8s.io/kubernetes "$2" "s|=> \./staging/src/\(k8s\.io/[a-z-]*\)|=> \1 v0.${2#v1.}|"
}

# kubernetes_version VERSION prints the linker flags that tell a Kubernetes program its version.
kubernetes_version() {
	local package
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		printf -- '-X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s ' \
			"$package" "$1" "$package" "$package" "$(cut -d. -f2 <<<"$1")"
	done
}
