/* cli.h - the subcommands of `vas`, and what they share.
 *
 * Each takes its own arguments (argv[0] is its name) and returns the exit status:
 * 0 all well, 1 something differs or failed, 2 a mistake in usage or input, 3 a program could not
 * be followed to its end (check, replay), 77 nothing could run.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_CLI_H
#define VAS_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"

enum { EXIT_SAME = 0, EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_UNFOLLOWED = 3, EXIT_SKIPPED = 77 };

int cmd_check(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_shell(int argc, char **argv);
int cmd_fuzz(int argc, char **argv);
int cmd_judge(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_boot(int argc, char **argv);

/* Which sides are wanted. */
enum sides { SIDES_VAS = 1, SIDES_KERNEL = 2, SIDES_BOTH = 3 };

/* --on's argument; false: a message has been printed. */
bool sides_parse(const char *text, enum sides *sides);

/* Both where the running kernel can be asked, else vas. */
enum sides sides_default(void);

/* --linux's argument, a version that vas knows; false: a message has been printed. */
bool linux_parse(const char *text, uint32_t *version);

/* The machine that vas should be like: the running one, or, where there is no Linux, a Debian of
 * 4 GiB. False: a message has been printed. */
bool machine_or_default(struct machine *machine);

#endif
