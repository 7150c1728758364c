/* command.h - a command of `vas` as a table: what its command line takes, and how that is told.
 *
 * One grammar for all: an option is --NAME, or --NAME VALUE, or --NAME=VALUE, whole and at most
 * once; -h is --help; `--` ends the options. Where a program is to be run, its name ends them too,
 * for what follows is its own; elsewhere options may stand behind operands. Help, manual pages and
 * completions are printed from the same table (manual.h).
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_COMMAND_H
#define VAS_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command_option {
	const char *name;  /* "linux": --linux */
	const char *value; /* what its value is called; NULL: it takes none, or one of `words` */
	const char *help;  /* without a full stop; more than one sentence is separated by ';' */
	const char *words; /* all the values there are, "vas kernel both"; NULL: any */
	const char *apart; /* options that exclude it, "all json": one of two says it; NULL: none */
	bool many;         /* may be given several times */
	bool file;         /* its value is a path */
};

#define COMMAND_OPTIONS_MAX 64

struct command {
	const char *name;
	const char *what;     /* in a line, without a full stop */
	const char *synopsis; /* behind `vas NAME [OPTION]...`; several are separated by '\n' */
	const char *text;     /* paragraphs, separated by '\n' */
	const char *status;   /* lines, each a status, a blank, what it says */
	const char *operand;  /* what it works on, "SCRIPT"; NULL: it takes no operand */
	unsigned least;       /* how many it needs of them */
	bool program;         /* the first operand is a program, what follows is the program's */
	const struct command_option *options; /* ends with one without a name */
	int (*run)(int argc, char **argv);    /* argv[0] is the command's name; an exit status */
};

/* Takes what option number `option` of the table says into `into`. False: a message has been
 * printed. */
typedef bool command_take(void *into, unsigned option, const char *value);

#define COMMAND_GO_ON (-1)

/* Reads a command line. COMMAND_GO_ON: all options have been taken, the operands are argv[*first]
 * to the end; else the exit status to end with: help or a message has been printed. */
int command_parse(const struct command *command, int argc, char **argv, command_take *take,
                  void *into, int *first);

/* Prints `vas COMMAND: ` and the rest, one line, to standard error. The command is the one whose
 * line was read last. */
__attribute__((format(printf, 1, 2))) void command_error(const char *format, ...);

/* The value of --`option` as a number from `least` to `most`; false: a message has been printed. */
bool command_number(const char *option, const char *text, uint64_t least, uint64_t most,
                    uint64_t *number);

/* Whether `word` is one of those in `words`, which blanks separate; its place among them, or -1. */
int command_word(const char *words, const char *word, size_t len);

#endif
