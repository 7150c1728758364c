# `vas run`: programs do what they do by themselves, in both realizations; statuses and mistakes are
# told; nothing is left behind.
set -euo pipefail
"$VAS" run -- true || [ $? != 77 ] || { echo "skipped: vas run is for x86-64"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ASAN_OPTIONS=detect_leaks=0

fails() { # STATUS WORDS COMMAND...
	local wanted=$1 words=$2 status=0
	shift 2
	"$@" >"$dir/out" 2>"$dir/err" || status=$?
	[ $status = "$wanted" ] || { echo "$*: status $status, not $wanted"; exit 1; }
	[ -z "$words" ] || grep -qF -- "$words" "$dir/err" ||
		{ echo "$*: said nothing of '$words'"; exit 1; }
}
fails 2 'vas run: no COMMAND is given' "$VAS" run
fails 2 'vas run: there is no option --fast' "$VAS" run --fast -- true
fails 2 '--linux needs a value' "$VAS" run --linux
fails 2 "not 'six'" "$VAS" run --linux six -- true
fails 127 'no-such-program: No such file' "$VAS" run -- no-such-program
fails 126 'Permission denied' "$VAS" run -- /etc/passwd
fails 7 '' "$VAS" run -- sh -c 'exit 7'
fails 143 '' "$VAS" run -- sh -c 'kill -TERM $$'

# The same output and status.
same() { # COMMAND...
	local status=0
	(cd "$dir" && "$@") >"$dir/native" 2>/dev/null || status=$?
	for how in --stats "--stats --portable" "--stats --one-cpu --linux 5.10"; do
		local served=0
		# shellcheck disable=SC2086 # a list of options
		(cd "$dir" && "$VAS" run $how -- "$@") >"$dir/served" 2>"$dir/stats" || served=$?
		[ $served = $status ] || { echo "$how $*: status $served, not $status"; exit 1; }
		cmp "$dir/native" "$dir/served" || { echo "$how $*: other output"; exit 1; }
		grep -q '[1-9][0-9]* calls served' "$dir/stats"
	done
}
VAS=$(realpath "$VAS")
cat >"$dir/grow.py" <<'PYTHON'
import mmap, os
rows = [(i, str(i)) for i in range(100000)]
grown = bytearray()
for i in range(60):
    grown.extend(bytes([i]) * 500000)
m = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for i in range(1, 100):
    m.resize((i + 1) << 16)
    m[i << 16] = i
child = os.fork()
if child == 0:
    os._exit(len([x for x, _ in rows]) % 250)
print(os.waitpid(child, 0)[1], sum(grown[::4096]), sum(m[i << 16] for i in range(100)))
PYTHON
same python3 grow.py
# Private memory moves by being copied where there is no mremap, and by page tables where there is.
"$VAS" run --stats --portable -- python3 "$dir/grow.py" 2>&1 >/dev/null |
	grep -q '[1-9][0-9]* moves, 0 pages moved without copying, [1-9][0-9]* bytes copied'
"$VAS" run --stats -- python3 "$dir/grow.py" 2>&1 >/dev/null |
	grep -q '[1-9][0-9]* moves, [1-9][0-9]* pages moved without copying, 0 bytes copied'
same sh -c 'seq 20000 | sort -rn | md5sum; exit 3'
if command -v xz >/dev/null; then
	seq 300000 >"$dir/numbers"
	same sh -c 'xz -T2 -1 -c numbers | sha256sum'
fi
if command -v sqlite3 >/dev/null; then
	cat >"$dir/sql" <<'SQL'
PRAGMA mmap_size=268435456;
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<20000)
INSERT INTO t SELECT x, 'row ' || hex(x * 7919) FROM c;
CREATE INDEX i ON t(b);
SELECT count(*), sum(a), min(b), max(b) FROM t;
SQL
	same sh -c 'rm -f db; sqlite3 db <sql; sha256sum <db'
fi

# Whoever kills `vas run` kills the program, and nothing stays.
ls /dev/shm >"$dir/before"
"$VAS" run --portable -- sh -c 'echo $$; exec sleep 1000' >"$dir/pid" &
run=$!
until [ -s "$dir/pid" ]; do sleep 0.05; done
kill -KILL $run
wait $run 2>/dev/null || true
for _ in $(seq 100); do
	[ -d "/proc/$(cat "$dir/pid")" ] || break
	sleep 0.05
done
[ ! -d "/proc/$(cat "$dir/pid")" ] || { echo "the program has outlived vas run"; exit 1; }
ls /dev/shm | cmp - "$dir/before"
