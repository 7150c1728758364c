# Scripts give names to answers and ask as the shell does; what is printed can be run again.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() { printf '%s\n' "$1"; cat "$dir/out"; exit 1; }
has() { grep -qF -- "$1" "$dir/out" || fail "wanted: $1"; }
run() { # STATUS OPTION...
	local status=0 wanted=$1
	shift
	"$VAS" exec "$@" "$dir/case.strace" >"$dir/out" 2>&1 || status=$?
	[ "$status" = "$wanted" ] || fail "status $status, not $wanted"
}

cat >"$dir/case.strace" <<'END'
p = mmap(NULL, 8k, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)
store(p+4k, 0x55) = 0
q = mremap(p, 8k, 8k, MREMAP_MAYMOVE|MREMAP_FIXED, p - 1M) = p - 1M
picture
diff
why
c = fork() = 2
[2] load(q + 4096) = 0x55
[2] maps
walk q+4k
status
flags q
check
p2 = munmap(q + 1, 4k) = -1 EINVAL
why
load(p) = SIGSEGV (SEGV_MAPERR)
END
run 0 --on vas
has 'q = mremap(0x7ffff7ffd000, 8192, 8192, MREMAP_MAYMOVE|MREMAP_FIXED, 0x7ffff7efd000) = 0x7'
has '# - 7ffff7ffd000 |'
has '-> 7ffff7efd000'
has '# + 7ffff7efd000 |'
has '<- 7ffff7ffd000'
has '#   - 7ffff7ffd000-7ffff7fff000 rw-p'
has '#   + 7ffff7efd000-7ffff7eff000 rw-p'
has '#   level 0  7ffff7efe000                   0 -> 0x'
has '# all invariants hold'
has '# the last call has answered no errno'
has '# EINVAL: addr is not that of a page (O2.1)'
grep -v '^# ok' "$dir/out" >"$dir/again.strace"
cp "$dir/out" "$dir/first"
cp "$dir/again.strace" "$dir/case.strace"
run 0 --on vas
diff <(grep -v '^# ok' "$dir/first") <(grep -v '^# ok' "$dir/out") || fail 'another output'

: 'a call that fails gives no value'
printf '%s\n' 'p = mremap(1, 2, 3, 0)' 'load(p)' >"$dir/case.strace"
run 1 --on vas
has "line 2: column 6: 'p' has no value: its call has failed"

: 'what a name should be is told, too'
printf '%s\n' 'p = brk(0)' 'brk(p + 4k) = p + 8k' >"$dir/case.strace"
run 1 --on vas
has 'expected   = 0x403000'

: 'names cannot be relocated'
printf '%s\n' 'p = brk(0)' 'brk(p + 4k) = p + 4k' >"$dir/case.strace"
run 0 --on vas
run 2 --on vas --relocate
has 'cannot be relocated'

: 'words of the shell alone, and of no process'
for bad in undo quit q help '?' 'maps p' 'walk' 'load(nobody)'; do
	printf '%s\n' "$bad" >"$dir/case.strace"
	run 2 --on vas
done
printf '%s\n' '[2] maps' >"$dir/case.strace"
run 1 --on vas
has 'there is no such process'

: 'a picture of each call that changes the map'
printf '%s\n' 'p = mmap(0x10000000, 8k, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)' \
	'load(p)' 'munmap(p, 4k)' >"$dir/case.strace"
run 0 --on vas --picture
[ "$(grep -c 'before the call' "$dir/out")" = 2 ] || fail 'not two pictures'
has '# -     10000000 |'
for columns in 1 60 200 100000 x; do
	COLUMNS=$columns run 0 --on vas --picture
	awk '/^#/ && length > 200 { exit 1 }' "$dir/out" || fail "too wide for $columns"
done

: 'the log of a real program is refused by one hint'
cat >"$dir/case.strace" <<'END'
execve("/bin/true", ["true"], 0x7ffc10 /* 20 vars */) = 0
brk(NULL)                               = 0x55fc66339000
END
for side in vas both; do
	run 2 --on $side
	has 'case.strace:1:1: this is the log of a real program: `vas check --record'
	[ "$(wc -l <"$dir/out")" = 1 ] || fail 'more than a hint'
done
