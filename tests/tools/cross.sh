#!/bin/sh
# Builds the program for another architecture, as judges are given it (docs/judges.md).
#
# usage: cross.sh ARCH SOURCE_DIR     (ARCH: aarch64, riscv64)
set -eu
arch=$1 source=$2

command -v "$arch-linux-gnu-gcc" >/dev/null && [ -e "/usr/$arch-linux-gnu/lib/libc.a" ] ||
	{ echo "skipped on vas: no C library for $arch (scripts/deps cross)"; exit 77; }
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$source"
cmake --preset "static-$arch" -B "$build" -DCMAKE_BUILD_TYPE=Debug >"$build/log" 2>&1 &&
	cmake --build "$build" --target vas_cli >>"$build/log" 2>&1 || { cat "$build/log"; exit 1; }
"$arch-linux-gnu-readelf" -l "$build/vas" | grep -q INTERP && { echo "not static"; exit 1; }
"$arch-linux-gnu-readelf" -h "$build/vas" | grep -E '^ *Machine:'
