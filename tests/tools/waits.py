#!/usr/bin/env python3
"""Checks what the headers say that each function waits for ("waits: owners", behind its
declaration) against what the calls in the objects lead to: locks, software TLBs and
port.invalidate, others at work on an object. The words are explained at the head of vas.h.

usage: waits.py OBJDUMP ARCHIVE... -- HEADER...
"""
import re
import sys

import archive
import sweep

# Who gets to one of these waits for more than the word before.
LOCKS = {"spin_wait"}
SPACES = {"read_wait", "write_wait"}
OWNERS = {"tlb_invalidate"}
OBJECTS = {"object_work_begin"}
SYSTEM = {"lock_spaces"}
# Calls what it is given, such as this.
GIVEN = {"vas_posix_text": "vas_smaps"}


def reached(calls, name):
    seen, todo = set(), [name]
    while todo:
        if (here := todo.pop()) not in seen:
            seen.add(here)
            todo += calls.get(here, ())
    return seen


def words_for(seen):
    """What may be said of a function whose calls lead to `seen`."""
    if seen & SYSTEM:
        return {"system"}
    if seen & OBJECTS:
        return {"object"}
    if seen & OWNERS:
        return {"owners"}
    if seen & SPACES:
        return {"space", "list"}
    return {"briefly"} if seen & LOCKS else {"never", "no lock"}


def said(header):
    """function -> its word, or None"""
    text = open(header, encoding="utf-8").read()
    found = {name: None for name in archive.declared(header) if not name.startswith("vas_format_")}
    declaration = r"^\w[\w\s*]*?\b(vas_\w+)\([^;{]*?\)(?:;|\n\{)\s*(?:/\* waits: ([\w ]+) \*/)?"
    for name, word in re.findall(declaration, text, flags=re.M):
        if name in found:
            found[name] = word or None
    return found


def main():
    objdump, *rest = sys.argv[1:]
    archives, headers = rest[:rest.index("--")], rest[rest.index("--") + 1:]
    calls, wrong, known = {}, [], 0
    for path in archives:
        for name, named in sweep.calls_of(objdump, path).items():
            calls.setdefault(name, set()).update(named)
    for name, given in GIVEN.items():
        calls.setdefault(name, set()).add(given)
    for header in headers:
        for name, word in sorted(said(header).items()):
            seen = reached(calls, name)
            known += len(seen & (LOCKS | SPACES)) > 0
            if word not in words_for(seen):
                wrong.append(f"{header}: {name} waits for \"{word or 'nothing that is said'}\", by "
                             f"its calls: {' or '.join(sorted(words_for(seen)))}")
    print("\n".join(wrong) if wrong else f"{known} functions can wait, all for what they say")
    return 1 if wrong or not known else 0


if __name__ == "__main__":
    sys.exit(main())
