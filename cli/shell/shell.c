/* shell.c - `vas shell`: calls typed at a prompt, and a look at what they leave behind.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "shell/shell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "target/compare.h"
#include "target/script.h"
#include "strace/strace_shape.h"

struct shell {
	struct pair pair;
	int status; /* the exit status of a piped shell: the worst so far */
	bool quit;
	bool terminal;
	unsigned line;
	unsigned process; /* that the line is about */
};

const struct shell_word shell_words[] = {
	{"maps", "", "the mappings, as /proc/PID/maps shows them"},
	{"status", "", "VmSize, VmLck, VmData, VmStk, the break"},
	{"flags", "ADDR", "VmFlags of the mapping at ADDR"},
	{"walk", "ADDR", "the page tables from the top down to ADDR (vas only)"},
	{"check", "", "verify every invariant of vas"},
	{"help", "[CALL]", "this, or the arguments of a call"},
	{"quit", "", "leave"},
	{NULL, NULL, NULL},
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

/* ---- Looking --------------------------------------------------------------------------------- */

/* An address is whatever a call takes for one: present(...) lends its parser. */
static bool take_address(struct shell *shell, const char *line, const char *text, uint64_t *addr)
{
	static const char before[] = "present(";
	char call_text[128];
	struct call call;
	struct answer answer;
	struct parse_error error;
	(void)snprintf(call_text, sizeof(call_text), "%s%.100s)", before, text);
	if (!call_parse(call_text, &call, &answer, &error)) {
		unsigned shift = (unsigned)(text - line);
		complain(shell, error.column + shift - (unsigned)strlen(before), error.message);
		return false;
	}
	*addr = call.arg[0];
	return true;
}

static void show_maps(struct shell *shell)
{
	struct target *target = shell->pair.vas ? shell->pair.vas : shell->pair.kernel;
	char *maps = target->ops->maps(target, shell->process);
	if (maps)
		printf("%s", maps);
	else
		shell->status = EXIT_DIFFERENT;
	free(maps);
}

static void show_status(struct shell *shell)
{
	struct target *target = shell->pair.vas ? shell->pair.vas : shell->pair.kernel;
	const uint64_t kb = target->page_size / 1024;
	struct vas_status status;
	if (!target->ops->status(target, shell->process, &status)) {
		shell->status = EXIT_DIFFERENT;
		return;
	}
	printf("VmSize: %8" PRIu64 " kB\nVmLck:  %8" PRIu64 " kB\nVmData: %8" PRIu64
	       " kB\nVmStk:  %8" PRIu64 " kB\n",
	       status.size * kb, status.locked * kb, status.data * kb, status.stack * kb);
	if (shell->pair.vas)
		printf("break:  0x%" PRIx64 "\nmaps:   %" PRIu64 "\n", status.brk,
		       status.map_count);
}

static void show_step(const struct vas_walk_step *step)
{
	printf("level %u  table 0x%09" PRIx64 "  index %3u  word 0x%016" PRIx64 "  ", step->level,
	       step->table, step->index, step->word);
	if (!step->present)
		printf("absent\n");
	else if (!step->leaf)
		printf("-> table 0x%" PRIx64 "\n", step->phys);
	else
		printf("-> frame 0x%" PRIx64 " %c%c%c\n", step->phys,
		       step->rights & VAS_PROT_READ ? 'r' : '-',
		       step->rights & VAS_PROT_WRITE ? 'w' : '-',
		       step->rights & VAS_PROT_EXEC ? 'x' : '-');
}

static void show_walk(struct shell *shell, uint64_t addr)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	if (!shell->pair.vas) {
		complain(shell, 1, "only vas's tables can be walked");
		return;
	}
	struct vas *space = target_vas_process(shell->pair.vas, shell->process);
	if (!space) {
		complain(shell, 1, "there is no such process");
		return;
	}
	unsigned count = vas_walk(space, addr, step);
	for (unsigned i = 0; i < count; i++)
		show_step(&step[i]);
	if (count == 0)
		printf("no table covers 0x%" PRIx64 "\n", addr);
}

static void show_check(struct shell *shell)
{
	const char *wrong = shell->pair.vas ? target_vas_check(shell->pair.vas) : NULL;
	printf("%s\n", wrong ? wrong : "all invariants hold");
	if (wrong)
		shell->status = EXIT_DIFFERENT;
}

/* ---- Help ------------------------------------------------------------------------------------ */

static void help_flags(const struct name_set *set, const char *argument)
{
	int column = printf("  %s:", argument);
	for (const struct name *name = set->names; name->text; name++) {
		if (column + (int)strlen(name->text) > 90)
			column = printf("\n   ") - 1;
		column += printf(" %s", name->text);
	}
	printf("\n");
}

static void help_call(struct shell *shell, const char *text)
{
	const struct call_shape *shape = shape_find(text, strlen(text));
	if (!shape) {
		complain(shell, 6, "there is no such call");
		return;
	}
	printf("%s(", shape->text);
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++)
		printf("%s%s%s", i ? ", " : "", i >= shape->required ? "optional " : "",
		       shape->arg[i].name);
	printf("): %s\n", shape->help);
	for (unsigned i = 0; shape->arg[i].kind != ARG_END; i++)
		if (shape->arg[i].kind == ARG_SET && shape->arg[i].set->names->text)
			help_flags(shape->arg[i].set, shape->arg[i].name);
}

