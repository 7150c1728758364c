#!/usr/bin/env python3
"""The shell as somebody at a terminal meets it. usage: terminal.py VAS [--plain | --both]
--plain: it was built without line editing. --both: the kernel answers too, or 77.

Each step types something and waits for what must come; nothing is measured in time but the end of
all patience.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

PATIENCE = 60  # seconds
PROMPT = "vas> "
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|\x07|\x0f")


class Terminal:
    """A program under a terminal of its own."""

    def __init__(self, *command, columns=100, **environment):
        self.seen = ""  # what has come and was not waited for
        self.all = ""
        home = tempfile.mkdtemp()
        variables = {"PATH": os.environ["PATH"], "HOME": home, "TERM": "xterm", **environment}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", 40, columns, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execvpe(command[0], command, variables)
        self.wait(PROMPT)

    def read(self):
        ready, _, _ = select.select([self.fd], [], [], 0.2)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536).decode("latin-1")
        except OSError:
            return False
        self.seen += data
        self.all += data
        return bool(data)

    def wait(self, text):
        """Until `text` has come, looked for without the terminal's escapes; what came before it."""
        end = time.monotonic() + PATIENCE
        while True:
            plain = ESCAPES.sub("", self.seen)
            if text in plain:
                before, self.seen = plain.split(text, 1)
                return before
            if time.monotonic() > end or not self.read():
                sys.exit(f"waited for {text!r}, got {plain!r}")

    def type(self, text):
        os.write(self.fd, text.encode())

    def ask(self, line, *answers):
        """Types a line; each of the answers must come before the next prompt, which is returned."""
        self.type(line + "\r")
        self.wait("\n")  # behind the echo
        text = self.wait(PROMPT)
        for answer in answers:
            if answer not in text:
                sys.exit(f"{line}: wanted {answer!r}, got {text!r}")
        return text

    def end(self):
        """Ctrl-D: a line of its own, status 0. Whoever edits lines has the prompt written before
        the terminal is its own; typed in between, Ctrl-D is the terminal's, which may lose it."""
        end = time.monotonic() + PATIENCE
        while "--plain" not in sys.argv and termios.tcgetattr(self.fd)[3] & termios.ICANON:
            if time.monotonic() > end:
                sys.exit("the terminal is nobody's")
            time.sleep(0.01)
        self.type("\x04")
        while self.read():
            if time.monotonic() > end:
                sys.exit(f"no end, but {self.seen!r}")
        _, status = os.waitpid(self.pid, 0)
        if status != 0 or not self.seen.endswith("\n"):
            sys.exit(f"the end: status {status}, {self.seen!r}")
        os.close(self.fd)


def lines(vas):
    """Names, cancelled lines, hints, undo, the end."""
    shell = Terminal(vas, "shell")
    shell.ask("p = mmap(NULL, 8k, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)",
              "p = mmap(NULL, 8192,", "= 0x7ffff7ffd000")
    shell.type("store(p, 0x11)\x03")
    shell.wait(PROMPT)
    shell.ask("load(p)", "= 0x00")
    for _ in range(3):  # empty ones
        shell.type("\x03")
        shell.wait(PROMPT)
    shell.ask("store(p, 0x22)", "= 0")
    shell.ask("load(p) = 0x33", "= 0x22", "not as expected: = 0x33")
    shell.ask("undo", "undone: load(0x7ffff7ffd000)")
    shell.ask("undo", "undone: store(0x7ffff7ffd000, 0x22)")
    shell.ask("load(p)", "= 0x00")
    for _ in range(3):
        shell.ask("undo", "undone: ")
    shell.ask("load(p)", "unknown name 'p'")
    shell.ask("undo", "no call has been made")
    shell.ask("mremap(0x1000, 4k, 8k, MAYMOVE)", "did you mean 'MREMAP_MAYMOVE'?")
    shell.ask("?", "walk", "mremap")
    shell.ask("help mermap", "did you mean 'mremap'?")
    shell.ask("help mremap", "MREMAP_DONTUNMAP", "since Linux 6.17", "M1.9")
    shell.ask("mremap(0x1000, 4k, 4k, MREMAP_FIXED, 0x9000)", "EINVAL")
    shell.ask("why", "need MREMAP_MAYMOVE with them (M1.5)")
    shell.end()


