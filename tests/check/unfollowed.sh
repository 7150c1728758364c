# A program that cannot be followed to its end: exit status, last line and every form of output say
# so. What it execs is followed again.
#
# usage: unfollowed.sh VAS PROGRAM
set -euo pipefail
vas=$1 program=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	printf '%s\n' "$1"
	cat "$dir/report"
	exit 1
}

# check STATUS WHAT [ARGUMENT...]: the report is in $dir/report
check() {
	local want=$1 what=$2 status=0
	shift 2
	"$vas" check --output "$dir/report" --record "$dir/log" "$@" "$program" $what \
		2>"$dir/errors" || status=$?
	if grep -q -E 'cannot trace a program|seccomp: ' "$dir/errors"; then
		exit 77
	fi
	[ $status = "$want" ] || fail "$what: exit status $status, not $want"
}

verdict='Nothing differs in what was followed, but 2 programs could not be followed to the end.'

check 0 ''
status=0
"$vas" check --exit-status --output "$dir/report" -- sh -c 'exit 7' || status=$?
[ $status = 7 ] || fail "--exit-status: $status, not 7"
status=0
"$vas" check --exit-status --output "$dir/report" -- sh -c 'kill -TERM $$' || status=$?
[ $status = 143 ] || fail "--exit-status: $status, not 143"
: 'what differs from another Linux than the running one: the first, or all of it'
check 1 aligned --linux 6.0
[ "$(grep -c 'difference, call' "$dir/report")" = 1 ] || fail 'not one difference shown'
check 1 aligned --linux 6.0 --all
[ "$(grep -c 'difference, call' "$dir/report")" -gt 1 ] || fail '--all: one difference shown'

for what in personality set_mm 32-bit-call; do
	check 3 $what
	grep -q 'not followed to its end: ' "$dir/report" || fail "$what: not said why"
	grep -q ' true: .* calls, ' "$dir/report" || fail "$what: the exec was not followed"
	[ "$(tail -n 1 "$dir/report")" = "$verdict" ] || fail "$what: another verdict"
	check 3 $what --quiet
	grep -q 'not followed to its end: ' "$dir/report" || fail "$what, --quiet: not said why"
	[ "$(tail -n 1 "$dir/report")" = "$verdict" ] || fail "$what, --quiet: another verdict"
	check 3 $what --json
	tail -n 1 "$dir/report" | grep -q '"status":3,.*"not_followed":2,' ||
		fail "$what, --json: not in the total"
	status=0
	"$vas" replay "$dir/log" >"$dir/report" || status=$?
	[ $status = 3 ] || fail "vas replay: exit status $status"
done