static void help_all(void)
{
	for (const struct shell_word *word = shell_words; word->text; word++)
		printf("  %-6s %-7s %s\n", word->text, word->argument, word->help);
	printf("or a call:");
	for (size_t i = 0; i < CALL_NAMES; i++)
		printf("%s%s", i % 8 ? " " : "\n  ", shape_at(i)->text);
	printf("\n");
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void print_call(const struct call *call, const struct answer *answer)
{
	size_t len = call_print(NULL, 0, call, answer);
	char *text = malloc(len + 1);
	if (!text) {
		fprintf(stderr, "vas: out of memory\n");
		return;
	}
	(void)call_print(text, len + 1, call, answer);
	printf("%s\n", text);
	free(text);
}

static void make_call(struct shell *shell, const char *line)
{
	struct call call;
	struct answer expected;
	struct parse_error error;
	struct pair_answer answers;
	if (!call_parse(line, &call, &expected, &error)) {
		complain(shell, error.column, error.message);
		return;
	}
	enum pair_result result = pair_call(&shell->pair, &call, &answers, stdout);
	const struct answer *answer = pair_one(&shell->pair, &answers);
	if (result != PAIR_BROKEN)
		print_call(&call, answer);
	if (result == PAIR_BROKEN)
		shell->quit = true;
	if (expected.kind != ANSWER_NONE && result != PAIR_BROKEN &&
	    !answer_equal(&expected, answer)) {
		printf("  not as expected\n");
		result = PAIR_DIFFERENT;
	}
	if (result != PAIR_SAME && shell->status == EXIT_SAME)
		shell->status = EXIT_DIFFERENT;
	pair_answer_free(&answers);
	answer_free(&expected);
}

/* One of shell_words at `at`; false: the line is a call. A word followed by '(' is a call, too. */
static bool take_word(struct shell *shell, const char *line, const char *at)
{
	size_t len = strcspn(at, " (");
	const char *argument = at + len + strspn(at + len, " ");
	const struct shell_word *word = shell_words;
	uint64_t addr;
	while (word->text && !(strlen(word->text) == len && memcmp(word->text, at, len) == 0))
		word++;
	if (!word->text || *argument == '(')
		return false;
	if (word->argument[0] == '\0' && *argument)
		complain(shell, (unsigned)(argument - line) + 1, "this takes no argument");
	else if (strcmp(word->text, "maps") == 0)
		show_maps(shell);
	else if (strcmp(word->text, "status") == 0)
		show_status(shell);
	else if (strcmp(word->text, "check") == 0)
		show_check(shell);
	else if (strcmp(word->text, "quit") == 0)
		shell->quit = true;
	else if (strcmp(word->text, "help") == 0 && *argument)
		help_call(shell, argument);
	else if (strcmp(word->text, "help") == 0)
		help_all();
	else if (!take_address(shell, line, argument, &addr))
		return true;
	else if (strcmp(word->text, "walk") == 0)
		show_walk(shell, addr);
	else {
		char text[64];
		(void)snprintf(text, sizeof(text), "[%u] flags(0x%" PRIx64 ")", shell->process,
		               addr);
		make_call(shell, text);
	}
	return true;
}

static void take_line(struct shell *shell, const char *line)
{
	const char *start = line + strspn(line, " \t");
	unsigned process = 0;
	if (*start == '\0' || *start == '#')
		return;
	const char *at = call_speaker(start, &process);
	shell->process = process ? process : 1;
	if (!take_word(shell, line, at))
		make_call(shell, line);
}

static void run(struct shell *shell)
{
	char *line;
	while (!shell->quit && (line = shell_lines_next())) {
		shell->line++;
		take_line(shell, line);
		free(line);
	}
}

static bool start_sides(struct shell *shell, enum sides sides, uint32_t version)
{
	struct machine machine;
	if (!machine_or_default(&machine))
		return false;
	if (version)
		machine.version = version_like(version, machine.version);
	if (sides & SIDES_KERNEL) {
		shell->pair.kernel = target_kernel_create();
		if (!shell->pair.kernel)
			return false;
	}
	if (sides & SIDES_VAS)
		shell->pair.vas = target_vas_create(&machine, shell->pair.kernel);
	shell->pair.check = true;
	return !(sides & SIDES_VAS) || shell->pair.vas;
}

struct choice {
	enum sides sides;
	uint32_t version;
};

static bool take_option(void *into, unsigned option, const char *value)
{
	struct choice *choice = into;
	if (option == LINUX)
		return linux_parse(value, &choice->version);
	choice->sides = sides_parse(value);
	return true;
}

static int shell_run(int argc, char **argv)
{
	struct shell shell = {.status = EXIT_SAME};
	struct choice choice = {.sides = SIDES_VAS};
	int first;
	int status = command_parse(&command_shell, argc, argv, take_option, &choice, &first);
	if (status != COMMAND_GO_ON)
		return status;
	if (choice.version && !sides_have_vas(choice.sides, "linux"))
		return EXIT_USAGE;
	bool good = start_sides(&shell, choice.sides, choice.version);
	if (good) {
		shell.terminal = shell_lines_start();
		run(&shell);
		shell_lines_stop();
	}
	pair_destroy(&shell.pair);
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
