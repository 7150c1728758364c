#!/usr/bin/env python3
"""Counts that each predicate of src/space/linux.h has a case for both of its sides.

usage: sides.py --header LINUX_H OUT   writes linux.h with answers that VAS_SIDE can turn
       sides.py PROGRAM LINUX_H CASES  PROGRAM is `vas`, built with that header

Each predicate in turn is made to answer always no, and always yes. If all cases that ask it still
pass, none shows the side that has gone: exit status 1, and its name. Cases of one version come
first; those of none show what is so in the newest. What no script can tell is in UNIT_TEST.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

PREDICATE = re.compile(r"^static inline bool (linux_\w+)\(const struct vas \*space\)\n\{\n"
                       r"\treturn ([^;]*);[^\n]*\n\}\n", flags=re.M)

# What no script can tell; a unit test has both sides, and names the predicate.
UNIT_TEST = "tests/unit/test_versions.c"

TURN = """
/* VAS_SIDE is the number of a predicate and what it answers: 17- or 17+; or 0, and then those that
 * are asked are named on stderr. */
char *getenv(const char *name);
long write(int fd, const void *bytes, unsigned long n);

static inline bool linux_turned(unsigned number, bool answer)
{
	static bool known[1000];
	const char *at = getenv("VAS_SIDE");
	char line[] = "\\nasked 000\\n";
	unsigned turned = 0;

	for (; at && *at >= '0' && *at <= '9'; at++)
		turned = turned * 10 + (unsigned)(*at - '0');
	if (at && turned == number)
		return *at == '+';
	if (at && turned == 0 && !known[number]) {
		known[number] = true;
		line[7] = (char)('0' + number / 100);
		line[8] = (char)('0' + number / 10 % 10);
		line[9] = (char)('0' + number % 10);
		(void)!write(2, line, sizeof(line) - 1);
	}
	return answer;
}
"""


def predicates(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = PREDICATE.findall(text)
    asked = re.findall(r"^static inline bool (linux_\w+)\(const struct vas \*space\)", text,
                       flags=re.M)
    if not found or len(found) != len(asked):
        sys.exit(f"sides: {path}: predicates that are not one expression: "
                 f"{set(asked) - {name for name, _ in found}}")
    return text, [name for name, _ in found]


def write_header(path, out):
    text, names = predicates(path)

    def turn(match):
        number = names.index(match[1]) + 1
        return match[0].replace(match[2], f"linux_turned({number}, {match[2]})")

    text = PREDICATE.sub(turn, text)
    text = text.replace('#include "space/space.h"\n', '#include "space/space.h"\n' + TURN, 1)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)


def run(program, case, side):
    """Whether the case passes with this side, and which predicates it asked if that is 0."""
    env = dict(os.environ, VAS_SIDE=side)
    ran = subprocess.run([program, "exec", "--on", "vas", case], env=env, timeout=60,
                         capture_output=True, text=True, errors="replace", check=False)
    return ran.returncode == 0, {int(n) for n in re.findall(r"^asked (\d+)$", ran.stderr,
                                                             flags=re.M)}


def ask_all(program, directory):
    """For each predicate's number the cases that ask it, those of versions first."""
    cases = sorted(glob.glob(os.path.join(directory, "**", "*.strace"), recursive=True),
                   key=lambda case: ("/version/" not in case, case))
    asking = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for case, (passed, asked) in zip(cases, pool.map(lambda c: run(program, c, "0"), cases)):
            for number in asked if passed else ():
                asking.setdefault(number, []).append(case)
    return len(cases), asking


def missing_sides(program, number, cases):
    """The sides that no case shows."""
    return [said for sign, said in (("-", "yes"), ("+", "no"))
            if all(run(program, case, f"{number}{sign}")[0] for case in cases)]


def main():
    if sys.argv[1] == "--header":
        write_header(*sys.argv[2:])
        return
    program, header, directory = sys.argv[1:]
    names = predicates(header)[1]
    with open(os.path.join(os.path.dirname(directory), "..", UNIT_TEST), encoding="utf-8") as file:
        elsewhere = set(re.findall(r"/\* (linux_\w+) \*/", file.read()))
    ncases, asking = ask_all(program, directory)
    missing = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda n: missing_sides(program, n, asking.get(n, [])),
                         range(1, len(names) + 1))
        for name, sides in zip(names, found):
            if name in elsewhere:
                continue
            for side in sides:
                print(f"{name}: no case under {directory} shows what it is when it says {side}")
            missing += len(sides)
    print(f"sides: {len(names)} predicates, {ncases} cases, {missing} sides without a case")
    sys.exit(missing > 0)


if __name__ == "__main__":
    main()