def completion(vas):
    """By argument; behind a whole flag, what joins it to the next."""
    shell = Terminal(vas, "shell")
    shell.ask("base_of_it = mmap(NULL, 4k, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)", "= 0x")
    shell.ask("mad\t(bas\t, 4k, MADV_COLL\t)", "madvise(0x7ffff7ffe000, 4096, MADV_COLLAPSE) = ")
    shell.ask("mprot\t(base\t, 4k, PROT_WR\t\tPROT_RE\t)", "PROT_READ|PROT_WRITE) = 0")
    shell.ask("wal\t base\t", "level 3")
    shell.ask("[1] c = for\t()", "c = fork() = 2")
    shell.ask("? mre\t", "MREMAP_DONTUNMAP")
    shell.ask("mmap(NULL, 4k, MADV_COLL\t, 0, 0, 0)", "unknown name 'MADV_COLL'")  # none there
    shell.ask("munmap(NULL, 4k, MADV_COLL\t)", "too many arguments")
    shell.end()


def pasted_logs(vas):
    """A log of a real program: one hint, and the shell goes on."""
    log = ('execve("/bin/true", ["true"], 0x7ffc10 /* 20 vars */) = 0\r' +
           "brk(NULL) = 0x55fc66339000\r" * 40 + "+++ exited with 0 +++\r")
    shell = Terminal(vas, "shell")
    shell.type(log)
    shell.wait("vas check --record")
    shell.wait(PROMPT)
    shell.ask("load(0x1000)", "SIGSEGV")
    if shell.all.count("vas check --record") != 1 or "unknown" in shell.all:
        sys.exit(f"more than one hint: {shell.all!r}")
    shell.end()


def pictures(vas):
    """As wide as the terminal; colours, unless they are not wanted."""
    for columns, environment, coloured in ((60, {}, True), (200, {"NO_COLOR": "1"}, False),
                                           (90, {"TERM": "dumb"}, False), (400, {}, True)):
        shell = Terminal(vas, "shell", columns=columns, **environment)
        shell.ask("p = mmap(NULL, 8k, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)")
        shell.all = ""
        text = shell.ask("picture", "- before the call  + after it", "r--p")
        if ("\x1b[34m==\x1b[m" in shell.all) != coloured:
            sys.exit(f"columns {columns}, colours {not coloured}: {shell.all!r}")
        bar = max(line.count("-") for line in text.splitlines())
        if bar != min(max((min(columns, 200) - 40) // 2, 10), 48):
            sys.exit(f"a bar of {bar} in {columns} columns")
        shell.end()


def both(vas):
    """Ctrl-C is the shell's alone: the kernel's side goes on; undo makes both anew."""
    shell = Terminal(vas, "shell", "--on", "both")
    shell.ask("p = mmap(NULL, 8k, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)", "= 0x")
    shell.type("store(p, 0x11)\x03")
    shell.wait(PROMPT)
    shell.ask("store(p, 0x22)", "= 0")
    shell.ask("undo", "undone: ")
    shell.ask("load(p)", "= 0x00")
    shell.end()


def main():
    vas = sys.argv[1]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if "--both" in sys.argv:
        probe = subprocess.run([vas, "shell", "--on", "both"], input=b"fork()\n", check=False)
        if probe.returncode:
            print("the kernel cannot be asked here")
            sys.exit(77)
        both(vas)
        return
    for test in (lines, completion, pasted_logs, pictures):
        if test is not completion or "--plain" not in sys.argv:
            test(vas)


if __name__ == "__main__":
    main()
