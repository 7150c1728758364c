# A harness that cannot fail shows nothing: wrong answers and wrong text are found, with a place.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

expect() { # STATUS PATTERN SCRIPT-TEXT
	local status=0
	printf '%s\n' "$3" >"$dir/case.strace"
	"$VAS" exec --on vas "$dir/case.strace" >"$dir/out" 2>&1 || status=$?
	if [ $status != "$1" ] || ! grep -q -- "$2" "$dir/out"; then
		printf 'wanted status %s and "%s", got status %s and:\n' "$1" "$2" $status
		cat "$dir/out"
		exit 1
	fi
}

good='mmap(0x10000000, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0) = 0x10000000'
: '--linux takes versions that vas knows, with or without the stable update'
for version in 1.2 2.7 6.20 7.4 99.9 6 6.1.x; do
	status=0
	"$VAS" exec --linux $version --on vas "$0" >"$dir/out" 2>&1 || status=$?
	[ $status = 2 ] && grep -q "takes a version from 1.3 to .* not '$version'" "$dir/out"
	grep -q 'known are 1.3, 2.0 to 2.6, .*, 6.0 to 6.19, .*; judged by .*6\.1\.' "$dir/out"
done

expect 0 '' "$good"
expect 2 'case.strace:1:.* too long' "$(head -c 70000 /dev/zero | tr '\0' x)"
status=0
timeout 60 "$VAS" exec --on vas /dev/zero 2>"$dir/out" || status=$?
[ $status = 2 ] && grep -q '^/dev/zero:1:' "$dir/out"
expect 1 'case.strace' "${good%0000}1000"
expect 1 'case.strace' 'munmap(0x10000001, 4096) = 0'
expect 2 'case.strace:1:' 'munmap(0x10000000, ) = 0'
expect 2 'case.strace:2:' "$good
unmap(0x10000000, 4096) = 0"
