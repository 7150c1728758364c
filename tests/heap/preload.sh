#!/bin/bash
# Real programs with libvasheap.so preloaded: the same output as without, byte for byte.
#
# usage: preload.sh LIBVASHEAP_SO CC
set -u
library=$1 cc=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0 compared=0

# same NAME COMMAND...: the command's output and status, plain and preloaded, with each setting
same() {
	local name=$1 settings
	shift
	"$@" >plain.out 2>plain.err
	echo $? >>plain.out
	for settings in "" portable=yes rooms=no keep=0; do
		VAS_HEAP=$settings LD_PRELOAD=$library "$@" >loaded.out 2>loaded.err
		echo $? >>loaded.out
		compared=$((compared + 1))
		cmp -s plain.out loaded.out && cmp -s plain.err loaded.err && continue
		echo "$name with VAS_HEAP='$settings' is not as without:"
		diff plain.out loaded.out | head -5
		diff plain.err loaded.err | head -5
		failed=1
	done
}

cat >lists.py <<'PY'
import hashlib, threading, os
data = bytearray()
for n in range(3000):
    data += bytes([n % 251]) * 4096
items = []
for n in range(300000):
    items.append(n)
del items[1000:]
def work(out, k):
    mine = bytearray()
    for n in range(500):
        mine += bytes([(n + k) % 256]) * 9999
    out[k] = hashlib.sha256(mine).hexdigest()
out = [None] * 4
threads = [threading.Thread(target=work, args=(out, k)) for k in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
if os.fork() == 0:
    data += b"child" * 100000
    os._exit(len(data) % 256)
print(os.waitstatus_to_exitcode(os.wait()[1]), hashlib.sha256(data).hexdigest(), sum(items), out)
PY
python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) &&
	same python3 "$python" lists.py

printf '#include <stdio.h>\n%s\nint main(void) { puts("compiled"); return 0; }\n' \
	"$(seq 1 3000 | sed 's/.*/int f&(int a) { return a * & + 1; }/')" >program.c
same cc "$cc" -O1 -S -o - program.c

if command -v sqlite3 >/dev/null; then
	cat >rows.sql <<'SQL'
pragma cache_size=-20000;
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i+1 from n where i<40000)
insert into t select i, hex(i*7919)||printf('%0300d', i) from n;
create index x on t(b);
select count(*), sum(length(b)), max(b) from t;
select length(group_concat(b)) from t;
SQL
	same sqlite3 sqlite3 :memory: ".read rows.sql"
fi

seq 1 200000 | sort -R --random-source=/dev/zero >numbers
same sort sort -n -S 30M numbers

# A call that is wrong is told, and ends the program.
cat >twice.c <<'C'
#include <stdlib.h>
int main(void) { void *volatile p = malloc(1 << 20); free(p); free(p); return 0; }
C
"$cc" -w -fno-builtin -o twice twice.c
if (ulimit -c 0; LD_PRELOAD=$library ./twice) 2>words; then
	echo "a double free went unnoticed"
	failed=1
fi
grep -q 'vas heap: free(0x.*double free' words || { cat words; failed=1; }
VAS_HEAP=nonsense=1,keep=1m LD_PRELOAD=$library sort -n numbers 2>words >/dev/null
grep -q 'VAS_HEAP: no such setting, or out of range: nonsense=1$' words || { cat words; failed=1; }

echo "$compared runs compared"
[ $compared -ge 8 ] && exit $failed
