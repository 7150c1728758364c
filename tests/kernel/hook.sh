#!/bin/sh
# A kernel whose hook invalidates nothing must be found out by the test program: with it CPUs go on
# with what their TLBs hold.
#
# usage: hook.sh VAS SOURCE ROOT EXPECTED    77: something is not there.
set -eu
vas=$1 source=$2 root=$3 expected=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$vas" "$dir/vas"
cp -r "$root/ports/kernel" "$dir/port"
sed -i '/^static void invalidate/,/^}/s/^\t(void)ctx;$/\t(void)ctx;\n\tif (what)\n\t\treturn;/' \
	"$dir/port/embed.c"
! cmp -s "$dir/port/embed.c" "$root/ports/kernel/embed.c" || { echo "no hook to empty"; exit 1; }
make -s -C "$dir/port" ARCH=x86_64 ROOT="$root" OUT="$dir/kernel/x86_64"
cc -static -O1 -o "$dir/program" "$source" -lpthread
"$expected" >"$dir/expected" || true
# It may go on for ever: what counts is what it says until then that it must not say.
{ "$dir/vas" boot --arch x86_64 --smp 2 --timeout 20 "$dir/program" 2>&1 </dev/null ||
	echo "exit status $?"; } | { head -c 20000; cat >/dev/null; } >"$dir/got"
! grep -qx 'exit status 77' "$dir/got" || exit 77
grep -vxF -f "$dir/expected" "$dir/got" | grep -v -e '^exit status' -e '^vas boot:' -e '^qemu' |
	head -3 >"$dir/wrong"
[ -s "$dir/wrong" ] || { echo "an empty hook was not noticed"; exit 1; }
echo "noticed:"
cat "$dir/wrong"
