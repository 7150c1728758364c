/* variables.h - names that scripts and the shell give to answers: p = mmap(...), load(p+4k).
 *
 * A name is of small letters, digits and _, begins with a letter, and is no call's; constants are
 * of capitals, and a word is one where neither '=' nor '(' follows. So none can hide another.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_VARIABLES_H
#define VAS_CLI_VARIABLES_H

#include "strace/strace.h"

#define VARIABLES_MAX 256u

struct variables {
	struct variable {
		char name[VARIABLE_NAME_MAX];
		uint64_t value;
		bool has_value; /* else its call failed, or has not been made yet */
	} at[VARIABLES_MAX];
	unsigned count;
	bool reading; /* no call is made yet: what has no value stands for any */
};

/* NULL: there is none of this name. */
const struct variable *variable_find(const struct variables *variables, const char *name,
                                     size_t len);

/* The name is known from now on, and has no value unless it had one. False: there are too many. */
bool variable_declare(struct variables *variables, const char *name);

/* What `call` answered is the value of its name, if it has one: none after an error. */
void variable_assign(struct variables *variables, const struct call *call,
                     const struct answer *answer);

/* NULL, or why this word (of letters, digits and _) cannot be a name. */
const char *variable_refusal(const char *word, size_t len);

#endif
