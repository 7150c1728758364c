#!/bin/sh
# usage: walk.sh VAS ARCH COMPILER SOURCE [OPTION...]    walk.py, for a few seeds
set -eu
vas=$1 arch=$2 compiler=$3 source=$4
shift 4
for tool in "$compiler" python3; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool"; exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$compiler" -static -O1 -o "$dir/random" "$source"
for seed in 1 2; do
	python3 "$(dirname "$0")/walk.py" "$vas" "$arch" "$dir/random" $seed "$@"
done
