#!/bin/sh
# Compiles the core as a kernel for another architecture would, and looks at what it needs.
#
# usage: foreign.sh gcc|clang ARCH NM PYTHON SOURCE_DIR     (ARCH: x86_64, aarch64, riscv64)
set -eu
kind=$1 arch=$2 nm=$3 python=$4 source=$5

case $kind in
gcc) cc=$arch-linux-gnu-gcc target= ;;
clang) cc=clang target=--target=$arch-linux-gnu ;;
esac
command -v "$cc" >/dev/null || { echo "skipped on vas: no $cc (scripts/deps cross)"; exit 77; }

# As in CMakeLists.txt for a machine of that architecture. The helpers for atomics that compilers
# call by default on AArch64 are in a library which a kernel does not have.
case $arch in
x86_64) flags='-mgeneral-regs-only -mno-red-zone' ;;
aarch64) flags='-mgeneral-regs-only -mno-outline-atomics' ;;
riscv64) flags='-march=rv64imac -mabi=lp64' ;;
esac

object=$(mktemp)
trap 'rm -f "$object"' EXIT
# shellcheck disable=SC2086 # lists of words
"$cc" $target -std=c11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-pic $flags \
	-nostdinc -isystem "$("$cc" $target -print-file-name=include)" \
	-I "$source/include" -I "$source/src" -c -o "$object" "$source/src/one.c"
exec "$python" "$source/tests/tools/archive.py" "$nm" "$object" "$source/include/vas/vas.h"
