#!/bin/sh
# Boots a program on the kernel port, with one CPU and with more, and compares what it prints with
# what it prints on Linux: on this machine, or, for another architecture, what the same source does.
#
# usage: run.sh VAS ARCH COMPILER SOURCE EXPECTED [OPTION...]
#
# EXPECTED: a program of this machine's, built from the same source. 77: something is not there.
set -eu
vas=$1 arch=$2 compiler=$3 source=$4 expected=$5
shift 5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
command -v "$compiler" >/dev/null || { echo "skipped: no $compiler"; exit 77; }
"$compiler" -static -O1 -o "$dir/program" "$source" -lpthread
"$expected" >"$dir/expected" && wanted=0 || wanted=$?
status=0
"$vas" boot --arch "$arch" --check --timeout 120 "$@" "$dir/program" \
	</dev/null >"$dir/all" || status=$?
[ $status != 77 ] || exit 77
cat "$dir/all"
grep -v '^kernel: ' "$dir/all" >"$dir/got" || true
[ $status = $wanted ] || { echo "exit status $status, on Linux $wanted"; exit 1; }
grep -q '^kernel: audit: clean;' "$dir/all" || { echo "the audit is not clean"; exit 1; }
cmp "$dir/expected" "$dir/got"
