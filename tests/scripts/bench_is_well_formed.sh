# The rows that scripts look for are there, and their JSON can be read. Times are nobody's promise.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$VAS" bench --list >"$dir/list"
for row in mmap-munmap mprotect-split mprotect-merge grow-in-place shrink mmap-1m-random \
	move-1g-by-1g move-1g-by-2m move-1g-shifted move-1g-shifted-soft move-16g-shifted-soft \
	mprotect-1g fork-1g fork-first-write fault tlb-hit tlb-miss-1g translate-miss-64k-soft \
	vma-bytes vma-bytes-touched; do
	grep -q "^$row " "$dir/list" || { echo "there is no row $row"; exit 1; }
done

# One row of times without a counterpart in the kernel, one of bytes.
"$VAS" bench --only tlb-hit --only vma-bytes-touched --rounds 1 --json "$dir/json" >"$dir/table"
grep -q '^tlb-hit ' "$dir/table"
python3 - "$dir/json" <<'PYTHON'
import json, sys
times, memory = json.load(open(sys.argv[1]))
assert times["row"] == "tlb-hit" and times["vas_ns"] > 0
assert times["kernel_ns"] is None and times["ratio"] is None
assert memory["row"] == "vma-bytes-touched" and memory["vas_bytes"] > 0
assert {"kernel_bytes", "ratio", "note"} <= set(memory)
PYTHON

status=0
"$VAS" bench --only no-such-row >"$dir/out" 2>&1 || status=$?
[ $status = 2 ] || { echo "an unknown row is not a mistake in usage"; exit 1; }
