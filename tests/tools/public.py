#!/usr/bin/env python3
"""Checks that threads call every public function: that test_public.c has a run_NAME for each
function that the headers declare, which calls it and is in its list.

usage: public.py TEST_PUBLIC_C HEADER...
"""
import re
import sys

import archive


def main():
    test, *headers = sys.argv[1:]
    text = re.sub(r"/\*.*?\*/", "", open(test, encoding="utf-8").read(), flags=re.S)
    bodies = dict(re.findall(r"^static void run_(\w+)\(struct worker \*w\)\n\{\n(.*?)^\}\n", text,
                             flags=re.M | re.S))
    # What own_system does is done by each of those who call it.
    helpers = dict(re.findall(r"^static \w+ (\w+)\([^)]*\)\n\{\n(.*?)^\}\n", text,
                              flags=re.M | re.S))
    listed = re.search(r"calls\[\]\)\(struct worker \*\) = \{(.*?)\};", text, flags=re.S).group(1)
    wrong = []
    public = {name for header in headers for name in archive.declared(header)
              if not name.startswith("vas_format_")}
    for name in sorted(public):
        body = bodies.get(name, "")
        body += "".join(code for helper, code in helpers.items() if f"{helper}(" in body)
        if not re.search(rf"\b{name}\(", body):
            wrong.append(f"{test}: no run_{name} that calls {name}")
        if not re.search(rf"\brun_{name}\b", listed):
            wrong.append(f"{test}: run_{name} is not in the list")
    print("\n".join(wrong) if wrong else f"{len(public)} public functions are called by threads")
    return 1 if wrong or not public else 0


if __name__ == "__main__":
    sys.exit(main())
