#!/bin/sh
# Programs with libvasmremap.so preloaded do what they do without it, in both realizations.
#
# usage: preload.sh LIBRARY
set -eu
library=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# mmap.resize is mremap by name; the answer is a sum over what must have moved along.
cat >"$dir/resize.py" <<'END'
import mmap
m = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
f = open(__file__, "rb")
r = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
for i in range(1, 200):
    m.resize((i + 1) << 16)
    m[i << 16] = i & 0xff
print(sum(m[i << 16] for i in range(200)), sum(r[:]))
END
command -v python3 >/dev/null || { echo "skipped on process: no python3"; exit 77; }
python3 "$dir/resize.py" >"$dir/native"
for how in linux=6.18 portable; do
	LD_PRELOAD=$library VAS_PROCESS=$how python3 "$dir/resize.py" >"$dir/served"
	cmp "$dir/native" "$dir/served"
done

# A wish that is not understood is refused, with one line that says so.
for how in linux= linux=6 linux=6.x linux=2.5 linux=6.1.2.3 Portable; do
	if LD_PRELOAD=$library VAS_PROCESS=$how python3 "$dir/resize.py" >"$dir/out" 2>"$dir/err"
	then
		echo "VAS_PROCESS=$how was taken" >&2
		exit 1
	fi
	grep -qF "linux=VERSION (2.6 or later), with a comma between, not: $how" "$dir/err"
done
