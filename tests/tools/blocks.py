#!/usr/bin/env python3
"""Every block of code of README.md, SECURITY.md and docs/ does what it says: it is run.

usage: blocks.py ROOT VAS LIBVAS CC CXX

A block's language, the first word behind its fence, says how:
  sh       a script, in an empty folder, whose status is 0
  console  "$ command" and what it prints; "vas> line" is typed at `vas shell`. Blocks of one
           document follow each other. Where the kernel is asked ("vas check") one number is as good
           as another, and so is one frame in a walk; a line "..." stands for any lines
  strace   a script of calls that `vas exec` runs on vas: each answer is as it says
  c        a program: compiles without a warning as C11 and as C++20, and ends with 0
Behind the language "(not run: why)" says that it is not, and why: these are listed. Indented blocks
have no language, so there may be none. Exit status 77: the kernel may not be asked here.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


class Wrong(Exception):
    """What a block does that it should not."""


class Runner:
    def __init__(self, root, vas, library, cc, cxx):
        self.root, self.vas, self.library, self.cc, self.cxx = root, vas, library, cc, cxx
        self.folder = tempfile.mkdtemp()
        os.mkdir(os.path.join(self.folder, "bin"))
        os.symlink(vas, os.path.join(self.folder, "bin", "vas"))
        self.env = dict(os.environ, PATH=self.folder + "/bin:" + os.environ["PATH"], LC_ALL="C")
        self.typed, self.shown = [], []

    def run(self, command, stdin=""):
        return subprocess.run(command, cwd=self.folder, env=self.env, input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=120)

    def must(self, command, stdin=""):
        done = self.run(command, stdin)
        if done.returncode != 0:
            raise Wrong(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
        return done.stdout

    def sh(self, text):
        self.must(["bash", "-euo", "pipefail", "-c", text])

    def strace(self, text):
        self.must([self.vas, "exec", "--on", "vas", "-"], text)

    def c(self, text):
        path = os.path.join(self.folder, "main.c")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        flags = ["-Wall", "-Wextra", "-Werror", "-I", os.path.join(self.root, "include")]
        self.must([self.cc, "-std=c11", *flags, "-o", "c", path, self.library])
        self.must(["./c"])
        if shutil.which(self.cxx):
            flags.remove("-Wextra")
            self.must([self.cxx, "-std=c++20", *flags, "-o", "cxx", "-x", "c++", path,
                       "-x", "none", self.library])
            self.must(["./cxx"])

    def console(self, text):
        """Commands at once; what is typed at `vas shell` is gathered to the document's end."""
        command, wanted = None, []
        for line in text.split("\n")[:-1] + ["$ "]:
            if line.startswith("$ "):
                if command:
                    self.compare(command, wanted, self.run(["bash", "-c", command]).stdout)
                command, wanted = line[2:], []
                if command == "vas shell":
                    command = None
            elif line.startswith("vas> "):
                self.typed.append(line[5:])
            elif command is None:
                self.shown.append(line)
            else:
                wanted.append(line)

    def finish(self):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            five = " la57" in file.read()
        if self.typed and five:
            print("a walk has five levels here: what is typed at vas shell is not compared")
        elif self.typed:
            output = self.run([self.vas, "shell"], "\n".join(self.typed) + "\n").stdout
            self.compare("vas shell", self.shown, output)
        self.typed, self.shown = [], []

    @staticmethod
    def compare(command, wanted, output):
        """Lines; blanks at their ends do not count, for a document has none."""
        def lines(text, numbers):
            """Of physical addresses it only matters which are the same; of inodes nothing."""
            def named(match):
                word = int(match.group(0), 16)
                frame = numbers.setdefault(word & 0xffffffffff000, len(numbers))
                return f"F{frame}+{word & ~0xffffffffff000:x}"
            for line in text:
                if "vas check" in command:
                    line = re.sub(r"\d[\w.+-]*", "N", line)
                elif line.startswith("level "):
                    line = re.sub(r"0x[0-9a-f]+", named, line)
                yield re.sub(r" 00:01 \d+ ", " 00:01 N ", line).rstrip()
        pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n"
                          for line in lines(wanted, {}))
        got = "".join(line + "\n" for line in lines(output.split("\n")[:-1], {}))
        if not re.fullmatch(pattern, got):
            raise Wrong(f"$ {command}\nprints\n{output}and not\n" + "\n".join(wanted))


def documents(root):
    names = ["README.md", "SECURITY.md"]
    return names + sorted(os.path.relpath(path, root) for path in glob.glob(root + "/docs/*.md"))


def look(runner, name, counts):
    """Runs the blocks of a document; whether all are right."""
    with open(os.path.join(runner.root, name), encoding="utf-8") as file:
        text = file.read()
    good = True
    without = FENCE.sub(lambda match: "\n" * match.group(0).count("\n"), text)
    for match in re.finditer(r"\n\n(    \S.*)", without):
        print(f"{name}: a block without a language: {match.group(1).strip()}")
        good = False

    def attempt(line, run, *what):
        nonlocal good
        try:
            run(*what)
        except (Wrong, subprocess.TimeoutExpired) as wrong:
            print(f"{name}:{line}: {wrong}")
            good = False

    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        language, _, why = match.group(1).partition(" ")
        if re.fullmatch(r"\(not run: .{10,}\)", why):
            print(f"{name}:{line}: {language} {why}")
            counts["not run"] += 1
        elif language in ("sh", "strace", "c", "console") and not why:
            counts["run"] += 1
            attempt(line, getattr(runner, language), match.group(2))
        else:
            print(f"{name}:{line}: what is to be done with '{match.group(1)}'?")
            good = False
    attempt(1, runner.finish)
    return good


def main():
    root, vas, library, cc, cxx = sys.argv[1:6]
    runner = Runner(root, vas, library, cc, cxx)
    counts = {"run": 0, "not run": 0}
    try:
        if runner.run([vas, "check", "--", "true"]).returncode != 0:
            print("skipped: vas check may not trace a program here")
            return 77
        results = [look(runner, name, counts) for name in documents(root)]
    finally:
        shutil.rmtree(runner.folder)
    print(", ".join(f"{count} blocks {what}" for what, count in counts.items()))
    if counts["run"] < 10:
        print("that is too few: the documents are not read as they are written")
    return 0 if all(results) and counts["run"] >= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
