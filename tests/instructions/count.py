#!/usr/bin/env python3
"""Counts the instructions of the hot paths and compares them with those on record.

usage: count.py [--write] PROGRAM    (PROGRAM: what instr.c was built into)

The count of one call is repeatable to the instruction, whatever else the machine does, so a path
that has become slower is seen in review. Exit status 1: some path takes more than the tolerance
in record.txt allows. --write puts the counts of today on record. 77: they cannot be
compared here (no valgrind; another compiler than that of the record), with a word why.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "record.txt")
TOLERANCE = 3  # percent, of a new record
SKIPPED = 77

HEAD = """\
# Instructions of one call, all that it calls included, by valgrind --tool=callgrind.
# `make bench-instr` writes this file; a test compares with it. The paths are in instr.c:
# few vmas (16) or 65,536 of them (_64k), 1 GiB of present pages (_1g), memcpy and memset done
# in words of 8 bytes, 4 at a time, so that counts do not depend on a C library.
#
# Calls on few vmas cost 2 to 8 % more than in the first record of these paths (November 2026): for
# spaces in groups, pages that are elsewhere, memory kept so that freeing needs none, and a lock
# that lets faults into long calls. msync pauses, too. Moves, forks' ends, truncation cost less.
"""


def skip(why):
    print(f"instructions: skipped: {why}")
    sys.exit(SKIPPED)


def count(program):
    """path -> instructions per call, and the line that says who built the program."""
    if not shutil.which("valgrind") or not shutil.which("callgrind_annotate"):
        skip("valgrind is not installed")
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "callgrind.out")
        ran = subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
                              program], capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f"instructions: {program} failed:\n{ran.stderr}")
        shown = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100",
                                "--auto=no", out], check=True, capture_output=True, text=True,
                               cwd=directory)
    total = {}
    for match in re.finditer(r"^\s*([\d,]+) .*:path_(\w+)[ .]", shown.stdout, flags=re.M):
        total[match[2]] = total.get(match[2], 0) + int(match[1].replace(",", ""))
    built, *lines = ran.stdout.strip().split("\n")
    calls = dict(line.split() for line in lines)
    missing = sorted(set(calls) - set(total))
    if missing:
        sys.exit(f"instructions: callgrind does not show {', '.join(missing)}")
    return {path: total[path] / int(n) for path, n in calls.items()}, built


def read_record():
    record, built, tolerance = {}, "", TOLERANCE
    if not os.path.exists(RECORD):
        return record, built, tolerance
    with open(RECORD, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if line.startswith("built by"):
                built = line.strip()
            elif line.startswith("tolerance"):
                tolerance = float(words[1])
            elif words and not line.startswith("#"):
                record[words[0]] = float(words[1].replace(",", ""))
    return record, built, tolerance


def write_record(counts, built, tolerance):
    with open(RECORD, "w", encoding="utf-8") as file:
        file.write(f"{HEAD}{built}\ntolerance {tolerance:g} percent\n\n")
        for path, n in counts.items():
            file.write(f"{path:<24} {n:>14,.1f}\n")


def show(counts, record):
    for path, n in counts.items():
        before = record.get(path)
        change = f"{100 * (n / before - 1):+8.1f} %" if before else "     new"
        print(f"{path:<24} {n:>14,.1f} {change}")


def compare(counts, record, tolerance):
    """Prints what does not match; whether all does."""
    good = True
    for path in sorted(set(counts) | set(record)):
        n, before = counts.get(path), record.get(path)
        if n is None or before is None:
            print(f"instructions: {path} is only {'on record' if n is None else 'in the program'}"
                  ": make bench-instr")
            good = False
        elif n > before * (1 + tolerance / 100):
            print(f"instructions: {path} takes {n:,.1f}, on record are {before:,.1f}: if it must "
                  "be so, make bench-instr")
            good = False
    return good


def main():
    arguments = [word for word in sys.argv[1:] if word != "--write"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    counts, built = count(arguments[0])
    record, recorded_by, tolerance = read_record()
    if "--write" in sys.argv:
        show(counts, record)
        write_record(counts, built, tolerance)
        return 0
    if built != recorded_by:
        skip(f"{built}, but the record is '{recorded_by}'")
    if not compare(counts, record, tolerance):
        return 1
    print(f"instructions: {len(counts)} paths, none above its record by {tolerance:g} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
