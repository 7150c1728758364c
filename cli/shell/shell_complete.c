/* shell_complete.c - what may follow at the end of a line: calls and words at its start, then what
 * the argument takes there: the flags of its set, or names of addresses.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "shell/shell.h"
#include "strace/strace_shape.h"
#include "strace/words.h"

struct completion {
	const char *start; /* of what shall be completed */
	size_t len, n;
	const char *found;
};

/* True: this is the n-th that begins so. */
static bool offer(struct completion *completion, const char *name)
{
	if (strncmp(name, completion->start, completion->len) != 0 || completion->n-- != 0)
		return false;
	completion->found = name;
	return true;
}

static bool offer_calls(struct completion *completion)
{
	for (size_t i = 0; shape_at(i); i++)
		if (offer(completion, shape_at(i)->text))
			return true;
	return false;
}

static bool offer_words(struct completion *completion)
{
	for (const struct word *word = word_table; word->text; word++)
		if (offer(completion, word->text))
			return true;
	return false;
}

static bool offer_variables(struct completion *completion, const struct variables *variables)
{
	for (unsigned i = 0; i < variables->count; i++)
		if (offer(completion, variables->at[i].name))
			return true;
	return false;
}

/* Behind a whole flag of a set of which more may be given comes '|'. */
static bool offer_set(struct completion *completion, const struct name_set *set)
{
	static char more[64];
	for (const struct name *name = set->names; name->text; name++) {
		bool whole = strlen(name->text) == completion->len && set->choice != CHOICE_ONLY;
		if (whole && strncmp(name->text, completion->start, completion->len) == 0) {
			(void)snprintf(more, sizeof(more), "%s|", name->text);
			if (offer(completion, more))
				return true;
		} else if (offer(completion, name->text)) {
			return true;
		}
	}
	return false;
}

/* The call that an open bracket belongs to, and which of its arguments `at` stands in. */
static const struct call_shape *shape_before(const char *line, const char *at, unsigned *argument)
{
	const char *open = memchr(line, '(', (size_t)(at - line)), *name;
	if (!open)
		return NULL;
	for (name = open; name > line && name[-1] != ' ' && name[-1] != '='; name--)
		;
	*argument = 0;
	for (; open < at; open++)
		*argument += *open == ',';
	return shape_find(name, strcspn(name, "( "));
}

/* Whether a call may begin at `at`: first of all, behind its speaker, or behind "p =". */
static bool begins(const char *line, const char *at)
{
	const char *before = at;
	while (before > line && before[-1] == ' ')
		before--;
	return before == line || before[-1] == '=' || before[-1] == ']';
}

const char *shell_completion(const char *line, size_t len, size_t n,
                             const struct variables *variables)
{
	const char *at = line + strlen(line) - len;
	struct completion completion = {.start = at, .len = len, .n = n};
	unsigned argument = 0;
	const struct call_shape *shape = shape_before(line, at, &argument);
	const char *first = line + strspn(line, " ");
	if (strncmp(first, "help ", 5) == 0 || strncmp(first, "? ", 2) == 0) {
		(void)offer_calls(&completion);
	} else if (!shape && begins(line, at)) {
		if (!offer_calls(&completion))
			(void)offer_words(&completion);
	} else if (!shape) {
		(void)offer_variables(&completion, variables); /* walk p */
	} else {
		for (unsigned i = 0; i < argument && shape->arg[i].kind != ARG_END; i++)
			if (shape->arg[i + 1].kind == ARG_END)
				return NULL;
		const struct arg_shape *arg = &shape->arg[argument];
		if (arg->kind == ARG_SET)
			(void)offer_set(&completion, arg->set);
		else if (arg->kind != ARG_END)
			(void)offer_variables(&completion, variables);
	}
	return completion.found;
}
