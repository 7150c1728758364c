/* judge.c - `vas judge`: another kernel judges vas. The work is done by scripts/judge.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* The program is in build/ or build/PRESET/ of the tree that has the script and the cases. */
static bool find_script(char path[PATH_MAX])
{
	static const char *const places[] = {"../scripts/judge", "../../scripts/judge"};
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (len <= 0)
		return false;
	program[len] = '\0';
	*(strrchr(program, '/') + 1) = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(path, PATH_MAX, "%s%s", program, places[i]) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
	return false;
}

enum { ARCH, VAS, OPS, SEED, PAGES, CASES, ONLY_FUZZ, EVERY, LATEST, FETCH, RECORD };

static const struct command_option options_known[] = {
	[ARCH] = {"arch", .words = "amd64 arm64 arm64-16k riscv64",
	          .help = "the machine (default: amd64); arm64-16k has pages of 16 KiB"},
	[VAS] = {"vas", .value = "FILE", .file = true,
	         .help = "a statically linked vas (default: build/static/vas, "
	                 "build/static-aarch64/vas, ...)"},
	[OPS] = {"ops", .value = "N",
	         .help = "random calls, half of them with transparent huge pages \"madvise\", half "
	                 "\"always\" (default: 20000)"},
	[SEED] = {"seed", .value = "N", .help = "of the random calls (default: 1)"},
	[PAGES] = {"pages", .words = "hardware software",
	           .help = "random calls with vas's pages in hardware tables (default) or in "
	                   "software trees"},
	[CASES] = {"cases", .value = "PATH", .file = true, .apart = "only-fuzz",
	           .help = "a directory of cases, or one case (default: tests/cases)"},
	[ONLY_FUZZ] = {"only-fuzz", .help = "no cases"},
	[EVERY] = {"every",
	           .help = "all builds of the series that the archive has, not just the newest"},
	[LATEST] = {"latest", .help = "the newest kernel of the archive, whatever its version"},
	[FETCH] = {"fetch", .apart = "record", .help = "only fetch the kernels"},
	[RECORD] =
		{"record",
	         .help = "write what came out to tests/cases/judges.txt, for docs/conformance.md"},
	{0},
};

/* The script takes them; what it would only complain of is said here. */
static bool take_option(void *into, unsigned option, const char *value)
{
	uint64_t number;
	if (option == LATEST)
		*(bool *)into = true;
	if (option == OPS || option == SEED)
		return command_number(options_known[option].name, value, 0, INT64_MAX, &number);
	return true;
}

static int judge(int argc, char **argv)
{
	char path[PATH_MAX];
	bool latest = false;
	int first;
	int status = command_parse(&command_judge, argc, argv, take_option, &latest, &first);
	if (status != COMMAND_GO_ON)
		return status;
	if (first == argc && !latest) {
		command_error("no VERSION is given; 'vas judge --help' says more");
		return EXIT_USAGE;
	}
	if (!find_script(path)) {
		command_error("works in vas's source tree, from build/: there is no scripts/judge");
		return EXIT_SKIPPED;
	}
	argv[0] = path;
	(void)execv(path, argv);
	perror(path);
	return EXIT_SKIPPED;
}

const struct command command_judge = {
	.name = "judge",
	.what = "lets another kernel judge vas, under QEMU",
	.synopsis = "VERSION...",
	.text = "Boots another kernel under QEMU, and runs the cases and random calls in it. "
		"VERSION "
		"is a series of Linux, 6.1, of which the newest build in the archive is taken, or "
		"a "
		"build, 6.1.192.\n"
		"Nothing is installed: kernels are fetched from Debian's archive, of all its "
		"releases, by the package sources this machine has, with an index of their own; "
		"what is fetched stays in build/judges/. docs/judges.md says more.\n"
		"One line for each kernel: version, cases passed, failed and skipped, calls and "
		"differences. What failed is written to build/judges/VERSION/, as scripts with "
		"both "
		"answers.",
	.status = "0 nothing differs\n1 something does\n2 a mistake in usage\n"
		  "77 a judge could not be had, with a word why",
	.operand = "VERSION",
	.options = options_known,
	.run = judge,
};
