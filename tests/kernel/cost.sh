#!/bin/sh
# Runs what `make bench-kernel` measures on the kernel port, with the clock that counts: it comes to
# its end, the clock counts instructions, and fork of 64 MiB costs little more than of 64 KiB, for
# both share tables.
#
# usage: cost.sh VAS SOURCE    77: something is not there.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -static -O2 -o "$dir/cost" "$2"
status=0
"$1" boot --arch x86_64 --count --memory 1800 --timeout 180 "$dir/cost" \
	</dev/null >"$dir/out" || status=$?
[ $status != 77 ] || exit 77
cat "$dir/out"
[ $status = 0 ]
grep -q '^the end$' "$dir/out"
row() { awk -F '\t' -v name="$1" '$1 == name { print $2 }' "$dir/out"; }
turns=$(row 'two million instructions, or three')
[ "$turns" -ge 2000000 ] && [ "$turns" -le 3100000 ] || { echo "the clock does not count"; exit 1; }
[ "$(row 'fork, exit and wait, of 64 MiB')" -lt $((2 * $(row 'fork, exit and wait'))) ] ||
	{ echo "fork copies tables"; exit 1; }
