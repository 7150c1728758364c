/* process_model_report.h - what was found, for people and for programs.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_PROCESS_MODEL_REPORT_H
#define VAS_CLI_PROCESS_MODEL_REPORT_H

#include <stdio.h>

#include "check/model/process_model.h"

struct report_style {
	FILE *file;
	bool json;  /* one object per line: the processes, then the total */
	bool quiet; /* only processes with differences, and the total */
	const char *changes; /* of the machine meanwhile (machine_changes), or NULL */
	double seconds; /* that it took; 0: not known (replay) */
	double program_cpu, check_cpu; /* of these, the processor's: the program's, and ours */
};

/* Differences over all processes. */
uint64_t report_differences(const struct model *model);

/* The exit status that tells what was found: EXIT_DIFFERENT, or, if nothing differs, but something
 * was not followed to its end, EXIT_UNFOLLOWED. */
int report_status(const struct model *model);

/* Prints all. `ending` says how the program ended ("exited with 0"), or is NULL. */
void report_print(const struct report_style *style, const struct model *model, const char *ending);

#endif
