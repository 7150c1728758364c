# Progress on a terminal: never between the pieces of what the program writes or what is typed for
# it; by itself only where the program's output goes to files.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$VAS" check --quiet -- true 2>"$dir/true" || { echo "skipped: no ptrace"; exit 77; }

cat >"$dir/program.py" <<'EOF'
import mmap, os, sys

def work(until):  # memory calls, until the terminal has shown what it should
    while not os.path.exists(os.path.join(sys.argv[1], until)):
        mmap.mmap(-1, 4096).close()

print("line one", flush=True)
work("first")
os.writev(1, [b"na", b"me? ", b""])
work("asked")
answer = sys.stdin.readline()
print("hello", answer.strip(), flush=True)
work("last")
EOF
cat >"$dir/terminal.py" <<'EOF'
import os, pty, re, select, sys, time

vas, dir, how = sys.argv[1:4]
program = [sys.executable, dir + "/program.py", dir]
for name in ("first", "asked", "last", "out"):
    if os.path.exists(f"{dir}/{name}"):
        os.remove(f"{dir}/{name}")
pid, fd = pty.fork()
if pid == 0:
    if how == "files":
        out = os.open(dir + "/out", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
    asked = ["--progress"] if how == "asked" else []
    os.execv(vas, [vas, "check", *asked, "--", *program])

def screen(text):
    """What a terminal shows of it, a line each."""
    lines, column = [""], 0
    for piece in re.findall(r"\033\[K|.", text, re.S):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            lines.append("")
        elif piece == "\033[K":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column].ljust(column) + piece + lines[-1][column + 1:]
            column += 1
    return lines

stream = ""
def more(seconds):
    """False: the program has ended, or nothing came for so long."""
    global stream
    if not select.select([fd], [], [], seconds)[0]:
        return False
    try:
        got = os.read(fd, 4096).decode()
    except OSError:
        got = ""
    stream += got
    return bool(got)

def wait_for(pattern, since=0):
    while not re.search(pattern, stream[since:]):
        if not more(100):
            sys.exit(f"{how}: no {pattern!r} in {stream!r}")

def go_on(name):
    open(f"{dir}/{name}", "w").close()

def stays(line):
    """Nothing is shown beside `line` (a little time for it to go wrong)."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        more(0.1)
    if screen(stream)[-1] != line:
        sys.exit(f"{how}: {screen(stream)[-1]!r} on the screen, not {line!r}")

progress = r"vas check: \d+ calls, 0 differences\033\[K"
if how == "asked":
    wait_for("line one")
    wait_for(progress)
    go_on("first")
    wait_for(r"name\? ")
    stays("name? ")
    go_on("asked")
    os.write(fd, b"joe\n")
    wait_for("hello joe")
    wait_for(progress, stream.index("hello joe"))
elif how == "files":
    wait_for(progress)
    go_on("first")
    go_on("asked")
    wait_for(r"\r\033\[K$")  # somebody reads
    os.write(fd, b"joe\n")
else:
    wait_for("line one")
    stays("")
    go_on("first")
    wait_for(r"name\? ")
    go_on("asked")
    os.write(fd, b"joe\n")
    wait_for("hello joe")
    stays("")
go_on("last")
while more(100):
    pass
os.waitpid(pid, 0)
lines = screen(stream)
if how == "files":
    with open(dir + "/out", encoding="utf-8") as file:
        written = file.read()
    good = "\033" not in written and written.startswith("line one\nname? hello joe\n")
    good = good and written.endswith("Nothing differs.\n")
    good = good and lines == ["joe", ""]
else:
    good = lines[:3] == ["line one", "name? joe", "hello joe"] and lines[-2] == "Nothing differs."
    good = good and not any(line.startswith("vas check:") for line in lines)
    good = good and (how == "asked" or "\033" not in stream)
if not good:
    sys.exit(f"{how}: {lines}")
EOF
for how in asked files plain; do
	python3 "$dir/terminal.py" "$VAS" "$dir" $how
done
