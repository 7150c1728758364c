#!/usr/bin/env bash
# Every target that is installed is one that `make install` builds first: a tree in which nothing
# was built before is not the place to find out.
set -euo pipefail

rule=$(sed -n '/^install:/,/cmake --install/p' Makefile)
names=$(sed -n 's/^ *install(TARGETS \([a-z_]*\) .*/\1/p' CMakeLists.txt ./*/CMakeLists.txt \
	ports/*/CMakeLists.txt)
[ -n "$names" ] || { echo "no target is installed"; exit 1; }
for name in $names; do
	grep -qw "$name" <<<"$rule" || { echo "make install does not build $name"; exit 1; }
done

for words in "help" "version"; do
	status=0
	"$VAS" "$words" >/dev/full 2>/dev/null || status=$?
	[ $status = 3 ] || { echo "vas $words to a full device: status $status"; exit 1; }
done
