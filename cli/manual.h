/* manual.h - the table of a command (command.h) as help, as a manual page and as completions.
 *
 * Lists of commands end with NULL.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_MANUAL_H
#define VAS_CLI_MANUAL_H

#include <stdio.h>

#include "command.h"

/* What `vas COMMAND --help` prints, and `vas --help`. */
void manual_help(FILE *out, const struct command *command);
void manual_help_all(FILE *out, const struct command *const *commands);

/* vas-COMMAND(1) and vas(1), in mdoc. The date is that of SOURCE_DATE_EPOCH, else today's. */
void manual_page(FILE *out, const struct command *command);
void manual_page_all(FILE *out, const struct command *const *commands);

/* The shells' completions of every command line. */
void manual_complete_bash(FILE *out, const struct command *const *commands);
void manual_complete_zsh(FILE *out, const struct command *const *commands);

#endif
