# Runs a program under `vas check`, comparing the map after every call; it must end well and nothing
# may differ, nor when its log is replayed.
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

status=0
"$vas" check --every --output "$dir/report" --record "$dir/log" -- "$@" 2>"$dir/errors" || status=$?
cat "$dir/errors"
if grep -q -E 'cannot trace a program|seccomp: ' "$dir/errors"; then
	exit 77 # where no process can be traced, the kernel cannot be the judge
fi
[ $status = 0 ] || fail "vas check: exit status $status"
grep -q '^The program exited with 0\.$' "$dir/report" || fail 'the program did not end well'
"$vas" replay --quiet "$dir/log" >"$dir/report" || fail 'vas replay differs from vas check'
