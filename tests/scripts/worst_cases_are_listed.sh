# Every call has a row in docs/worst-cases.md, or a word why not; its rows are those of the program.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
top=$(dirname "$0")/../..
doc=$top/docs/worst-cases.md

grep -v '^typedef' "$top/include/vas/vas.h" | grep -oE '^[a-z][a-z0-9_ *]*\bvas_[a-z0-9_]+\(' |
	grep -oE 'vas_[a-z0-9_]+\($' | tr -d '(' | sort -u >"$dir/calls"
[ "$(wc -l <"$dir/calls")" -gt 60 ] || { echo "vas.h is not understood"; exit 1; }
grep -oE '`vas_[a-z0-9_]+`' "$doc" | tr -d '`' | sort -u >"$dir/named"
diff "$dir/calls" "$dir/named" || { echo "docs/worst-cases.md and vas.h have other calls"; exit 1; }

"$VAS" bench --worst list >"$dir/list"
grep -E '^\| `vas_' "$doc" | cut -d'|' -f1-3 | sed 's/$/|/' >"$dir/rows"
diff "$dir/list" "$dir/rows" || { echo "make worst: docs/worst-cases.md has other rows"; exit 1; }

# The program measures: three sizes and the waits are there.
"$VAS" bench --worst vas_brk >"$dir/table"
grep -qE '^\| `vas_brk` \|.*\| [0-9.]+ .s, [0-9.]+ .s, [0-9.]+ .s \| n\^' "$dir/table" ||
	{ cat "$dir/table"; exit 1; }
status=0
"$VAS" bench --worst no-such-call >"$dir/out" 2>&1 || status=$?
[ $status = 2 ] || { echo "an unknown call is not refused"; exit 1; }
[ "$(wc -l <"$dir/out")" = 1 ] || { echo "an unknown call is refused in one line"; exit 1; }
