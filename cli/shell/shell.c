/* shell.c - `vas shell`: calls typed at a prompt, and a look at what they leave behind.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "show/session.h"
#include "strace/hints.h"

#define UNDO_MAX 4096u /* calls; after more of them, undo would have to make too many again */

/* A call that has been made, and what it answered: for undo, which makes all but the last anew. */
struct made {
	struct call call;
	enum answer_kind kind;
	int64_t value;
};

struct shell {
	struct session session;
	enum sides sides;
	uint32_t linux_version; /* that was asked for; 0: none */
	struct machine machine;
	int status; /* the exit status of a piped shell: the worst so far */
	bool quit;
	bool terminal;
	unsigned line;
	struct made *made;
	size_t nmade; /* more than UNDO_MAX: the rest has not been kept */
};

enum { ON, LINUX };

static const struct command_option options_known[] = {
	[ON] = {"on", .words = SIDES_WORDS,
	        .help = "who answers (default: vas; both compares after each call)"},
	[LINUX] = OPTION_LINUX,
	{0},
};

static void complain(struct shell *shell, unsigned column, const char *what)
{
	(void)fflush(stdout);
	if (shell->terminal)
		fprintf(stderr, "column %u: %s\n", column, what);
	else
		fprintf(stderr, "-:%u:%u: %s\n", shell->line, column, what);
	shell->status = EXIT_USAGE;
}

static void note_status(struct shell *shell, int status)
{
	if (shell->status == EXIT_SAME)
		shell->status = status;
}

/* ---- Sides ----------------------------------------------------------------------------------- */

static bool start_sides(struct shell *shell)
{
	struct session *session = &shell->session;
	*session = (struct session){
		.task_size = shell->machine.task_size,
		.version = shell->machine.version,
		.looks = true,
		.pair = {.check = true},
	};
	if (shell->sides & SIDES_KERNEL) {
		session->pair.kernel = target_kernel_create();
		if (!session->pair.kernel)
			return false;
	}
	if (shell->sides & SIDES_VAS) {
		session->pair.vas = target_vas_create(&shell->machine, session->pair.kernel);
		return session->pair.vas != NULL;
	}
	return true;
}

/* ---- Undoing --------------------------------------------------------------------------------- */

static void remember(struct shell *shell, const struct call *call, const struct answer *answer)
{
	if (shell->nmade < UNDO_MAX && (shell->nmade & (shell->nmade - 1)) == 0) {
		size_t room = shell->nmade ? 2 * shell->nmade : 1;
		struct made *more = realloc(shell->made, room * sizeof(*more));
		if (!more)
			shell->nmade = UNDO_MAX; /* what cannot be kept cannot be undone */
		else
			shell->made = more;
	}
	if (shell->nmade < UNDO_MAX)
		shell->made[shell->nmade] = (struct made){*call, answer->kind, answer->value};
	if (shell->nmade <= UNDO_MAX)
		shell->nmade++;
}

/* Makes a call again; what it answers otherwise than before is told. */
static bool repeat(struct shell *shell, const struct made *made, bool looks)
{
	struct pair_answer answers;
	shell->session.looks = looks;
	enum pair_result result = session_call(&shell->session, &made->call, &answers, stdout);
	const struct answer *answer = pair_one(&shell->session.pair, &answers);
	if (result != PAIR_BROKEN && (answer->kind != made->kind || answer->value != made->value))
		printf("what was made before this call answers otherwise now\n");
	pair_answer_free(&answers);
	return result != PAIR_BROKEN;
}

