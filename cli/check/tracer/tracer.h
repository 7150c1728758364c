/* tracer.h - runs a program and follows every memory call it makes.
 *
 * The program runs natively under ptrace, with a seccomp filter so that only memory calls stop it.
 * What happens becomes events for a process model and, if wanted, for a log.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_TRACER_H
#define VAS_CLI_TRACER_H

#include <stdbool.h>
#include <stdio.h>

#include "check/model/process_model.h"

struct tracer_options {
	FILE *log;       /* or NULL */
	bool full_paths; /* in the log */
	bool every;      /* compare the whole map after every call */
	bool progress;   /* show on the terminal how far it is, also beside the program's output */
	int attach;      /* a process that runs already is followed; 0: a program is run */
	bool all_cpus;   /* do not keep program and tracer on one CPU */
};

enum tracer_end {
	TRACER_DONE,   /* the program has run to its end */
	TRACER_LEFT,   /* it was let go of, and runs on */
	TRACER_BLIND,  /* it has, but could not be followed all the way (message printed) */
	TRACER_FAILED, /* it could not be started (message printed) */
};

/* Runs argv, or follows a process until it ends or SIGINT comes. *status is the wait status of the
 * first process. */
enum tracer_end tracer_run(const struct tracer_options *options, struct model *model, char **argv,
                           int *status);

#endif
