# Real programs, live: the kernel's answers and final map against ours, without a difference.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Where no process can be traced, the kernel cannot be the judge.
printf 'munmap(0x10000000, 4096) = 0\n' >"$dir/probe.strace"
status=0
"$VAS" exec --on kernel "$dir/probe.strace" >"$dir/out" 2>&1 || status=$?
if [ $status = 77 ]; then
	cat "$dir/out"
	exit 77
fi

check() {
	if ! "$VAS" check -- "$@" >"$dir/out" 2>&1; then
		printf 'vas check -- %s:\n' "$*"
		cat "$dir/out"
		exit 1
	fi
}

python=$(python3 -c 'import sys; print(sys.executable)') # not a wrapper script of that name

check true
check sh -c 'true | cat; exec true'
check "$python" -c 'x = []; [x.append(i) for i in range(1000000)]'
printf 'int main(void) { return 0; }\n' >"$dir/main.c"
check cc -O2 -c -o "$dir/main.o" "$dir/main.c"

# A program that is a tracer itself, and one that has another tracer already: both are told.
"$VAS" check -- "$VAS" check -- true >"$dir/out" 2>&1 || true
if ! grep -q 'cannot trace a program' "$dir/out" ||
	! grep -q 'its ptrace was refused' "$dir/out"; then
	echo 'vas check in vas check:'
	cat "$dir/out"
	exit 1
fi