/* Begins anew and makes all calls but the last: so both sides, files and names are as they were. */
static void undo(struct shell *shell)
{
	char text[2048];
	if (shell->nmade == 0 || shell->nmade > UNDO_MAX) {
		complain(shell, 1,
		         shell->nmade ? "too many calls were made to undo one"
		                      : "no call has been made");
		return;
	}
	shell->nmade--;
	session_end(&shell->session);
	bool good = start_sides(shell);
	for (size_t i = 0; i < shell->nmade && good; i++)
		good = repeat(shell, &shell->made[i], i + 1 == shell->nmade);
	shell->session.looks = true;
	shell->quit |= !good;
	if (!good)
		note_status(shell, EXIT_DIFFERENT);
	(void)call_print(text, sizeof(text), &shell->made[shell->nmade].call, NULL);
	printf("undone: %s\n", text);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* A whole line, or with `call` NULL its answer; as long as it may be. */
static void print_call(const char *before, const struct call *call, const struct answer *answer,
                       bool whole)
{
	size_t len = whole ? call_print(NULL, 0, call, answer)
	                   : answer_print(NULL, 0, call, answer);
	char *text = malloc(len + 1);
	if (!text) {
		fprintf(stderr, "vas: out of memory\n");
		return;
	}
	(void)(whole ? call_print(text, len + 1, call, answer)
	             : answer_print(text, len + 1, call, answer));
	printf("%s%s\n", before, text);
	free(text);
}

/* A log is not ours to make: one word about it, and what follows of a paste is dropped. */
static void refuse_log(struct shell *shell)
{
	complain(shell, 1, hint_log);
	if (shell->terminal) {
		puts("what was pasted behind it was dropped");
		shell_lines_drop();
	} else {
		shell->quit = true;
	}
}

static void make_call(struct shell *shell, const char *line)
{
	struct call call;
	struct answer expected;
	struct parse_error error;
	struct pair_answer answers;
	if (!call_parse_with(line, &shell->session.variables, &call, &expected, &error)) {
		if (hint_is_log(line))
			refuse_log(shell);
		else
			complain(shell, error.column, error.message);
		return;
	}
	if (call.result[0] && !variable_declare(&shell->session.variables, call.result)) {
		complain(shell, 1, "too many names");
		answer_free(&expected);
		return;
	}
	enum pair_result result = session_call(&shell->session, &call, &answers, stdout);
	const struct answer *answer = pair_one(&shell->session.pair, &answers);
	if (result == PAIR_BROKEN)
		shell->quit = true;
	else
		print_call("", &call, answer, true);
	remember(shell, &call, answer);
	if (expected.kind != ANSWER_NONE && result != PAIR_BROKEN &&
	    !answer_equal(&expected, answer)) {
		print_call("  not as expected: = ", &call, &expected, false);
		result = PAIR_DIFFERENT;
	}
	if (result != PAIR_SAME)
		note_status(shell, EXIT_DIFFERENT);
	pair_answer_free(&answers);
	answer_free(&expected);
}

static void help(struct shell *shell, const char *argument)
{
	const struct word *word = word_named(argument, strcspn(argument, " \t"));
	struct hint hint = {.word = argument, .len = strcspn(argument, " \t(")};
	char text[128];
	if (*argument == '\0' || *argument == '#') {
		shell_help();
		return;
	}
	if (shell_help_call(argument))
		return;
	if (word && word->help) {
		printf("%s %s: %s\n", word->text, word->argument, word->help);
		return;
	}
	hint_show_calls(&hint);
	hint_show_words(&hint);
	(void)snprintf(text, sizeof(text), "there is no such call%s%s%s",
	               hint.best ? "; did you mean '" : "", hint.best ? hint.best : "",
	               hint.best ? "'?" : "");
	complain(shell, 6, text);
}

static void show(struct shell *shell, const struct word_line *word)
{
	const struct draw_style style = draw_style_of(stdout);
	struct parse_error error;
	enum word_result result = session_word(&shell->session, word, &style, stdout, &error);
	if (result == WORD_REFUSED)
		complain(shell, error.column, error.message);
	else if (result == WORD_WRONG)
		note_status(shell, EXIT_DIFFERENT);
}

static void take_word(struct shell *shell, const char *line)
{
	struct word_line word;
	struct parse_error error;
	if (!word_parse(line, &shell->session.variables, &word, &error))
		complain(shell, error.column, error.message);
	else if (word.word->name == WORD_QUIT)
		shell->quit = true;
	else if (word.word->name == WORD_UNDO)
		undo(shell);
	else if (word.word->name == WORD_HELP)
		help(shell, word.argument);
	else
		show(shell, &word);
}

static void take_line(struct shell *shell, const char *line)
{
	const char *start = line + strspn(line, " \t");
	if (*start == '\0' || *start == '#')
		return;
	if (word_of_line(line))
		take_word(shell, line);
	else
		make_call(shell, line);
}

static void run(struct shell *shell)
{
	enum shell_line result;
	char *line;
	while (!shell->quit && (result = shell_lines_next(&line)) != LINE_END) {
		shell->line++;
		if (result == LINE_READ)
			take_line(shell, line);
		else if (result == LINE_BAD)
			complain(shell, 1, "the line is too long, or no text");
		shell->quit |= result == LINE_BAD;
		if (result == LINE_READ)
			free(line);
	}
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct shell *shell = into;
	if (option == LINUX)
		return linux_parse(value, &shell->linux_version);
	shell->sides = sides_parse(value);
	return true;
}

static int shell_run(int argc, char **argv)
{
	static struct shell shell = {.status = EXIT_SAME, .sides = SIDES_VAS};
	int first;
	int status = command_parse(&command_shell, argc, argv, take_option, &shell, &first);
	if (status != COMMAND_GO_ON)
		return status;
	if (shell.linux_version && !sides_have_vas(shell.sides, "linux"))
		return EXIT_USAGE;
	bool good = machine_or_default(&shell.machine);
	if (good && shell.linux_version)
		shell.machine.version = version_like(shell.linux_version, shell.machine.version);
	good = good && start_sides(&shell);
	if (good) {
		shell.terminal = shell_lines_start(&shell.session.variables);
		run(&shell);
		shell_lines_stop();
	}
	session_end(&shell.session);
	free(shell.made);
	if (!good)
		return EXIT_DIFFERENT;
	return shell.terminal ? EXIT_SAME : shell.status;
}

const struct command command_shell = {
	.name = "shell",
	.what = "takes calls typed at a prompt",
	.synopsis = "",
	.text = "Reads calls as strace prints them, makes them and prints the answers. 'help' "
		"lists "
		"what else can be asked. '[2] ' before a line asks or lets speak what fork() made. "
		"Lines may also be piped in.",
	.status = "0 all well\n1 something piped in differs or failed\n2 usage or syntax",
	.options = options_known,
	.run = shell_run,
};
