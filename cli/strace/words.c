/* words.c - the table of words, and how a line with one is read.
 *
 * SPDX-License-Identifier: MIT */
#include "strace/words.h"

#include <string.h>

#include "strace/cursor.h"

const struct word word_table[] = {
	{"maps", WORD_MAPS, "", false, "the mappings, as /proc/PID/maps shows them"},
	{"picture", WORD_PICTURE, "", false, "the mappings drawn, and what the last call changed"},
	{"diff", WORD_DIFF, "", false, "what the last call changed of maps and page tables"},
	{"why", WORD_WHY, "", false, "which check the last call failed"},
	{"status", WORD_STATUS, "", false, "VmSize, VmLck, VmData, VmStk, the break"},
	{"flags", WORD_FLAGS, "ADDR", false, "VmFlags of the mapping at ADDR"},
	{"walk", WORD_WALK, "ADDR", false, "the page tables from the top down to ADDR (vas only)"},
	{"check", WORD_CHECK, "", false, "verify every invariant of vas"},
	{"undo", WORD_UNDO, "", true, "as if the last call had not been made"},
	{"help", WORD_HELP, "[CALL]", true, "this, or the arguments and errors of a call"},
	{"?", WORD_HELP, "[CALL]", true, NULL},
	{"quit", WORD_QUIT, "", true, "leave"},
	{"q", WORD_QUIT, "", true, NULL},
	{"exit", WORD_QUIT, "", true, NULL},
	{NULL, WORD_NONE, NULL, false, NULL},
};

const struct word *word_named(const char *text, size_t len)
{
	for (const struct word *word = word_table; word->text; word++)
		if (strlen(word->text) == len && memcmp(word->text, text, len) == 0)
			return word;
	return NULL;
}

/* A call's name comes with '(', a variable's with '='. */
static const struct word *word_at(const char *at)
{
	size_t len = strcspn(at, " \t(=#");
	const char *behind = at + len + strspn(at + len, " \t");
	if (*behind == '(' || *behind == '=')
		return NULL;
	return word_named(at, len);
}

const struct word *word_of_line(const char *line)
{
	unsigned process;
	return word_at(call_speaker(line + strspn(line, " \t"), &process));
}

bool word_parse(const char *line, const struct variables *variables, struct word_line *word,
                struct parse_error *error)
{
	unsigned process = 0;
	const char *at = call_speaker(line + strspn(line, " \t"), &process);
	struct cursor cursor = {.line = line, .error = error, .variables = variables};
	*word = (struct word_line){.word = word_at(at), .process = process ? process : 1};
	cursor.at = at + strlen(word->word->text);
	cursor_skip_blanks(&cursor);
	word->argument = cursor.at;
	if (strcmp(word->word->argument, "[CALL]") == 0)
		return true;
	if (strcmp(word->word->argument, "ADDR") == 0 && !cursor_take_number(&cursor, &word->addr))
		return false;
	word->refers = cursor.refers;
	cursor_skip_blanks(&cursor);
	if (*cursor.at == '\0' || *cursor.at == '#')
		return true;
	return cursor_fail(&cursor,
	                   word->word->argument[0] ? "unexpected '%.*s' behind the address"
	                                           : "this takes no argument, not '%.*s'",
	                   cursor_word_here(&cursor), cursor.at);
}
