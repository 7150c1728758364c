/* command.c - `vas run`: runs a program whose memory calls vas serves.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli.h"

static const char usage[] =
	"usage: vas run [options] -- COMMAND [ARGUMENT...]\n"
	"Runs COMMAND and serves the memory calls that it and its children make, wherever they\n"
	"make them: vas decides, the kernel's memory is arranged as it has decided.\n"
	"  --linux X.Y.Z  the Linux that vas answers as (default: the running one)\n"
	"  --portable     without the kernel's mremap: memory moves by being copied or mapped "
	"again\n"
	"  --one-cpu      keep COMMAND on one CPU: calls cost less, threads take turns\n"
	"  --stats        then say on standard error what was done\n"
	"Exit status: COMMAND's own, 128 and the signal's number if one killed it; 2 wrong usage,\n"
	"126 COMMAND could not be run, 127 it was not found.\n";

#if defined(__linux__) && defined(__x86_64__)
#include "run/run.h"

static bool take_options(struct run_options *options, bool *stats, int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--stats") == 0) {
			*stats = true;
		} else if (strcmp(argv[i], "--portable") == 0) {
			options->portable = true;
		} else if (strcmp(argv[i], "--one-cpu") == 0) {
			options->one_cpu = true;
		} else if (strcmp(argv[i], "--linux") == 0) {
			if (i + 1 >= argc) {
				fputs("vas run: --linux needs a value\n", stderr);
				return false;
			}
			if (!linux_parse(argv[++i], &options->version))
				return false;
		} else {
			fprintf(stderr, "vas run: unknown option %s\n%s", argv[i], usage);
			return false;
		}
	}
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	if (i >= argc) {
		fputs(usage, stderr);
		return false;
	}
	options->command = argv + i;
	return true;
}

static void print(const struct run_counts *counts)
{
	const struct vas_process_stats *calls = &counts->calls;

	fprintf(stderr,
	        "vas run: %" PRIu64 " calls served, %" PRIu64 " of them mremap; %" PRIu64
	        " left to the kernel; %" PRIu64 " refused by it\n"
	        "vas run: %" PRIu64 " moves, %" PRIu64 " pages moved without copying, %" PRIu64
	        " bytes copied\n"
	        "vas run: at most %" PRIu64 " KiB mapped in one process; %" PRIu64
	        " processes, %" PRIu64 " tasks, %" PRIu64 " processes not served\n",
	        calls->calls, calls->mremaps, calls->passed, calls->refused, calls->moves,
	        calls->pages_moved, calls->bytes_copied, calls->peak / 1024, counts->processes,
	        counts->tasks, counts->unserved);
}

/* What a terminal sends goes to the program, too, which may take it or not. */
static void leave_signals_to_the_program(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
}

int cmd_run(int argc, char **argv)
{
	struct run_options options = {0};
	struct run_counts counts = {0};
	struct machine machine;
	bool stats = false;
	int status;
	pid_t pid;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (!take_options(&options, &stats, argc, argv))
		return EXIT_USAGE;
	if (!options.version) {
		if (!machine_read(&machine))
			return EXIT_UNFOLLOWED;
		options.version = machine.version;
	}
	pid = run_start(&options);
	if (pid < 0)
		return 126;
	leave_signals_to_the_program();
	status = run_tasks(&options, pid, &counts);
	if (stats)
		print(&counts);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
#else
int cmd_run(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	fputs("vas run: only on Linux on x86-64\n", stderr);
	return EXIT_SKIPPED;
}
#endif
