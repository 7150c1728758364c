/* cli.h - the subcommands of `vas`, and what they share.
 *
 * Each is a table (command.h), whose function takes its own arguments and returns the exit status:
 * 0 all well, 1 something differs or failed, 2 a mistake in usage or input, 3 a program could not
 * be followed to its end (check, replay), 77 nothing could run.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_CLI_H
#define VAS_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "target/target.h"

enum { EXIT_SAME = 0, EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_UNFOLLOWED = 3, EXIT_SKIPPED = 77 };

extern const struct command command_check, command_replay, command_exec, command_shell,
	command_fuzz, command_judge, command_bench, command_run, command_boot;

/* Options that several commands have. */
#define OPTION_LINUX \
	{"linux", .value = "X.Y[.Z]", \
	 .help = "the Linux that vas answers as (default: the running one)"}
#define OPTION_PAGES \
	{"pages", .words = "hardware software", \
	 .help = "vas keeps pages in hardware tables (default) or in software trees"}

/* Which sides are wanted. */
enum sides { SIDES_VAS = 1, SIDES_KERNEL = 2, SIDES_BOTH = 3 };

/* --on's argument, one of SIDES_WORDS. */
#define SIDES_WORDS "vas kernel both"
enum sides sides_parse(const char *text);

/* Whether vas is among them, whom --`option` is about; false: a message has been printed. */
bool sides_have_vas(enum sides sides, const char *option);

/* Both where the running kernel can be asked, else vas. */
enum sides sides_default(void);

/* --linux's argument, a version that vas knows; false: a message has been printed. */
bool linux_parse(const char *text, uint32_t *version);

/* The machine that vas should be like: the running one, or, where there is no Linux, a Debian of
 * 4 GiB. False: a message has been printed. */
bool machine_or_default(struct machine *machine);

#endif
