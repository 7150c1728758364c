# Random calls that are compared eight at a time find what they find compared one by one: the same
# calls are made, and the first that differs is the same.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$VAS" exec --on kernel /dev/null >/dev/null 2>&1 || { echo 'the kernel cannot be asked'; exit 77; }

: 'no kernel is like 4.3 and like 7.2: one of them differs'
for version in 4.3 7.2; do
	for n in 1 8; do
		mkdir -p "$dir/$n"
		status=0
		"$VAS" fuzz --seed 1 --ops 120 --at-once $n --linux $version --out "$dir/$n" \
			>"$dir/out" || status=$?
		[ $status = 0 ] || [ $status = 1 ]
	done
done
[ -n "$(ls "$dir/8")" ]
for found in "$dir"/8/*; do # of as many calls, for those behind a difference count too
	diff "$dir/1/${found##*/}" "$found"
done
for wrong in 0 65 x; do
	status=0
	"$VAS" fuzz --at-once $wrong 2>"$dir/out" || status=$?
	[ $status = 2 ] && grep -q "takes a number from 1 to 64, not '$wrong'" "$dir/out"
done
