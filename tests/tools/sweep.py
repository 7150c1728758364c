#!/usr/bin/env python3
"""Checks that the sweep of failing allocations has every public function that can allocate: that
test_oom.c has a scene for each function that vas.h declares and from which the calls in the objects
lead to frame_alloc or slab_alloc.

usage: sweep.py OBJDUMP ARCHIVE VAS_H TEST_OOM_C
"""
import re
import subprocess
import sys

import archive

ALLOCATE = {"frame_alloc", "slab_alloc"}
# The one way down through the tables (walk.c) makes them for who asks for that; these only look.
LOOK = {"spot_find", "spot_find_own", "pagetable_lookup"}
# Makes the memory that is swept.
BEFORE_ANY = {"vas_system_create"}


def calls_of(objdump, path):
    """Who names whom, by name: static functions of the same name in two files count as one."""
    out = subprocess.run([objdump, "-dr", "--no-show-raw-insn", path], check=True,
                         capture_output=True, text=True).stdout
    calls, here = {}, None
    for line in out.splitlines():
        if match := re.match(r"[0-9a-f]+ <([\w.]+)>:$", line):
            here = calls.setdefault(match.group(1), set())
        elif here is not None:
            here.update(re.findall(r"\b(?:call|jmp)\w*\s+[0-9a-f]+ <(\w+)", line))
            here.update(re.findall(r"\bR_X86_64_\w+\s+(\w+)", line))
    return calls


def main():
    objdump, objects, header, test = sys.argv[1:]
    calls = calls_of(objdump, objects)
    for name in LOOK:
        del calls[name]
    reaches = set(ALLOCATE)
    while more := {name for name, named in calls.items() if named & reaches} - reaches:
        reaches |= more
    text = open(test, encoding="utf-8").read()
    swept = set(re.findall(r'\{"(vas_\w+)"', text))
    public = {name for name in archive.declared(header) if not name.startswith("vas_format_")}
    wrong = [f"{test}: no scene for {name}, which can allocate"
             for name in sorted(public & reaches - BEFORE_ANY - swept)]
    wrong += [f"{test}: {name} is not declared" for name in sorted(swept - public)]
    print("\n".join(wrong) if wrong else f"{len(public & reaches)} of {len(public)} can allocate")
    return 1 if wrong or not public & reaches else 0


if __name__ == "__main__":
    sys.exit(main())
