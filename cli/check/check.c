/* check.c - `vas check`: runs a program and compares what Linux answers it with what vas would.
 *
 * Owns the command line and the exit status. The tracer makes events of what the program does, the
 * model makes the calls on vas and compares.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "cli.h"
#include "check/model/process_model_report.h"
#include "check/tracer/tracer.h"

enum {
	ATTACH,
	CALL,
	LINUX,
	RECORD,
	FULL_PATHS,
	EVERY,
	PICTURE,
	ALL_CPUS,
	PROGRESS,
	JSON,
	ALL,
	EXIT_STATUS,
	QUIET,
	OUTPUT,
};

static const struct command_option options_known[] = {
	[ATTACH] = {"attach", .value = "PID", .apart = "exit-status",
	            .help = "follow a process that runs already, until it ends or SIGINT comes"},
	[CALL] = {"call", .value = "N",
	          .help = "show the map of the first program before and after its call N"},
	[LINUX] = OPTION_LINUX,
	[RECORD] = {"record", .value = "LOG", .file = true,
	            .help = "also write what happened to LOG, for `vas replay`"},
	[FULL_PATHS] = {"full-paths",
	                .help = "in LOG; else it has only the last part of file names"},
	[EVERY] = {"every", .help = "compare the whole map after every call, however large it is"},
	[PICTURE] = {"picture", .help = "then draw COMMAND's address space as it was at its end"},
	[ALL_CPUS] = {"all-cpus",
	              .help = "do not keep the program on one CPU (a call costs 20 times as much)"},
	[PROGRESS] = {"progress", .help = "show on the terminal how far it is, between what "
	                                  "COMMAND writes there (by itself "
	                                  "only where its output goes to files)"},
	[JSON] = {"json", .help = "one JSON object per program, then one in all"},
	[ALL] = {"all", .help = "show every difference of a program, up to a thousand of them"},
	[EXIT_STATUS] = {"exit-status",
	                 .help = "if all was followed and nothing differs, end with COMMAND's own "
	                         "status, 128 and the signal's number if one killed it"},
	[QUIET] = {"quiet", .help = "only programs with differences, and the total"},
	[OUTPUT] = {"output", .value = "FILE", .file = true,
	            .help = "write there instead of to standard error"},
	{0},
};

struct check_options {
	struct tracer_options tracer;
	struct report_style style;
	bool picture, exit_status, all;
	const char *record, *output;
	uint64_t call;          /* to be shown; 0: none */
	uint32_t linux_version; /* 0: the machine's */
	char **command;
};

static bool take_number(const char *option, const char *text, uint64_t most, uint64_t *number)
{
	return command_number(option, text, 1, most, number);
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct check_options *options = into;
	struct tracer_options *tracer = &options->tracer;
	bool *const flag[] = {
		[FULL_PATHS] = &tracer->full_paths,
		[EVERY] = &tracer->every,
		[PICTURE] = &options->picture,
		[ALL_CPUS] = &tracer->all_cpus,
		[PROGRESS] = &tracer->progress,
		[JSON] = &options->style.json,
		[ALL] = &options->all,
		[EXIT_STATUS] = &options->exit_status,
		[QUIET] = &options->style.quiet,
	};
	uint64_t pid;
	switch (option) {
	case LINUX:
		return linux_parse(value, &options->linux_version);
	case ATTACH:
		if (!take_number("attach", value, INT_MAX, &pid))
			return false;
		tracer->attach = (int)pid;
		return true;
	case CALL:
		return take_number("call", value, UINT64_MAX, &options->call);
	case RECORD:
		options->record = value;
		return true;
	case OUTPUT:
		options->output = value;
		return true;
	}
	*flag[option] = true;
	return true;
}

/* COMMAND_GO_ON, or the status to end with. */
static int take_options(struct check_options *options, int argc, char **argv)
{
	int first;
	int status = command_parse(&command_check, argc, argv, take_option, options, &first);
	if (status != COMMAND_GO_ON)
		return status;
	options->command = argv + first;
	if (first == argc && !options->tracer.attach)
		command_error("no COMMAND is given; 'vas check --help' says more");
	else if (first < argc && options->tracer.attach)
		command_error("--attach follows a process that runs: it takes no COMMAND");
	else if (options->tracer.full_paths && !options->record)
		command_error("--full-paths is about --record, which is not given");
	else if (options->record && options->output &&
	         strcmp(options->record, options->output) == 0)
		command_error("--record and --output name the same file");
	else
		return COMMAND_GO_ON;
	return EXIT_USAGE;
}

