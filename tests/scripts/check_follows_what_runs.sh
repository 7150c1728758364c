# `vas check` of what is special in how it comes to a program: a process that runs already, one with
# threads, one of 32 bits between others, one without rights, one at a terminal.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	printf '%s\n' "$1"
	cat "$dir/out"
	exit 1
}

status=0
"$VAS" check -- true >"$dir/out" 2>&1 || status=$?
if grep -q -E 'cannot trace a program|seccomp: ' "$dir/out"; then
	exit 77
fi
[ $status = 0 ] || fail 'true differs'

# A process that runs already, with threads that come and go: followed until it is let go of, and
# then as alive as before; and followed to its end.
cat >"$dir/runs.py" <<'END'
import mmap, sys, threading, time
def work():
    kept = []
    for i in range(30):
        kept.append(mmap.mmap(-1, 65536))
        kept[-1][0] = 1
        if i % 3 == 0:
            kept.pop(0)
        time.sleep(0.005)
print("ready", flush=True)
for _ in range(int(sys.argv[1])):
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
END
python=$(python3 -c 'import sys; print(sys.executable)')
start() {
	"$python" "$dir/runs.py" "$1" >"$dir/ready" &
	pid=$!
	while [ ! -s "$dir/ready" ]; do sleep 0.05; done
}
start 200
"$VAS" check --attach $pid >"$dir/out" 2>&1 &
check=$!
sleep 1
while kill -INT $check 2>"$dir/gone"; do sleep 0.3; done # it may not have begun yet
wait $check || fail 'attached: differs'
grep -q '^The program goes on\.$' "$dir/out" || fail 'attached: not let go of'
kill -0 $pid || fail 'attached: it did not live on'
kill $pid
wait $pid || true
start 3
"$VAS" check --attach $pid >"$dir/out" 2>&1 || fail 'attached to the end: differs'
grep -q '^The program has ended\.$' "$dir/out" || fail 'attached: not followed to the end'
wait $pid || fail 'attached: it ended otherwise than alone'
for wrong in 0 x -1 ''; do
	status=0
	"$VAS" check --attach "$wrong" >"$dir/out" 2>&1 || status=$?
	[ $status = 2 ] || fail "--attach '$wrong': exit status $status"
done
status=0
"$VAS" check --attach 4194303 >"$dir/out" 2>&1 || status=$?
[ $status = 3 ] || fail "--attach of nobody: exit status $status"

# One call, with the map before and after it; none.
"$VAS" check --call 3 -- true >"$dir/out" 2>&1 || fail '--call: differs'
grep -q '^Call 3:$' "$dir/out" || fail '--call: not shown'
"$VAS" check --call 100000 --json -- true >"$dir/out" 2>&1 || fail '--call: differs'
grep -q '"shown_call":{"number":100000,"call":null,"maps":null}' "$dir/out" ||
	fail '--call: a call that there was not'

# Descriptors are the program's, with what they are: the loader has opened one.
"$VAS" check --record "$dir/log" -- true >"$dir/out" 2>&1 || fail '--record: differs'
number=$(awk '/^[0-9]+ .*\(/ && !/ touch\(/ { n++ } / fd=/ { print n; exit }' "$dir/log")
"$VAS" check --call "$number" -- true >"$dir/out" 2>&1 || fail '--call: differs'
grep -q -E '^  mmap\(NULL, .*, [0-9]+<[^>]+>, 0\) = ' "$dir/out" || fail 'not the descriptor'
sed 's/ fd=[0-9]* / /' "$dir/log" >"$dir/older" # without them, as older logs are
"$VAS" replay "$dir/log" "$dir/older" >"$dir/out" 2>&1 || fail 'replay: differs'

# A 32-bit program, made of a few instructions, between others: those are followed.
cat >"$dir/small.s" <<'END'
.globl _start
_start:	mov $1, %eax
	mov $7, %ebx
	int $0x80
END
if as --32 -o "$dir/small.o" "$dir/small.s" 2>/dev/null &&
	ld -m elf_i386 -o "$dir/small" "$dir/small.o" 2>/dev/null &&
	("$dir/small" || [ $? = 7 ]); then
	status=0
	"$VAS" check -- sh -c "true; $dir/small; [ \$? = 7 ] && exec ls /" >"$dir/out" 2>&1 ||
		status=$?
	[ $status = 3 ] || fail "a 32-bit program: exit status $status"
	grep -q 'not followed to its end: a 32-bit program: not supported' "$dir/out" ||
		fail 'a 32-bit program: not said'
	grep -q ' ls: .* calls, .* 0 differences' "$dir/out" ||
		fail 'what came after it was not followed'
	grep -q '^The program exited with 0\.$' "$dir/out" ||
		fail 'it ended otherwise than alone'
fi

# Without rights, so with no_new_privs; on all CPUs.
if [ "$(id -u)" = 0 ] && command -v setpriv >"$dir/out"; then
	cp "$VAS" "$dir/vas"
	chmod 755 "$dir" "$dir/vas"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/vas" check -- \
		sh -c 'true | cat; exec ls /' >"$dir/out" 2>&1 || fail 'without rights: differs'
fi
"$VAS" check --all-cpus -- sh -c 'true | cat; exec ls /' >"$dir/out" 2>&1 ||
	fail '--all-cpus: differs'

# At a terminal: the program has it as alone, and what is typed there reaches it.
cat >"$dir/terminal.py" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
text, typed = b"", False
try:
    while True:
        part = os.read(fd, 4096)
        if not part:
            break
        text += part
        if not typed and b"\n" in text:  # its echo stands behind what was written before
            typed = True
            os.write(fd, b"word\n")
except OSError:
    pass
sys.stdout.write(text.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
asks='test -t 0 && test -t 1 && stty size && read x && echo "got $x"; tty | wc -l'
"$python" "$dir/terminal.py" sh -c "$asks" >"$dir/alone" || true
"$python" "$dir/terminal.py" "$VAS" check --output "$dir/out" -- sh -c "$asks" \
	>"$dir/checked" || true
diff "$dir/alone" "$dir/checked" || fail 'at a terminal: otherwise than alone'
grep -q 'got word' "$dir/checked" || fail 'at a terminal: what was typed did not arrive'
