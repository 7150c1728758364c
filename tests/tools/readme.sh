#!/bin/sh
# The C program of README.md, as somebody copies it: it is the example's text, compiles without a
# warning as C11 and as C++20, and runs. Skipped (77) as C++ alone where no C++ compiler is.
#
# usage: readme.sh CC CXX SOURCE_DIR LIBVAS
set -eu
cc=$1 cxx=$2 source=$3 library=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sed -n '/^```c$/,/^```$/p' "$source/README.md" | sed '/^```/d' >"$dir/main.c"
sed -n '/^#include/,$p' "$source/examples/twenty_lines.c" >"$dir/example.c"
diff "$dir/main.c" "$dir/example.c"
"$cc" -std=c11 -Wall -Wextra -Werror -I "$source/include" -o "$dir/c" "$dir/main.c" "$library"
"$dir/c" | grep 'still holds 42'
if ! command -v "$cxx" >/dev/null; then
	echo "skipped: no C++ compiler"
	exit 77
fi
"$cxx" -std=c++20 -Wall -Werror -I "$source/include" -o "$dir/cxx" -x c++ "$dir/main.c" \
	-x none "$library"
"$dir/cxx" | grep 'still holds 42'
