#!/bin/sh
# Installs into an empty directory, then builds and runs an example against what is there, found
# once by pkg-config and once by CMake's find_package.
#
# usage: install.sh CMAKE BUILD_DIR SOURCE_DIR CC
set -eu
cmake=$1 build=$2 source=$3 cc=$4
example=$source/examples/twenty_lines.c
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

"$cmake" --install "$build" --prefix "$root/usr" >"$root/log" || { cat "$root/log"; exit 1; }
test -x "$root/usr/bin/vas"
for file in share/man/man1/vas-check.1 share/man/man3/vas_mremap.3 share/man/man3/vas_munlock.3 \
	share/bash-completion/completions/vas share/zsh/site-functions/_vas share/doc/vas/LICENSE \
	share/doc/vas/docs/notation.md; do
	test -s "$root/usr/$file" || { echo "$file is not installed"; exit 1; }
done
archive=$(find "$root/usr" -name libvas.a)
if readelf -S "$archive" | grep debug_info; then
	echo "$archive has debug information"
	exit 1
fi

pc=$(find "$root/usr" -name vas.pc)
export PKG_CONFIG_PATH="${pc%/vas.pc}"
"$cc" -std=c11 -o "$root/by-pkg-config" "$example" \
	$(pkg-config --define-variable=prefix="$root/usr" --cflags --libs vas)
"$root/by-pkg-config"

# One version: the header's, pkg-config's, the program's.
printf '#include <vas/vas.h>\nversion VAS_VERSION\n' >"$root/version.c"
header=$("$cc" -E -P -I "$root/usr/include" "$root/version.c" |
	sed -n 's/^version //p' | tr -d '" ')
package=$(pkg-config --modversion vas)
program=$("$root/usr/bin/vas" version | sed -n 's/^vas \([^,]*\),.*/\1/p')
if [ -z "$header" ] || [ "$header" != "$package" ] || [ "$header" != "$program" ]; then
	echo "versions: header '$header', pkg-config '$package', program '$program'"
	exit 1
fi

printf '%s\n' '#include <vas/heap.h>' \
	'int main(void) { vas_heap_free(vas_heap_malloc(1 << 20)); return 0; }' \
	>"$root/heap.c"
"$cc" -std=c11 -o "$root/heap" "$root/heap.c" \
	$(pkg-config --define-variable=prefix="$root/usr" --cflags --libs vas_heap)
"$root/heap"

mkdir "$root/project"
cp "$example" "$root/project/main.c"
cat >"$root/project/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.21)
project(user LANGUAGES C)
find_package(vas REQUIRED)
add_executable(user main.c)
target_link_libraries(user PRIVATE vas::vas)
EOF
"$cmake" -S "$root/project" -B "$root/project/build" -DCMAKE_PREFIX_PATH="$root/usr" \
	-DCMAKE_C_COMPILER="$cc" >"$root/log" 2>&1 || { cat "$root/log"; exit 1; }
"$cmake" --build "$root/project/build" >"$root/log" 2>&1 || { cat "$root/log"; exit 1; }
"$root/project/build/user"

# And it can be taken away again.
"$source/scripts/uninstall" "$build/install_manifest.txt"
left=$(find "$root/usr" ! -type d)
[ -z "$left" ] || { echo "not uninstalled: $left"; exit 1; }
[ ! -e "$root/usr/share/doc/vas" ] && [ ! -e "$root/usr/include/vas" ]
