#!/usr/bin/env bash
# Checks everything that can be checked without running the code. All checks run, then the script fails if one did.
# It works on a tree with uncommitted changes: generated files are compared with what generation makes of them now.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=(go tool -modfile=hack/tools/go.mod)
failed=()

check() {
	local name="$1" started=$SECONDS
	shift
	if "$@"; then
		printf 'verify: %-10s ok, %d s\n' "$name" $((SECONDS - started))
	else
		printf 'verify: %-10s FAILED, %d s\n' "$name" $((SECONDS - started))
		failed+=("$name")
	fi
}

fingerprint() { find pkg/apis config/crd -type f -print0 | sort -z | xargs -0 sha256sum; }

generated() {
	local before
	before="$(fingerprint)"
	make --no-print-directory --silent generate || return 1
	diff <(echo "$before") <(fingerprint) >/dev/null && return
	echo "generated files were not current; \`make generate\` has just written them:"
	diff <(echo "$before") <(fingerprint) | sed -n 's/^> [0-9a-f]* /  /p'
	return 1
}

formatted() {
	local files
	files="$(gofmt -l -s cmd pkg test)" || return 1
	[[ -z "$files" ]] && return
	echo "not formatted, run \`make fmt\`: $files"
	return 1
}

tidy() { go mod tidy -diff && (cd hack/tools && go mod tidy -diff); }

manifests() {
	local dir
	while IFS= read -r dir; do
		"${tool[@]}" kustomize build "$dir" >/dev/null || return 1
	done < <(find config -name kustomization.yaml -exec dirname {} \; | sort)
}

scripts() {
	local script
	for script in hack/*.sh test/*/*.sh .ci/run; do bash -n "$script" || return 1; done
}

check generated generated
check gofmt formatted
check vet go vet ./...
check lint "${tool[@]}" golangci-lint run --allow-parallel-runners
check rooms go run ./hack/rooms --check docs/architecture.md
check modules tidy
check manifests manifests
check scripts scripts

if ((${#failed[@]})); then
	echo "verify: failed: ${failed[*]}"
	exit 1
fi
