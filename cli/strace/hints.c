/* hints.c - what was probably meant.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/hints.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "strace/strace_shape.h"
#include "strace/words.h"

#define WORD_MAX 40u /* longer words are near to nothing */

/* ---- Names ----------------------------------------------------------------------------------- */

/* How many letters must be changed, put in, left out or swapped with the next. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[3][WORD_MAX + 1];
	unsigned *older = row[0], *old = row[1], *now = row[2];
	for (unsigned j = 0; j <= b_len; j++)
		old[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			int x = toupper((unsigned char)a[i - 1]);
			int y = toupper((unsigned char)b[j - 1]);
			unsigned least = old[j - 1] + (x != y);
			least = old[j] + 1 < least ? old[j] + 1 : least;
			least = now[j - 1] + 1 < least ? now[j - 1] + 1 : least;
			if (i > 1 && j > 1 && x == toupper((unsigned char)b[j - 2]) &&
			    y == toupper((unsigned char)a[i - 2]) && older[j - 2] + 1 < least)
				least = older[j - 2] + 1;
			now[j] = least;
		}
		unsigned *spare = older;
		older = old;
		old = now;
		now = spare;
	}
	return old[b_len];
}

void hint_show(struct hint *hint, const char *name)
{
	size_t len = strlen(name);
	const char *tail = name;
	if (hint->len < 2 || hint->len > WORD_MAX || len > WORD_MAX)
		return;
	unsigned far = distance(hint->word, hint->len, name, len);
	while ((tail = strchr(tail, '_')) && ++tail)
		if (strlen(tail) == hint->len &&
		    distance(hint->word, hint->len, tail, hint->len) == 0)
			far = 1;
	if (far > (hint->len < 4 ? 1 : hint->len / 3) || (hint->best && far >= hint->distance))
		return;
	hint->best = name;
	hint->distance = far;
}

void hint_show_set(struct hint *hint, const struct name_set *set)
{
	for (const struct name *name = set->names; name->text; name++)
		hint_show(hint, name->text);
}

void hint_show_variables(struct hint *hint, const struct variables *variables)
{
	for (unsigned i = 0; variables && i < variables->count; i++)
		hint_show(hint, variables->at[i].name);
}

void hint_show_calls(struct hint *hint)
{
	for (size_t i = 0; shape_at(i); i++)
		hint_show(hint, shape_at(i)->text);
}

void hint_show_words(struct hint *hint)
{
	for (const struct word *word = word_table; word->text; word++)
		hint_show(hint, word->text);
}

bool hint_is_word(const char *text, size_t len)
{
	for (const struct word *word = word_table; word->text; word++)
		if (strncmp(word->text, text, len) == 0 && word->text[len] == '\0')
			return true;
	return false;
}

bool cursor_fail_near(struct cursor *cursor, const struct hint *hint, const char *what)
{
	if (!hint->best)
		return cursor_fail(cursor, "%s", what);
	return cursor_fail(cursor, "%s; did you mean '%s'?", what, hint->best);
}

/* ---- Logs ------------------------------------------------------------------------------------ */

const char hint_log[] = "this is the log of a real program: `vas check --record LOG -- PROGRAM` "
			"follows it and records what `vas replay LOG` reads";

/* 10:23:45 and 1698765432.123456 stand before a call that strace -t, -r or -ttt has printed. */
static bool is_time(const char *at)
{
	size_t len = strspn(at, "0123456789:.");
	const char *mark = strpbrk(at, ":.");
	return len > 2 && (at[len] == ' ' || at[len] == '\t') && mark && mark < at + len;
}

static const char *skip_pid(const char *at)
{
	size_t digits;
	at += strspn(at, " \t");
	if (strncmp(at, "[pid", 4) == 0 && strchr(at, ']'))
		at = strchr(at, ']') + 1;
	digits = strspn(at, "0123456789");
	if (digits && at[digits] == ' ')
		at += digits;
	return at + strspn(at, " \t");
}

/* strace -T puts how long a call took behind its answer. */
static bool ends_in_duration(const char *line)
{
	const char *last = strrchr(line, '<');
	size_t digits = last ? strspn(last + 1, "0123456789.") : 0;
	return digits > 2 && strchr(last, '.') && last[1 + digits] == '>' &&
	       last[2 + digits] == '\0';
}

/* name(...) = answer, of a call that is no misspelt one of ours. */
static bool is_other_call(const char *at)
{
	struct hint hint = {.word = at};
	while (islower((unsigned char)at[hint.len]) || isdigit((unsigned char)at[hint.len]) ||
	       at[hint.len] == '_')
		hint.len++;
	if (hint.len < 2 || at[hint.len] != '(' || !strstr(at, ") = ") || shape_find(at, hint.len))
		return strncmp(at, "execve(", 7) == 0;
	hint_show_calls(&hint);
	return !hint.best;
}

bool hint_is_log(const char *line)
{
	const char *at = skip_pid(line);
	return is_time(at) || strncmp(at, "+++ ", 4) == 0 || strncmp(at, "--- ", 4) == 0 ||
	       strncmp(at, "<... ", 5) == 0 || strstr(at, "<unfinished ...>") ||
	       ends_in_duration(at) || is_other_call(at);
}
