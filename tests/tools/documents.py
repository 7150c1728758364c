#!/usr/bin/env python3
"""What the front documents name is there: files, make targets, commands and their options.

usage: documents.py ROOT VAS    (VAS: the program)

Of the documents in FRONT: what stands between backquotes or in
indented lines: `make X` is a target, `vas X --option` a command that knows the option, a path (with
a slash) a file or folder of the tree or one that a build makes.
"""
import glob
import os
import re
import subprocess
import sys

FRONT = ["README.md", "ARCHITECTURE.md", "HACKING.md", "SECURITY.md", "docs/status.md",
         "docs/faq.md", "docs/tutorial.md"]
# What is not in the tree: made by a build or an installation, or somebody else's.
MADE = re.compile(r"build/|\$|/|~|PREFIX|N/|SEED|http|application/")
FOLDERS = ("src", "include", "cli", "ports", "tests", "docs", "scripts", "examples", "cmake")


def spans(text):
    """Each piece of code of a document, on one line."""
    without = re.sub(r"^```.*?^```", lambda m: keep(m.group(0)), text, flags=re.M | re.S)
    found = [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", without)]
    for line in re.findall(r"^(?:    |\t)\s*(.*)$", text, re.M):
        found.append(line.split("#")[0].strip())
    return found + KEPT


KEPT = []


def keep(block):
    """Lines of a fenced block that are commands."""
    for line in block.split("\n")[1:-1]:
        KEPT.append(re.sub(r"^\s*\$\s*", "", line).split("  #")[0].strip())
    return ""


def targets(root):
    with open(os.path.join(root, "Makefile"), encoding="utf-8") as file:
        return set(re.findall(r"^([a-z][a-z-]*):", file.read(), re.M))


def help_of(vas, command, known={}):
    if command not in known:
        done = subprocess.run([vas, command, "--help"], capture_output=True, text=True, check=False)
        known[command] = done.stdout + done.stderr
    return known[command]


def wrong_command(vas, words):
    """Why `vas COMMAND OPTIONS` is not one of ours, or None."""
    if not words or words[0].startswith(("-", "(")) or not re.fullmatch(r"[a-z]+", words[0]):
        return None
    text = help_of(vas, words[0])
    if not re.search(rf"^usage: (vas )?{words[0]}\b", text, re.M):
        return f"there is no command vas {words[0]}"
    for word in words[1:]:
        if word == "--":
            break
        option = re.match(r"--[a-z][a-z-]*", word)
        if option and not re.search(re.escape(option.group(0)) + r"(?![a-z-])", text):
            return f"vas {words[0]} has no option {option.group(0)}"
    return None


def wrong(root, vas, code):
    words = code.split()
    for at, word in enumerate(words):
        if word == "make" and at + 1 < len(words) and at == 0:
            target = words[at + 1]
            if re.fullmatch(r"[a-z][a-z-]*", target) and target not in targets(root):
                return f"make has no target {target}"
        if word in ("vas", "build/vas") and at == 0:
            why = wrong_command(vas, words[1:])
            if why:
                return why
        path = word.rstrip(".,:;)").lstrip("(")
        if "/" in path and path.split("/")[0] in FOLDERS and not MADE.match(path):
            pattern = re.sub(r"\{[^}]*\}|<[^>]*>|[A-Z]{2,}", "*", path)
            if not re.search(r"\.\[", pattern) and not glob.glob(os.path.join(root, pattern)):
                return f"there is no {path}"
    return None


def main():
    root, vas = sys.argv[1], sys.argv[2]
    status, looked = 0, 0
    for name in FRONT:
        KEPT.clear()
        with open(os.path.join(root, name), encoding="utf-8") as file:
            pieces = spans(file.read())
        for code in pieces:
            looked += 1
            why = wrong(root, vas, code)
            if why:
                print(f"{name}: `{code}`: {why}")
                status = 1
    print(f"{looked} pieces of code in {len(FRONT)} documents")
    if looked < 100:
        print("that is too few: the documents are not read as they are written")
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
