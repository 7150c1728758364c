/* main.c - the program `vas`: finds the subcommand.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *synopsis, *what;
};

static const struct command commands[] = {
	{"check", cmd_check, "[OPTION]... -- CMD [ARG]...", "runs a program and follows its calls"},
	{"replay", cmd_replay, "[OPTION]... LOG...", "the same from a recorded log"},
	{"exec", cmd_exec, "[--on vas|kernel|both] SCRIPT...", "runs scripts and compares"},
	{"shell", cmd_shell, "[--on vas|kernel|both]", "calls typed at a prompt"},
	{"fuzz", cmd_fuzz, "[--seed N] [--ops N] [--jobs N]", "random calls on both sides"},
	{"judge", cmd_judge, "[OPTION]... VERSION...", "another kernel judges, under QEMU"},
	{"run", cmd_run, "[OPTION]... -- CMD [ARG]...", "runs a program, its memory served by vas"},
	{"boot", cmd_boot, "[OPTION]... PROGRAM [ARG]...", "runs a program on a kernel of its own"},
	{"bench", cmd_bench, "[--only ROW] [--json FILE]", "vas and the kernel side by side"},
};

static void help(FILE *out)
{
	fprintf(out, "usage: vas COMMAND [ARGUMENT]...\n\n"
	             "Linux's virtual memory system, as a library; this program tries it.\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(out, "  %-7s %-36s %s\n", commands[i].name, commands[i].synopsis,
		        commands[i].what);
	fprintf(out, "\n'vas COMMAND --help' says more about each; see also 'vas --version'.\n");
}

static void version(void)
{
	char text[VERSION_TEXT];
	printf("vas " VAS_VERSION ", answering as Linux %s and earlier\n",
	       version_text(VAS_LINUX_LATEST, text));
	printf("judged by Linux %s (docs/judges.md)\n", version_judges());
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(name, "--version") == 0) {
		version();
		return EXIT_SAME;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
		help(stdout);
		return EXIT_SAME;
	}
	if (*name)
		fprintf(stderr, "vas: there is no command '%s'; 'vas --help' lists them\n", name);
	else
		help(stderr);
	return EXIT_USAGE;
}
