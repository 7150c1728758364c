# A program that asks all it can about itself and its children prints the same alone and checked.
#
# usage: seen.sh VAS PROGRAM
set -euo pipefail
vas=$1 program=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

compare() {
	"$@" "$program" >"$dir/alone" </dev/null
	status=0
	"$@" "$vas" check --output "$dir/report" -- "$program" >"$dir/checked" 2>"$dir/errors" \
		</dev/null || status=$?
	if grep -q -E 'cannot trace a program|seccomp: ' "$dir/errors"; then
		exit 77
	fi
	if [ $status != 0 ]; then
		cat "$dir/report" "$dir/errors"
		exit 1
	fi
	diff "$dir/alone" "$dir/checked"
}

compare env
compare nice -n 3
compare nohup # some signals are ignored
compare sh -c 'ulimit -n 64; exec "$0" "$@"' # a lower limit than vas wants for itself