static FILE *open_output(const char *path)
{
	FILE *file = fopen(path, "we");
	if (!file)
		command_error("%s: %s", path, strerror(errno));
	return file;
}

static bool close_output(FILE *file, const char *path)
{
	bool failed = fflush(file) != 0 || ferror(file);
	failed = (file != stderr && fclose(file) != 0) || failed;
	if (failed)
		command_error("%s could not be written", path);
	return !failed;
}

static const char *describe_end(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "exited with %d", WEXITSTATUS(status));
	return text;
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* What the program used, and what checking it did. Of what was only attached to the kernel does not
 * tell. */
static void tell_cost(struct report_style *style, const struct timespec *start)
{
	struct timespec now;
	struct rusage program, own;
	clock_gettime(CLOCK_MONOTONIC, &now);
	getrusage(RUSAGE_CHILDREN, &program);
	getrusage(RUSAGE_SELF, &own);
	style->seconds = (double)(now.tv_sec - start->tv_sec) +
	                 (double)(now.tv_nsec - start->tv_nsec) / 1e9;
	style->program_cpu = seconds_of(program.ru_utime) + seconds_of(program.ru_stime);
	style->check_cpu = seconds_of(own.ru_utime) + seconds_of(own.ru_stime);
}

static int run(struct check_options *options)
{
	struct machine machine;
	char ending[80];
	struct timespec start;
	int status = 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (!machine_read(&machine))
		return EXIT_UNFOLLOWED;
	if (options->linux_version)
		machine.version = version_like(options->linux_version, machine.version);
	struct model *model = model_create(&machine);
	if (!model)
		return EXIT_UNFOLLOWED;
	if (options->all)
		model_keep_all(model);
	if (options->picture)
		model_draw(model);
	if (options->call)
		model_show_call(model, options->call);
	enum tracer_end end = tracer_run(&options->tracer, model, options->command, &status);
	int result = EXIT_UNFOLLOWED;
	if (end != TRACER_FAILED) {
		char *changes = report_differences(model) ? machine_changes(&machine) : NULL;
		options->style.changes = changes;
		if (options->tracer.attach)
			snprintf(ending, sizeof(ending), "%s",
			         end == TRACER_LEFT ? "goes on" : "has ended");
		else
			describe_end(status, ending, sizeof(ending));
		tell_cost(&options->style, &start);
		report_print(&options->style, model, ending);
		if (end == TRACER_DONE || end == TRACER_LEFT ||
		    report_status(model) == EXIT_DIFFERENT)
			result = report_status(model);
		if (result == EXIT_SAME && options->exit_status)
			result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		free(changes);
	}
	model_destroy(model);
	return result;
}

static int check(int argc, char **argv)
{
	struct check_options options = {.style = {.file = stderr}};
	int status = take_options(&options, argc, argv);
	if (status != COMMAND_GO_ON)
		return status;
	if (options.output && !(options.style.file = open_output(options.output)))
		return 2;
	if (options.record && !(options.tracer.log = open_output(options.record)))
		return 2;
	int result = run(&options);
	bool written = true;
	if (options.tracer.log)
		written = close_output(options.tracer.log, options.record);
	written = close_output(options.style.file, options.output) && written;
	return written ? result : EXIT_UNFOLLOWED;
}

const struct command command_check = {
	.name = "check",
	.what = "runs a program and compares what Linux answers it with vas",
	.synopsis = "-- COMMAND [ARGUMENT]...\n--attach PID",
	.text = "Runs COMMAND, follows every memory call that it and its children make, makes the "
		"same calls on vas, and compares each answer and the maps.",
	.status = "0 nothing differs\n1 there are differences\n2 wrong usage\n"
		  "3 COMMAND could not be run, or nothing differs, but something could not be "
		  "followed to its end",
	.operand = "COMMAND",
	.program = true,
	.options = options_known,
	.run = check,
};
