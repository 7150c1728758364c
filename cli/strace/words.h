/* words.h - what a script or the shell may ask beside calls: a word and perhaps an address.
 *
 *   walk p+4096
 *   [2] maps
 *
 * A word followed by '(' or '=' is a call, or a name.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_WORDS_H
#define VAS_CLI_WORDS_H

#include "strace/variables.h"

enum word_name {
	WORD_NONE,
	WORD_MAPS,
	WORD_STATUS,
	WORD_FLAGS,
	WORD_WALK,
	WORD_PICTURE,
	WORD_DIFF,
	WORD_WHY,
	WORD_CHECK,
	WORD_UNDO,
	WORD_HELP,
	WORD_QUIT,
};

struct word {
	const char *text;
	enum word_name name;
	const char *argument; /* "ADDR", "[CALL]", "" */
	bool shell_only;
	const char *help; /* NULL: another name for one that has it */
};

/* Ended by a NULL text. */
extern const struct word word_table[];

/* Whether it is about what the last call did. */
static inline bool word_looks_back(enum word_name name)
{
	return name == WORD_PICTURE || name == WORD_DIFF || name == WORD_WHY;
}

/* NULL: it is none. */
const struct word *word_named(const char *text, size_t len);

/* Of a word in the notation: who is asked about, and where. */
struct word_line {
	const struct word *word;
	unsigned process;     /* from 1 on */
	uint64_t addr;        /* of ADDR */
	const char *argument; /* of [CALL]: the rest of the line */
	bool refers;          /* ADDR was said by a variable */
};

/* The word that the line begins with, behind its speaker; NULL: the line is a call or nothing. */
const struct word *word_of_line(const char *line);

/* Reads a line that word_of_line has found a word in. */
bool word_parse(const char *line, const struct variables *variables, struct word_line *word,
                struct parse_error *error);

#endif
