/* shell_lines.c - where the shell's lines come from: libedit on a terminal, else, and where it was
 * left out (VAS_LINE_EDITING), standard input.
 *
 * libedit keeps its state in globals, and so does this file, which is all that knows of it.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "shell/shell.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "target/text.h"

static bool interactive;
static volatile sig_atomic_t interrupted;
static sigset_t waiting; /* the mask while a line is waited for: else SIGINT is blocked */

/* Until something can be read, or Ctrl-C was typed, be it before: true then. */
static bool wait_for_input(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	while (!interrupted && ppoll(&input, 1, NULL, &waiting) < 0 && errno == EINTR)
		;
	return interrupted;
}

#ifdef VAS_LINE_EDITING

#include <editline/readline.h>

#define HISTORY_LINES 1000

static char *history_path; /* NULL: nowhere to keep it */
static const struct variables *known_variables;

/* ---- Completion ------------------------------------------------------------------------------ */

/* libedit asks again and again until NULL; `state` 0 begins a new round. */
static char *next_match(const char *text, int state)
{
	static size_t n;
	n = state == 0 ? 0 : n + 1;
	/* what stands behind the cursor is none of its business */
	char *line = strndup(rl_line_buffer, (size_t)rl_point);
	const char *name = line ? shell_completion(line, strlen(text), n, known_variables) : NULL;
	free(line);
	return name ? strdup(name) : NULL;
}

static char **complete(const char *text, int start, int end)
{
	(void)start;
	(void)end;
	rl_attempted_completion_over = 1; /* never file names */
	return rl_completion_matches(text, next_match);
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

/* libedit asks this while there is nothing to read; without a hook it finds the end. So does a
 * terminal that has hung up, or was told of the end before it was libedit's. */
static int wait_or_end(void)
{
	int bytes = 0;
	if (wait_for_input() || ioctl(STDIN_FILENO, FIONREAD, &bytes) < 0 || bytes == 0)
		rl_event_hook = NULL;
	return 0;
}

static void start_editing(const struct variables *variables)
{
	static char name[] = "vas", breaks[] = " (),|=+-*";
	known_variables = variables;
	rl_readline_name = name;
	rl_catch_signals = 0;
	rl_completer_word_break_characters = breaks;
	rl_attempted_completion_function = complete;
	rl_completion_append_character = '\0';
	using_history();
	stifle_history(HISTORY_LINES);
	history_path = find_history();
	if (history_path && access(history_path, R_OK) == 0)
		(void)read_history(history_path);
}

static enum shell_line edited_line(char **line)
{
	rl_event_hook = wait_or_end;
	*line = readline("vas> ");
	if (*line && **line)
		(void)add_history(*line);
	return *line ? LINE_READ : LINE_END;
}

void shell_lines_stop(void)
{
	if (interactive && history_path && write_history(history_path) != 0)
		fprintf(stderr, "vas: %s: %s\n", history_path, strerror(errno));
	free(history_path);
	history_path = NULL;
}

#else

static enum shell_line plain_line(char **line);

static void start_editing(const struct variables *variables)
{
	(void)variables;
}

static enum shell_line edited_line(char **line)
{
	(void)fputs("vas> ", stdout);
	(void)fflush(stdout);
	return wait_for_input() ? LINE_END : plain_line(line);
}

void shell_lines_stop(void)
{
}

#endif

static void interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

bool shell_lines_start(const struct variables *variables)
{
	const struct sigaction action = {.sa_handler = interrupt};
	sigset_t mask;
	interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (interactive) {
		(void)sigemptyset(&mask);
		(void)sigaddset(&mask, SIGINT);
		(void)sigprocmask(SIG_BLOCK, &mask, &waiting);
		(void)sigaction(SIGINT, &action, NULL);
		start_editing(variables);
	}
	return interactive;
}

static enum shell_line plain_line(char **line)
{
	*line = malloc(SHELL_LINE_ROOM);
	if (!*line)
		return LINE_BAD;
	ssize_t len = text_read_line(stdin, *line, SHELL_LINE_ROOM);
	if (len < 0) {
		free(*line);
		*line = NULL;
		return LINE_END;
	}
	bool whole = len < SHELL_LINE_ROOM - 1 || (*line)[len - 1] == '\n';
	if (!whole || strlen(*line) != (size_t)len) {
		free(*line);
		*line = NULL;
		return LINE_BAD;
	}
	while (len > 0 && ((*line)[len - 1] == '\n' || (*line)[len - 1] == '\r'))
		(*line)[--len] = '\0';
	return LINE_READ;
}

enum shell_line shell_lines_next(char **line)
{
	if (!interactive)
		return plain_line(line);
	enum shell_line result = edited_line(line);
	if (result != LINE_END)
		return result;
	printf("\n");
	result = interrupted ? LINE_CANCELLED : LINE_END;
	interrupted = 0;
	return result;
}

/* A paste comes in pieces. */
void shell_lines_drop(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	while (interactive && poll(&input, 1, 100) > 0 && !(input.revents & (POLLHUP | POLLERR)))
		if (tcflush(STDIN_FILENO, TCIFLUSH) != 0)
			return;
}
