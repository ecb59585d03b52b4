#!/usr/bin/env bash
# Runs every fuzz test of the module for the time given (default 30s), one after the other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

duration="${1:-30s}"
found=0
while read -r package file; do
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=1
		echo "fuzz: $package $name for $duration"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" "$package"
	done
done < <(grep -rlE --include='*_test.go' '^func Fuzz' cmd pkg test | sort | while read -r file; do echo "./$(dirname "$file") $file"; done)
((found)) || { echo "fuzz: no fuzz test found" >&2; exit 1; }
