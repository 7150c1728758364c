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

enum { LINUX, PORTABLE, ONE_CPU, STATS };

static const struct command_option options_known[] = {
	[LINUX] = OPTION_LINUX,
	[PORTABLE] = {"portable",
	              .help = "without the kernel's mremap: memory moves by being copied "
	                      "or mapped again"},
	[ONE_CPU] = {"one-cpu",
	             .help = "keep COMMAND on one CPU: calls cost less, threads take turns"},
	[STATS] = {"stats", .help = "then say on standard error what was done"},
	{0},
};

struct choice {
	uint32_t version; /* 0: the running one's */
	bool portable, one_cpu, stats;
};

static bool take_option(void *into, unsigned option, const char *value)
{
	struct choice *choice = into;
	if (option == LINUX)
		return linux_parse(value, &choice->version);
	*(option == PORTABLE  ? &choice->portable
	  : option == ONE_CPU ? &choice->one_cpu
	                      : &choice->stats) = true;
	return true;
}

#if defined(__linux__) && defined(__x86_64__)
#include "run/run.h"

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

/* Runs the program, and ends as it does. */
static int serve(const struct choice *choice, char **command)
{
	struct run_options options = {.version = choice->version,
	                              .portable = choice->portable,
	                              .one_cpu = choice->one_cpu,
	                              .command = command};
	struct run_counts counts = {0};
	struct machine machine;

	if (!options.version) {
		if (!machine_read(&machine))
			return EXIT_UNFOLLOWED;
		options.version = machine.version;
	}
	pid_t pid = run_start(&options);
	if (pid < 0)
		return 126;
	leave_signals_to_the_program();
	int status = run_tasks(&options, pid, &counts);
	if (choice->stats)
		print(&counts);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
#else
static int serve(const struct choice *choice, char **command)
{
	(void)choice, (void)command;
	command_error("only on Linux on x86-64");
	return EXIT_SKIPPED;
}
#endif

static int run(int argc, char **argv)
{
	struct choice choice = {0};
	int first;
	int status = command_parse(&command_run, argc, argv, take_option, &choice, &first);
	return status != COMMAND_GO_ON ? status : serve(&choice, argv + first);
}

const struct command command_run = {
	.name = "run",
	.what = "runs a program, its memory served by vas",
	.synopsis = "-- COMMAND [ARGUMENT]...",
	.text = "Runs COMMAND and serves the memory calls that it and its children make, wherever "
		"they make them: vas decides, the kernel's memory is arranged as it has decided.",
	.status = "N COMMAND's own, or 128 and the signal's number if one killed it\n"
		  "2 wrong usage\n126 COMMAND could not be run\n127 COMMAND was not found\n"
		  "77 not on this machine",
	.operand = "COMMAND",
	.least = 1,
	.program = true,
	.options = options_known,
	.run = run,
};
