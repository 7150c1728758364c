/* shell.h - lines for the shell: typed with editing, history and completion, or piped in.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_SHELL_H
#define VAS_CLI_SHELL_H

#include <stdbool.h>

#include "strace/variables.h"

#define SHELL_LINE_ROOM 65536 /* bytes, of a line that is piped in */

/* Sets editing up where standard input is a terminal: true then. Names that are completed beside
 * those of the notation are looked up in `variables`. */
bool shell_lines_start(const struct variables *variables);

enum shell_line {
	LINE_READ,
	LINE_CANCELLED, /* by Ctrl-C */
	LINE_BAD,       /* it is too long, or has a byte NUL in it: there is no going on */
	LINE_END,
};

/* The next line (malloc'ed, no newline). */
enum shell_line shell_lines_next(char **line);

/* Drops what has been typed ahead or pasted behind the line that was read last. */
void shell_lines_drop(void);

/* Writes the history back, where there is one. */
void shell_lines_stop(void);

/* What may be completed behind `line`, whose last `len` characters are the beginning of it: the
 * n-th candidate that begins so; NULL: there are no more. What is returned is good until the next
 * call. */
const char *shell_completion(const char *line, size_t len, size_t n,
                             const struct variables *variables);

/* The help for all, and for one call: false if there is none of this name. */
void shell_help(void);
bool shell_help_call(const char *text);

#endif
