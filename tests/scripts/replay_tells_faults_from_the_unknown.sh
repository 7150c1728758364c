# Neighbours that Linux has as one and vas as two, or the other way round: a difference, unless the
# log says that the identity of one of them could not be known. Then the kernel's map is taken over,
# and what follows is compared again.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

a=10000000 b=10001000 c=10002000 end=10003000
flags='{rd wr mr mw me ac}'

# A log of one process that had no memory yet, on the machine of another log.
other=$(dirname "$0")/../logs/growth.log
begin() {
	head -n 2 "$other"
	sed -n '/ image /{s/^[0-9]*/1/;s/vmas=.*/vmas=0/;p;q}' "$other"
	cat
}
brk=$(begin </dev/null | sed -n 's/.* brk=\([^ ]*\).*/\1/p')

map() { # ADDRESS RIGHTS
	local how='4096, PROT_READ|PROT_WRITE'
	echo "1 mmap(0x$1, $how$2, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x$1"
}

vmas() { # START-END RIGHTS...
	echo "vmas=$(($# / 2))"
	while [ $# -gt 0 ]; do
		echo "1 vma $1 $2 00000000 00:00 0 \"\" $flags touched"
		shift 2
	done
}

plain() { # the same without VmFlags
	vmas "$@" | sed 's/ {.*//'
}

expect() { # STATUS PATTERN
	local status=0
	begin >"$dir/log"
	"$VAS" replay "$dir/log" >"$dir/out" 2>&1 || status=$?
	if [ $status != "$1" ] || ! grep -q -- "$2" "$dir/out"; then
		printf 'wanted status %s and "%s", got status %s and:\n' "$1" "$2" $status
		cat "$dir/out"
		exit 1
	fi
}

# Two pages, each written by itself, then one between them: it joins the lower one.
hole() { # what else is known before it is filled
	map $a ''
	map $c ''
	echo "1 touch(0x$a) = 0"
	echo "1 touch(0x$c) = 0"
	[ $# = 0 ] || printf '%s\n' "$@"
	map $b ''
}

all_one() {
	printf '1 maps ' && plain $a-$end rw-p
	printf '1 resync brk=%s ' "$brk" && vmas $a-$end rw-p
}

unknown='taken over from Linux: whether neighbours are one could not be known$'
{ hole && printf '1 maps ' && plain $a-$c rw-p $c-$end rw-p; } | expect 0 ', 0 differences'
{ hole && all_one; } | expect 1 ', 1 difference,'
{ hole "1 unsure 0x$c" && all_one; } | expect 0 "$unknown"
{ hole "1 unsure 0x$a" && all_one; } | expect 0 "$unknown"
# What is not certain there is nothing that two others could have to do with.
{ map 20000000 '' && echo '1 touch(0x20000000) = 0' && hole '1 unsure 0x20000000' &&
	printf '1 maps ' && plain $a-$end rw-p 20000000-20001000 rw-p; } |
	expect 1 ', 1 difference,'
# Nor does it excuse anything else.
{ hole "1 unsure 0x$c" && printf '1 maps ' && plain $a-$end rwxp; } | expect 1 ', 1 difference,'
{ hole "1 unsure 0x$c" && printf '1 maps ' && plain $a-$c rw-p; } | expect 1 ', 1 difference,'

# Two for Linux, one for vas.
two() {
	map $a ''
	map $b ''
	echo "1 touch(0x$a) = 0"
	[ $# = 0 ] || printf '%s\n' "$@"
	printf '1 maps ' && plain $a-$b rw-p $b-$c rw-p
	printf '1 resync brk=%s ' "$brk" && vmas $a-$b rw-p $b-$c rw-p
}
{ two "1 munmap(0x$end, 4096) = 0"; } | expect 1 ', 1 difference,'
{ two "1 unsure 0x$a" "1 munmap(0x$end, 4096) = 0"; } | expect 0 "$unknown"
# What has been taken over is gone on from: these two stay apart.
{ two "1 unsure 0x$a" && echo "1 mprotect(0x$a, 8192, PROT_READ) = 0" && printf '1 maps ' &&
	plain $a-$b r--p $b-$c r--p; } | expect 0 ', 0 differences, maps compared 2 times'

# Three in a row that differ in rights only: if all are found to be written at once, the outer two
# may have been first, and be strangers to each other; not if the third was written after a call.
row() { # what comes before the third is written
	map $a ''
	map $b '|PROT_EXEC'
	map $c ''
	echo "1 touch(0x$a) = 0"
	echo "1 touch(0x$b) = 0"
	[ $# = 0 ] || printf '%s\n' "$@"
	echo "1 mprotect(0x$b, 4096, PROT_READ|PROT_WRITE) = 0"
	printf '1 maps ' && plain $a-$c rw-p $c-$end rw-p
}
row "1 touch(0x$c) = 0" | expect 0 "$unknown"
row "1 munmap(0x$end, 4096) = 0" "1 touch(0x$c) = 0" | expect 1 ', 1 difference,'
