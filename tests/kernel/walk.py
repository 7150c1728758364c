#!/usr/bin/env python3
"""After random calls on the kernel port, QEMU's walk of the page tables equals vas's own.

usage: walk.py VAS ARCH PROGRAM SEED [OPTION]...   (PROGRAM: of tests/kernel/random.c)

x86-64: every page, its frame, accessed and dirty bit (`info tlb`) and the rights that all levels
together give (`info mem`). RISC-V: the same, but for rights that upper levels take away (`info mem`
looks at the leaf). AArch64: the physical address of every page, and of pages that are not there
(`gva2gpa`). 77: something is not there.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile

PAGE = 4096
READ, WRITE, EXEC = 1, 2, 4
SKIPPED = 77


def fail(*words):
    print("walk:", *words)
    sys.exit(1)


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.answer()

    def answer(self):
        said = b""
        while not said.endswith(b"(qemu) "):
            some = self.socket.recv(1 << 16)
            if not some:
                fail("the monitor is gone")
            said += some
        return said.decode(errors="replace").replace("\r", "")

    def ask(self, words):
        self.socket.sendall(words.encode() + b"\n")
        return self.answer()

    def quit(self):
        self.socket.sendall(b"quit\n")


def boot(arguments, folder):
    """The machine, its monitor, and vas's own walk: virtual -> (physical, word, rights)."""
    vas, arch, program, seed, *options = arguments
    path = os.path.join(folder, "monitor")
    machine = subprocess.Popen([vas, "boot", "--arch", arch, "--walk", path, "--timeout", "120",
                                *options, program, seed], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    found = {}
    for line in machine.stdout:
        words = line.split()
        if line.startswith("walk: the end"):
            return machine, Monitor(path), found
        if line.startswith("walk: "):
            at, phys, word = (int(text, 16) for text in words[1:4])
            found[at] = (phys, word, int(words[4]))
        else:
            print(line, end="")
    sys.exit(SKIPPED if machine.wait() == SKIPPED else 1)


def compare(name, theirs, ours):
    """Two dictionaries by page."""
    for at in sorted(set(theirs) | set(ours)):
        if theirs.get(at) != ours.get(at):
            fail(f"{name} of page {at:x}: QEMU {theirs.get(at)}, vas {ours.get(at)}")


def x86_64(monitor, found):
    pages = {}
    for text, phys, flags in re.findall(r"^(\w{16}): (\w{16}) ([-A-Z]{9})", monitor.ask("info tlb"),
                                        re.M):
        at = int(text, 16)
        if at >> 47 == 0:
            count = 512 if "P" in flags else 1
            for i in range(count):
                pages[at + i * PAGE] = (int(phys, 16) + i * PAGE, "A" in flags, "D" in flags)
    compare("frame, accessed, dirty", pages,
            {at: (phys, bool(word & 0x20), bool(word & 0x40))
             for at, (phys, word, _) in found.items()})
    writable = {}
    for start, end, flags in re.findall(r"^(\w{16})-(\w{16}) \w{16} (\S{3})",
                                        monitor.ask("info mem"), re.M):
        for at in range(int(start, 16), min(int(end, 16), 1 << 47), PAGE):
            if flags[0] == "u":
                writable[at] = flags[2] == "w"
    compare("right to write", writable, {at: bool(rights & WRITE)
                                         for at, (_, _, rights) in found.items()})


def riscv64(monitor, found):
    pages = {}
    for start, phys, size, flags in re.findall(r"^(\w{16}) (\w{16}) (\w{16}) ([-a-z]{7})",
                                               monitor.ask("info mem"), re.M):
        for i in range(0, int(size, 16), PAGE):
            if "u" in flags:
                pages[int(start, 16) + i] = (int(phys, 16) + i, "a" in flags, "d" in flags,
                                             "w" in flags, "x" in flags)
    compare("frame, accessed, dirty, rights", pages,
            {at: (phys, bool(word & 0x40), bool(word & 0x80), bool(word & 4), bool(word & 8))
             for at, (phys, word, _) in found.items()})


def aarch64(monitor, found):
    theirs, ours = {}, {}
    for at in sorted(found):
        for page in (at, at + PAGE):
            said = re.search(r"^gpa: 0x(\w+)", monitor.ask(f"gva2gpa {page:#x}"), re.M)
            if said:
                theirs[page] = int(said.group(1), 16)
        ours[at] = found[at][0]
    compare("frame", theirs, ours)


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        machine, monitor, found = boot(sys.argv[1:], folder)
        try:
            if len(found) < 300:
                fail(f"only {len(found)} pages are there")
            {"x86_64": x86_64, "riscv64": riscv64, "aarch64": aarch64}[sys.argv[2]](monitor, found)
        finally:
            monitor.quit()
            machine.wait()
        print(f"{len(found)} pages, as QEMU walks them")


if __name__ == "__main__":
    main()
