# A program is attached to before it begins: it stands still in a shell that then becomes it. All it
# does is followed as if it had been started by `vas check`.
#
# usage: attached.sh VAS PROGRAM [ARGUMENT...]
set -euo pipefail
vas=$1
shift
dir=$(mktemp -d)
program=
trap 'rm -rf "$dir"; if [ "$program" ]; then kill -KILL "$program"; fi' EXIT

state() { # FIELD of the program
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$program/status"
}

sh -c 'kill -STOP $$; exec "$@"' sh "$@" >"$dir/output" 2>&1 &
program=$!
until [[ $(state State) == T* ]]; do sleep 0.01; done
"$vas" check --every --attach $program --output "$dir/report" 2>"$dir/errors" &
check=$!
while [ "$(state TracerPid)" = 0 ]; do
	if [ ! -d /proc/$check ]; then
		cat "$dir/errors"
		exit 77 # no process can be traced here
	fi
	sleep 0.01
done
until [[ $(state State) == [tT]* ]]; do sleep 0.01; done
kill -CONT $program
status=0
wait $program || status=$?
program=
wait $check || { cat "$dir/report"; exit 1; }
cat "$dir/output"
[ $status = 0 ] || [ $status = 77 ] || exit 1
grep -q "$(basename "$1"): [1-9][0-9]* calls" "$dir/report" || exit 1
exit $status
