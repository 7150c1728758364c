# Runs a program under `vas check`, comparing the map after every call; it must end well and nothing
# may differ, nor when its log is replayed.
#
# A program that shows facts says at its end how many mremaps it made, and how many calls are taken
# over because vas has none like them (fact.h): so many must have been compared, and no more taken
# over.
#
# usage: run.sh VAS PROGRAM [ARGUMENT...]
set -euo pipefail
vas=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	printf '%s\n' "$1"
	cat "$dir/report"
	exit 1
}

# The sum of what the program and its children printed behind a word.
sum() {
	awk -v word="$1" '$1 == word { n += $2 } END { print n + 0 }' "$dir/output"
}

expect_total() {
	grep -q '^mremaps ' "$dir/output" || return 0
	local mremaps taken compared='maps compared [0-9]+ times'
	mremaps=$(sum mremaps)
	taken=$(sum taken-over)
	[ "$taken" = 0 ] && taken='' || taken=", $taken taken over"
	grep -q -E "\($mremaps mremaps\) of .*; $compared$taken\. " "$dir/report" ||
		fail "$1: not '$mremaps mremaps compared$taken'"
}

status=0
"$vas" check --every --output "$dir/report" --record "$dir/log" -- "$@" \
	>"$dir/output" 2>"$dir/errors" || status=$?
cat "$dir/output" "$dir/errors"
if grep -q -E 'cannot trace a program|seccomp: ' "$dir/errors"; then
	exit 77 # where no process can be traced, the kernel cannot be the judge
fi
if grep -q '^The program exited with 77\.$' "$dir/report"; then
	exit 77 # it has said what is missing
fi
[ $status = 0 ] || fail "vas check: exit status $status"
grep -q '^The program exited with 0\.$' "$dir/report" || fail 'the program did not end well'
[ "$(tail -n 1 "$dir/report")" = 'Nothing differs.' ] || fail 'the verdict is not the last line'
# Calls that the program has counted itself: so many must be in the log.
grep '^counted ' "$dir/output" >"$dir/counted" || true
while read -r _ number text; do
	logged=$(grep -c -F "$text" "$dir/log" || true)
	[ "$logged" = "$number" ] || fail "$number times '$text', and $logged times in the log"
done <"$dir/counted"
expect_total 'vas check'
"$vas" replay --quiet "$dir/log" >"$dir/report" || fail 'vas replay differs from vas check'
expect_total 'vas replay'
