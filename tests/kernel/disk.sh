#!/bin/sh
# What a program writes to the kernel port's disk is in the image when the machine has ended, and
# what the image holds is what the program reads.
#
# usage: disk.sh VAS
set -eu
vas=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
command -v busybox >/dev/null || { echo "skipped: no busybox"; exit 77; }
dd if=/dev/zero of="$dir/image" bs=64k count=1 2>/dev/null
printf 'from outside' | dd of="$dir/image" conv=notrunc 2>/dev/null
status=0
"$vas" boot --arch x86_64 --check --timeout 60 --disk "$dir/image" sh -c \
	'head -c 12 /dev/vda; echo; printf "from inside." > /dev/vda; exit 7' \
	</dev/null >"$dir/out" || status=$?
[ $status != 77 ] || exit 77
cat "$dir/out"
[ $status = 7 ]
grep -q '^from outside$' "$dir/out"
[ "$(head -c 12 "$dir/image")" = 'from inside.' ]
