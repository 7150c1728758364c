# Whatever is piped into the shell or given to exec: bounded in memory, told in short, and nothing
# of it reaches a terminal as a command.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() { printf '%s\n' "$1"; head -c 2000 "$dir/out" | cat -v; exit 1; }

# Both read a file; neither may crash, print a control byte, or say more than a few lines.
feed() { # WHAT
	local status
	for way in shell exec; do
		status=0
		if [ $way = shell ]; then
			timeout 60 "$VAS" shell <"$dir/text" >"$dir/out" 2>&1 || status=$?
		else
			timeout 60 "$VAS" exec --on vas "$dir/text" >"$dir/out" 2>&1 || status=$?
		fi
		[ $status -le 2 ] || fail "$1: $way ended with $status"
		[ "$(wc -c <"$dir/out")" -lt 20000 ] || fail "$1: $way says too much"
		if tr -d '\n\t\40-\176' <"$dir/out" | grep -q .; then
			fail "$1: $way prints control bytes"
		fi
	done
}

repeat() { head -c "$2" /dev/zero | sed "s/\x0/$1/g"; } # TEXT TIMES

printf '%b\n' 'load(\033[2J\033]0;x\007)' 'maps\033c' 'walk \2332J' 'help \033[31m' \
	'[2\033] fork()' \
	>"$dir/text"
feed 'escapes'
cat >"$dir/text" <<'END'
m = memfd_create("a\033[2Jb\n", 0)
ftruncate(m, 8k)
mmap(NULL, 8k, PROT_READ, MAP_SHARED, m, 0)
maps
picture
maps()
open("\033[2J", O_RDONLY)
END
feed 'escapes in names'
grep -q '/memfd:a\\033\[2Jb' "$dir/out" || fail 'the name is not shown'
repeat x 70000 >"$dir/text"
feed 'a long line'
repeat 'x(' 30000 >"$dir/text"
feed 'deep nesting'
{ printf 'load('; repeat '-' 60000; printf '1)\n'; } >"$dir/text"
feed 'many signs'
{ printf 'load(1'; repeat '+1' 30000; printf ')\n'; } >"$dir/text"
feed 'a long sum'
{ printf 'mremap(1, 1, 1, '; repeat 'MAYMOVE|' 7000; printf '0)\n'; } >"$dir/text"
feed 'many unknown names'
{ repeat '\/*' 30000; printf '\n'; } >"$dir/text"
feed 'comments without end'
cat >"$dir/text" <<'END'
load(99999999999999999999999999)
load(0x10000000000000000000000000000000000000000)
load(1<<99)
load(18446744073709551615T)
load(4k*18446744073709551615)
END
feed 'huge numbers'
printf 'NULL = fork()\nPROT_READ = fork()\nmmap = fork()\nRLIM_INFINITY = brk(0)\n' >"$dir/text"
feed 'names of constants'
grep -q 'cannot be a name' "$dir/out" || fail 'a constant was hidden'
printf 'load(0x1000)\0load(0x2000)\n' >"$dir/text"
feed 'a byte NUL'
for i in $(seq 300); do printf 'n%d = brk(0)\n' "$i"; done >"$dir/text"
feed 'many names'
grep -q 'too many names' "$dir/out" || fail 'there is no end of names'
head -c 60000 /dev/urandom | tr '\0\n' '  ' >"$dir/text"
feed 'noise'

: 'a line without an end takes no memory without an end'
status=0
timeout 60 "$VAS" shell </dev/zero >"$dir/out" 2>&1 || status=$?
[ $status = 2 ] || fail "/dev/zero: status $status"
