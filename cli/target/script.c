/* script.c - reads a script and its directives.
 *
 * Owns the directives and their words, and says the line of a mistake. Runs nothing: a script that
 * cannot be read to its end is not begun.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "target/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strace/hints.h"
#include "strace/rights.h"
#include "strace/strace_names.h"
#include "target/target.h"
#include "target/text.h"

#define LINE_ROOM 65536 /* bytes */
#define LINES_MAX 10000000u

struct reader {
	struct script *script;
	FILE *stream;
	const char *text; /* the line being read */
	unsigned number;
	struct variables variables; /* none has a value yet */
};

static bool fail(const struct reader *reader, const char *at, const char *what)
{
	fprintf(stderr, "%s:%u:%u: %s\n", reader->script->path, reader->number,
	        (unsigned)(at - reader->text) + 1, what);
	return false;
}

/* ---- Directives: "#: word ..." --------------------------------------------------------------- */

static bool take_version(const struct reader *reader, const char *at, bool since)
{
	struct version_range *range = &reader->script->range;
	if (since ? range->nsince : range->nuntil)
		return fail(reader, at, "this version is given twice");
	return version_bounds_parse(at, since, range) ||
	       fail(reader, at, "expected versions such as 6.17, or 6.12.90 6.18.44 7.0");
}

static bool take_sysctl(const struct reader *reader, const char *at)
{
	struct script *script = reader->script;
	char name[64], line[128];
	unsigned long long value;
	int len = 0;
	struct parse_error error;
	struct answer answer;
	if (sscanf(at, "%63[a-z_.]=%llu%n", name, &value, &len) != 2 || at[len] != '\0')
		return fail(reader, at, "expected NAME=NUMBER, such as vm.overcommit_memory=2");
	if (script->sysctls == SCRIPT_MAX_SYSCTLS)
		return fail(reader, at, "too many sysctls");
	(void)snprintf(line, sizeof(line), "sysctl(\"%s\", %llu)", name, value);
	return call_parse(line, &script->needs_sysctl[script->sysctls++], &answer, &error) ||
	       fail(reader, at, error.message);
}

static bool take_cap(const struct reader *reader, const char *at)
{
	uint64_t number;
	if (!name_find(&names_cap, at, strlen(at), &number))
		return fail(reader, at, "expected CAP_IPC_LOCK, CAP_SYS_RAWIO or CAP_SYS_ADMIN");
	reader->script->needs_caps |= cap_of_number(number);
	return true;
}

static bool take_thp(const struct reader *reader, const char *at)
{
	if (strcmp(at, "always") != 0 && strcmp(at, "madvise") != 0 && strcmp(at, "never") != 0)
		return fail(reader, at, "expected always, madvise or never");
	(void)snprintf(reader->script->needs_thp, sizeof(reader->script->needs_thp), "%s", at);
	return true;
}

static bool take_shmem(const struct reader *reader, const char *at)
{
	if (!shmem_is_huge(at) && strcmp(at, "never") != 0 && strcmp(at, "deny") != 0)
		return fail(reader, at,
		            "expected always, within_size, advise, force, never or deny");
	(void)snprintf(reader->script->needs_shmem, sizeof(reader->script->needs_shmem), "%s", at);
	return true;
}

/* Ids of linux-behaviour.md: a capital, a number, perhaps a dot and more. */
static bool take_facts(const struct reader *reader, const char *at)
{
	do {
		size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		size_t digits = len ? strspn(at + len, "0123456789.abcdefgh") : 0;
		if (!digits || (at[len + digits] != ' ' && at[len + digits] != '\0'))
			return fail(reader, at, "expected the id of a fact, such as M1.9");
		at += len + digits;
		at += strspn(at, " ");
	} while (*at);
	return true;
}

static bool take_reason(const struct reader *reader, const char *at)
{
	if (*at == '\0')
		return fail(reader, at, "'kernel no' needs a reason");
	(void)snprintf(reader->script->kernel_no, sizeof(reader->script->kernel_no), "%s", at);
	return true;
}

static bool word(const char **at, const char *text)
{
	size_t len = strlen(text);
	if (strncmp(*at, text, len) != 0 || ((*at)[len] != ' ' && (*at)[len] != '\0'))
		return false;
	*at += len;
	*at += strspn(*at, " ");
	return true;
}

static bool take_page(const struct reader *reader, const char *at)
{
	char *end;
	uint64_t page = strtoull(at, &end, 10);
	if (*at < '0' || *at > '9' || *end != '\0' || page < 4096 || (page & (page - 1)) != 0)
		return fail(reader, at, "expected the bytes of a page, such as 4096");
	reader->script->needs_page = page;
	return true;
}

static bool take_format(const struct reader *reader, const char *at)
{
	if (!machine_format_begins(at))
		return fail(reader, at, "expected how a format's name begins, such as x86_64");
	(void)snprintf(reader->script->needs_format, sizeof(reader->script->needs_format), "%s",
	               at);
	return true;
}

static bool take_need(const struct reader *reader, const char *at)
{
	if (word(&at, "root"))
		return *at == '\0' ? (reader->script->needs_root = true)
		                   : fail(reader, at, "unexpected words behind 'needs root'");
	if (word(&at, "sysctl"))
		return take_sysctl(reader, at);
	if (word(&at, "cap"))
		return take_cap(reader, at);
	if (word(&at, "thp"))
		return take_thp(reader, at);
	if (word(&at, "shmem"))
		return take_shmem(reader, at);
	if (word(&at, "page"))
		return take_page(reader, at);
	if (word(&at, "format"))
		return take_format(reader, at);
	return fail(reader, at,
	            "a script can need root, sysctl NAME=NUMBER, cap CAP_X, thp WORD, shmem WORD, "
	            "page BYTES or format NAME");
}

