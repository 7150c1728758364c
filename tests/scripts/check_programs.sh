# Real programs, live: the kernel's answers and final map against ours, without a difference.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

check() {
	local status=0
	"$VAS" check -- "$@" >"$dir/out" 2>&1 || status=$?
	[ $status != 0 ] || return 0
	printf 'vas check -- %s: status %s\n' "$*" $status
	cat "$dir/out"
	exit $status # 77: cannot be checked here
}

check true
check sh -c 'true | cat; exec true'
check python3 -c 'x = []; [x.append(i) for i in range(1000000)]'
printf 'int main(void) { return 0; }\n' >"$dir/main.c"
check cc -O2 -c -o "$dir/main.o" "$dir/main.c"
