/* shell.h - lines for the shell: typed with editing, history and completion, or piped in.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_SHELL_H
#define VAS_CLI_SHELL_H

#include <stdbool.h>

/* The shell's own words, for help and completion; ended by a NULL text. */
struct shell_word {
	const char *text, *argument, *help;
};
extern const struct shell_word shell_words[];

/* Sets editing up where standard input is a terminal: true then. */
bool shell_lines_start(void);

/* The next line (malloc'ed, no newline), or NULL at the end of the input. */
char *shell_lines_next(void);

/* Writes the history back, where there is one. */
void shell_lines_stop(void);

#endif
