/* shell_lines.c - where the shell's lines come from: libedit on a terminal, else, and where it was
 * left out (VAS_LINE_EDITING), standard input.
 *
 * libedit keeps its state in globals, and so does this file, which is all that knows of it.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "shell/shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef VAS_LINE_EDITING

#include <editline/readline.h>

#include "strace/strace_shape.h"

#define HISTORY_LINES 1000

static bool interactive;
static char *history_path; /* NULL: nowhere to keep it */

/* ---- Completion ------------------------------------------------------------------------------ */

/* The n-th name that may stand at the start of a line. */
static const char *command_at(size_t n)
{
	if (n < CALL_NAMES)
		return shape_at(n)->text;
	n -= CALL_NAMES;
	for (size_t i = 0; shell_words[i].text; i++)
		if (i == n)
			return shell_words[i].text;
	return NULL;
}

/* The n-th flag name among the sets of a call's arguments. */
static const char *flag_at(const struct call_shape *shape, size_t n)
{
	for (unsigned i = 0; shape && shape->arg[i].kind != ARG_END; i++) {
		if (shape->arg[i].kind != ARG_SET)
			continue;
		for (const struct name *name = shape->arg[i].set->names; name->text; name++)
			if (n-- == 0)
				return name->text;
	}
	return NULL;
}

/* libedit asks again and again until NULL; `state` 0 begins a new round. */
static char *next_match(const char *text, int state, const struct call_shape *shape, bool command)
{
	static size_t n;
	const char *name;
	if (state == 0)
		n = 0;
	while ((name = command ? command_at(n) : flag_at(shape, n))) {
		n++;
		if (strncmp(name, text, strlen(text)) == 0)
			return strdup(name);
	}
	return NULL;
}

static char *next_command(const char *text, int state)
{
	return next_match(text, state, NULL, true);
}

static char *next_flag(const char *text, int state)
{
	const char *line = rl_line_buffer + strspn(rl_line_buffer, " ");
	return next_match(text, state, shape_find(line, strcspn(line, "( ")), false);
}

static char **complete(const char *text, int start, int end)
{
	bool help = strncmp(rl_line_buffer, "help ", 5) == 0;
	(void)end;
	rl_attempted_completion_over = 1; /* never file names */
	return rl_completion_matches(text, start == 0 || help ? next_command : next_flag);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static char *find_history(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int n = -1;
	if (state && *state)
		n = asprintf(&path, "%s/vas_history", state);
	else if (home && *home)
		n = asprintf(&path, "%s/.vas_history", home);
	return n < 0 ? NULL : path;
}

bool shell_lines_start(void)
{
	static char name[] = "vas", breaks[] = " (),|";
	interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (!interactive)
		return false;
	rl_readline_name = name;
	rl_completer_word_break_characters = breaks;
	rl_attempted_completion_function = complete;
	rl_completion_append_character = '\0';
	using_history();
	stifle_history(HISTORY_LINES);
	history_path = find_history();
	if (history_path && access(history_path, R_OK) == 0)
		(void)read_history(history_path);
	return true;
}

static char *edited_line(void)
{
	char *line = readline("vas> ");
	if (line && *line)
		(void)add_history(line);
	return line;
}

void shell_lines_stop(void)
{
	if (interactive && history_path && write_history(history_path) != 0)
		fprintf(stderr, "vas: %s: %s\n", history_path, strerror(errno));
	free(history_path);
	history_path = NULL;
}

#else

static bool interactive;

bool shell_lines_start(void)
{
	interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	return interactive;
}

static char *edited_line(void)
{
	(void)fputs("vas> ", stdout);
	(void)fflush(stdout);
	interactive = false; /* a plain line, this time */
	char *line = shell_lines_next();
	interactive = true;
	return line;
}

void shell_lines_stop(void)
{
}

#endif

char *shell_lines_next(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	if (interactive)
		return edited_line();
	len = getline(&line, &size, stdin);
	if (len < 0) {
		free(line);
		return NULL;
	}
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = '\0';
	return line;
}
