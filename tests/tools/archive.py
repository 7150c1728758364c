#!/usr/bin/env python3
"""Checks what an archive of the core defines and what it needs, against vas.h.

usage: archive.py [--many] [--hook NAME] [--allow NAME] NM ARCHIVE VAS_H

Every function and object that vas.h declares is defined; a one-unit archive defines nothing else
(with --many, internals may show, hidden). The only names it may need are the four that a C compiler
itself calls: memcpy, memmove, memset, memcmp; it must need what a --hook names, and may need what
an --allow names.
"""
import argparse
import re
import subprocess
import sys

ALLOWED = {"memcpy", "memmove", "memset", "memcmp"}


def declared(header):
    """Names of the functions and objects that the header declares."""
    text = re.sub(r"/\*.*?\*/", "", open(header, encoding="utf-8").read(), flags=re.S)
    text = re.sub(r"typedef[^;]*;", "", text)
    functions = re.findall(r"^\w[\w\s*]*?\b(vas_\w+)\(", text, flags=re.M)
    objects = re.findall(r"^extern\s+const\s+struct\s+\w+\s+(vas_\w+);", text, flags=re.M)
    return set(functions) | set(objects)


def symbols(nm, archive):
    """(defined, undefined) global names of an archive, all members taken together."""
    defined, undefined = set(), set()
    output = subprocess.run([nm, "-g", archive], check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] in "Uw":
            undefined.add(fields[1])
        elif len(fields) == 3:
            defined.add(fields[2])
    return defined, undefined - defined


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--many", action="store_true")
    options.add_argument("--hook", action="append", default=[])
    options.add_argument("--allow", action="append", default=[])
    options.add_argument("files", nargs=3)
    args = options.parse_args()
    nm, archive, header = args.files
    public = declared(header)
    defined, undefined = symbols(nm, archive)
    wrong = [f"{header}: {name} is declared but not defined" for name in sorted(public - defined)]
    if not args.many:
        wrong += [f"{archive}: {name} is defined but not in vas.h"
                  for name in sorted(defined - public)]
    allowed = ALLOWED.union(args.hook, args.allow)
    wrong += [f"{archive}: needs {name}" for name in sorted(undefined - allowed)]
    wrong += [f"{archive}: does not call {name}" for name in args.hook if name not in undefined]
    print("\n".join(wrong) if wrong else
          f"{len(public)} public names; needs only: {' '.join(sorted(undefined)) or 'nothing'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