static bool take_directive(const struct reader *reader, const char *at)
{
	at += strspn(at, " ");
	if (word(&at, "since"))
		return take_version(reader, at, true);
	if (word(&at, "until"))
		return take_version(reader, at, false);
	if (word(&at, "needs"))
		return take_need(reader, at);
	if (word(&at, "fact"))
		return take_facts(reader, at);
	if (word(&at, "kernel") && word(&at, "no"))
		return take_reason(reader, at);
	return fail(reader, at, "a directive is one of since, until, needs, fact, kernel no");
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Any inode numbers will do in what maps() should answer. */
static bool make_canonical(struct script_line *line, struct parse_error *error)
{
	if (line->call.name != CALL_MAPS || line->expected.kind != ANSWER_TEXT)
		return true;
	char *text = maps_answer(line->expected.text);
	if (!text) {
		*error = (struct parse_error){1, "out of memory"};
		return false;
	}
	free(line->expected.text);
	line->expected.text = text;
	return true;
}

static bool parse_line(struct script_line *line, const char *text,
                       const struct variables *variables, struct parse_error *error)
{
	if (word_of_line(text)) {
		bool good = word_parse(text, variables, &line->word, error);
		line->word.argument = NULL; /* of the text, which does not last */
		return good;
	}
	return call_parse_with(text, variables, &line->call, &line->expected, error) &&
	       make_canonical(line, error);
}

bool script_resolve(struct script_line *line, const struct variables *variables,
                    struct parse_error *error)
{
	if (!line->text)
		return true;
	answer_free(&line->expected);
	return parse_line(line, line->text, variables, error);
}

static struct script_line *next_script_line(struct script *script, size_t *room)
{
	if (script->count == *room) {
		*room = *room ? *room * 2 : 64;
		struct script_line *more = realloc(script->lines, *room * sizeof(*more));
		if (!more)
			return NULL;
		script->lines = more;
	}
	struct script_line *line = &script->lines[script->count];
	*line = (struct script_line){0};
	return line;
}

static bool add_line(struct reader *reader, size_t *room)
{
	struct script *script = reader->script;
	struct parse_error error;
	struct script_line *line = next_script_line(script, room);
	if (!line)
		return fail(reader, reader->text, "out of memory");
	line->number = reader->number;
	if (!parse_line(line, reader->text, &reader->variables, &error)) {
		if (hint_is_log(reader->text))
			return fail(reader, reader->text, hint_log);
		return fail(reader, reader->text + error.column - 1, error.message);
	}
	script->count++;
	if (line->call.result[0] && !variable_declare(&reader->variables, line->call.result))
		return fail(reader, reader->text, "too many names");
	if (line->word.word && line->word.word->shell_only)
		return fail(reader, reader->text, "this is a word for the shell alone");
	if (line->call.refers || line->word.refers) {
		script->refers = true;
		line->text = strdup(reader->text);
		if (!line->text)
			return fail(reader, reader->text, "out of memory");
	}
	if (line->word.word)
		script->looks |= word_looks_back(line->word.word->name);
	return true;
}

static bool take_script_line(struct reader *reader, size_t *room)
{
	const char *at = reader->text + strspn(reader->text, " \t");
	if (strncmp(at, "#:", 2) == 0)
		return take_directive(reader, at + 2);
	return *at == '\0' || *at == '#' || add_line(reader, room);
}

static bool read_lines(struct reader *reader)
{
	char *text = malloc(LINE_ROOM);
	size_t room = 0;
	ssize_t len;
	bool good = text || fail(reader, reader->text, "out of memory");
	while (good && (len = text_read_line(reader->stream, text, LINE_ROOM)) >= 0) {
		bool whole = len < LINE_ROOM - 1 || text[len - 1] == '\n';
		reader->text = text;
		reader->number++;
		while (len > 0 &&
		       (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
			text[--len] = '\0';
		if (strlen(text) != (size_t)len)
			good = fail(reader, text + strlen(text), "a NUL byte");
		else if (!whole || reader->number > LINES_MAX)
			good = fail(reader, text,
			            whole ? "too many lines" : "the line is too long");
		else
			good = take_script_line(reader, &room);
	}
	if (good && ferror(reader->stream)) {
		fprintf(stderr, "%s: %s\n", reader->script->path, strerror(errno));
		good = false;
	}
	free(text);
	return good;
}

bool script_read(const char *path, struct script *script)
{
	bool standard = strcmp(path, "-") == 0;
	struct reader reader = {.script = script,
	                        .stream = standard ? stdin : fopen(path, "re"),
	                        .variables = {.reading = true}};
	*script = (struct script){.path = path};
	if (!reader.stream) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	bool good = read_lines(&reader);
	if (!standard)
		(void)fclose(reader.stream);
	const struct version_range *range = &script->range;
	if (good && range->nsince && range->nuntil &&
	    range->since[range->nsince - 1] > range->until[range->nuntil - 1]) {
		fprintf(stderr, "%s: no version is both since and until\n", path);
		good = false;
	}
	if (!good)
		script_free(script);
	return good;
}

void script_free(struct script *script)
{
	for (size_t i = 0; i < script->count; i++) {
		answer_free(&script->lines[i].expected);
		free(script->lines[i].text);
	}
	free(script->lines);
	script->lines = NULL;
	script->count = 0;
}
