/* cursor.h - one way through a line: what reads calls, numbers and the shell's words shares.
 *
 * Each take_* function either consumes what it names or records where the line went wrong and
 * answers false.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_CURSOR_H
#define VAS_CLI_CURSOR_H

#include "strace/strace_names.h"
#include "strace/variables.h"

struct cursor {
	const char *line, *at;
	struct parse_error *error;
	const struct variables *variables; /* NULL: no names but those of constants */
	bool refers;                       /* a variable has been read */
	bool unknown;                      /* and one had no value yet: sums mean nothing */
};

/* Records the place and what is wrong there, control bytes made visible; false. */
bool cursor_fail(struct cursor *cursor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Blanks, and the comments strace puts behind values it has no name for. */
void cursor_skip_blanks(struct cursor *cursor);

/* Behind blanks, whether this text stands there; the second takes it, the third must. */
bool cursor_at(struct cursor *cursor, const char *text);
bool cursor_accept(struct cursor *cursor, const char *text);
bool cursor_expect(struct cursor *cursor, const char *text);

/* What stands at the cursor, for error messages: the length of one word or one character. */
int cursor_word_here(const struct cursor *cursor);

/* Behind blanks, the length of the word that is no number; 0: there is none. */
size_t cursor_word(struct cursor *cursor);

/* A number, or a sum of products of numbers and names of numbers. */
bool cursor_take_number(struct cursor *cursor, uint64_t *value);

/* Digits of this base, and nothing behind them that could be one of another. */
bool cursor_take_digits(struct cursor *cursor, int base, uint64_t *value);

/* The value of a digit, of a base up to 16; 16: it is none. */
int digit_of(char c);

#endif
