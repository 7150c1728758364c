# A script that fails while the kernel makes huge pages runs again; one that always fails, fails.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
[[ $(cat /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null) = *"[madvise]"* ]] || {
	echo 'transparent huge pages are not "madvise" on this machine'
	exit 77
}
"$VAS" exec --on kernel /dev/null >/dev/null 2>&1 || { echo 'the kernel cannot be asked'; exit 77; }

cat >"$dir/case.strace" <<'END'
#: needs thp madvise
mmap(0x20000000, 2097152, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x20000000, 0x11) = 0
madvise(0x20000000, 2097152, MADV_COLLAPSE) = 0
present(0x20001000) = 0
END
status=0
"$VAS" exec --on both "$dir/case.strace" >"$dir/out" 2>&1 || status=$?
cat "$dir/out"
[ $status = 1 ]
[ "$(grep -c '^# again' "$dir/out")" = 2 ]
[ "$(grep -c 'FAIL' "$dir/out")" = 1 ]
