/* hints.h - what was probably meant: the name nearest to a mistyped one, a log that was pasted.
 *
 * Used by cursor.c, whose messages it completes by cursor.c's own means: one thing in two files,
 * since reading needs no hints as long as nothing is wrong.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_HINTS_H
#define VAS_CLI_HINTS_H

#include "strace/cursor.h"

/* The nearest of the names that it has been shown. */
struct hint {
	const char *word; /* what was typed */
	size_t len;
	const char *best; /* NULL: none is near */
	unsigned distance;
};

/* Near is what few letters make the same, in capitals or not; or what ends so behind a '_', as
 * MREMAP_MAYMOVE does in MAYMOVE. */
void hint_show(struct hint *hint, const char *name);
void hint_show_set(struct hint *hint, const struct name_set *set);
void hint_show_variables(struct hint *hint, const struct variables *variables);
void hint_show_calls(struct hint *hint);
void hint_show_words(struct hint *hint);

/* Whether the text, of that many bytes, is one of the shell's words. */
bool hint_is_word(const char *text, size_t len);

/* cursor_fail, with "; did you mean 'NAME'?" where there is one. */
bool cursor_fail_near(struct cursor *cursor, const struct hint *hint, const char *what);

/* Whether a line that is no call is one of a real program's log: timestamps, signals, ends,
 * interrupted calls, calls that have nothing to do with memory. */
bool hint_is_log(const char *line);
extern const char hint_log[];

#endif
