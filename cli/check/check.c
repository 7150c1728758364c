/* check.c - `vas check`: runs a program and compares what Linux answers it with what vas would.
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

static const char usage[] =
	"usage: vas check [options] -- COMMAND [ARGUMENT...]\n"
	"       vas check [options] --attach PID\n"
	"Runs COMMAND, follows every memory call that it and its children make, makes the same\n"
	"calls on vas, and compares each answer and the maps.\n"
	"  --attach PID   follow a process that runs already, until it ends or SIGINT comes\n"
	"  --call N       show the map of the first program before and after its call N\n"
	"  --linux X.Y.Z  the Linux that vas answers as (default: the running one)\n"
	"  --record LOG   also write what happened to LOG, for `vas replay`\n"
	"  --full-paths   in LOG; else it has only the last part of file names\n"
	"  --every        compare the whole map after every call, however large it is\n"
	"  --picture      then draw COMMAND's address space as it was at its end\n"
	"  --all-cpus     do not keep the program on one CPU (a call costs 20 times as much)\n"
	"  --progress     show on standard error how far it is, where COMMAND may write, too\n"
	"  --json         one JSON object per program, then one in all\n"
	"  --all          show every difference of a program, up to a thousand of them\n"
	"  --exit-status  if all was followed and nothing differs, end with COMMAND's own status,\n"
	"                 128 and the signal's number if one killed it\n"
	"  --quiet        only programs with differences, and the total\n"
	"  --output FILE  write there instead of to standard error\n"
	"Exit status: 0 nothing differs, 1 differences, 2 wrong usage, 3 COMMAND could not be "
	"run,\n"
	"or nothing differs, but something could not be followed to its end.\n";

struct check_options {
	struct tracer_options tracer;
	struct report_style style;
	bool picture, exit_status, all;
	const char *record, *output;
	uint64_t call;          /* to be shown; 0: none */
	uint32_t linux_version; /* 0: the machine's */
	char **command;
};

/* Takes an option's value from the next argument. */
static bool take_value(int argc, char **argv, int *i, const char **value)
{
	if (*i + 1 >= argc) {
		fprintf(stderr, "vas check: %s needs a value\n", argv[*i]);
		return false;
	}
	*value = argv[++*i];
	return true;
}

static bool take_pid(const char *text, int *pid)
{
	char *end;
	long value = strtol(text, &end, 10);
	*pid = (int)value;
	if (*text && !*end && value > 0 && value <= INT_MAX)
		return true;
	fprintf(stderr, "vas check: --attach takes the number of a process, not '%s'\n", text);
	return false;
}

static bool take_call(const char *text, uint64_t *number)
{
	char *end;
	*number = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && *number > 0)
		return true;
	fprintf(stderr, "vas check: --call takes the number of a call, from 1, not '%s'\n", text);
	return false;
}

static bool take_option(struct check_options *options, int argc, char **argv, int *i)
{
	const char *option = argv[*i];
	struct tracer_options *tracer = &options->tracer;
	if (strcmp(option, "--linux") == 0)
		return take_value(argc, argv, i, &option) &&
		       linux_parse(option, &options->linux_version);
	if (strcmp(option, "--record") == 0)
		return take_value(argc, argv, i, &options->record);
	if (strcmp(option, "--attach") == 0)
		return take_value(argc, argv, i, &option) && take_pid(option, &tracer->attach);
	if (strcmp(option, "--call") == 0)
		return take_value(argc, argv, i, &option) && take_call(option, &options->call);
	if (strcmp(option, "--output") == 0)
		return take_value(argc, argv, i, &options->output);
	if (strcmp(option, "--full-paths") == 0)
		tracer->full_paths = true;
	else if (strcmp(option, "--every") == 0)
		tracer->every = true;
	else if (strcmp(option, "--progress") == 0)
		tracer->progress = true;
	else if (strcmp(option, "--all-cpus") == 0)
		tracer->all_cpus = true;
	else if (strcmp(option, "--all") == 0)
		options->all = true;
	else if (strcmp(option, "--exit-status") == 0)
		options->exit_status = true;
	else if (strcmp(option, "--picture") == 0)
		options->picture = true;
	else if (strcmp(option, "--json") == 0)
		options->style.json = true;
	else if (strcmp(option, "--quiet") == 0)
		options->style.quiet = true;
	else {
		fprintf(stderr, "vas check: unknown option %s\n%s", option, usage);
		return false;
	}
	return true;
}

static bool take_options(struct check_options *options, int argc, char **argv)
{
	int i = 1;
	for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
		if (!take_option(options, argc, argv, &i))
			return false;
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	if ((i >= argc) != (options->tracer.attach != 0)) {
		fputs(usage, stderr);
		return false;
	}
	options->command = argv + i;
	return true;
}

static FILE *open_output(const char *path)
{
	FILE *file = fopen(path, "we");
	if (!file)
		fprintf(stderr, "vas check: %s: %s\n", path, strerror(errno));
	return file;
}

static bool close_output(FILE *file, const char *path)
{
	bool failed = fflush(file) != 0 || ferror(file);
	failed = (file != stderr && fclose(file) != 0) || failed;
	if (failed)
		fprintf(stderr, "vas check: %s could not be written\n", path);
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

int cmd_check(int argc, char **argv)
{
	struct check_options options = {.style = {.file = stderr}};
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (!take_options(&options, argc, argv))
		return 2;
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
