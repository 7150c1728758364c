/* manual.c - a command's table as text for people.
 *
 * All of it is printed from the table that command lines are read by, so that none says what is
 * not so. What a command does is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "manual.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

#define WIDTH 79

/* ---- Help ------------------------------------------------------------------------------------ */

/* One line of `text` in words; continued lines begin at `indent`, the first stands at `column`. */
static void put_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
	bool begins = true; /* nothing stands on the line yet */
	while (*text && *text != '\n') {
		size_t len = strcspn(text, " \n");
		if (!begins && column + 1 + len > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
			begins = true;
		}
		fprintf(out, "%s%.*s", begins ? "" : " ", (int)len, text);
		column += len + !begins;
		begins = false;
		text += len + (text[len] == ' ');
	}
	fputc('\n', out);
}

/* "--on vas|kernel|both"; its length. */
static size_t put_label(char label[80], const struct command_option *option)
{
	const char *value = option->words ? option->words : option->value;
	size_t len = (size_t)snprintf(label, 80, "--%s%s%s", option->name, value ? " " : "",
	                              value ? value : "");
	for (size_t i = strlen(option->name) + 3; option->words && i < len; i++)
		if (label[i] == ' ')
			label[i] = '|';
	return len;
}

static void put_option(FILE *out, const char *label, const char *help, size_t width)
{
	fprintf(out, "  %-*s  ", (int)width, label);
	put_wrapped(out, help, width + 4, width + 4);
}

static const char *next_line(const char *text)
{
	text += strcspn(text, "\n");
	return text + (*text == '\n');
}

static void put_usage(FILE *out, const struct command *command)
{
	const char *head = "usage: ", *line = command->synopsis;
	do {
		fprintf(out, "%svas %s [OPTION]...%s%.*s\n", head, command->name, *line ? " " : "",
		        (int)strcspn(line, "\n"), line);
		head = "       ";
		line = next_line(line);
	} while (*line);
}

void manual_help(FILE *out, const struct command *command)
{
	static const char help_label[] = "-h, --help";
	char label[80];
	size_t width = sizeof(help_label) - 1;
	put_usage(out, command);
	for (const char *line = command->text; *line; line = next_line(line)) {
		fputc('\n', out);
		put_wrapped(out, line, 0, 0);
	}
	fputc('\n', out);
	for (const struct command_option *option = command->options; option->name; option++) {
		size_t len = put_label(label, option);
		width = len > width ? len : width;
	}
	for (const struct command_option *option = command->options; option->name; option++) {
		(void)put_label(label, option);
		put_option(out, label, option->help, width);
	}
	put_option(out, help_label, "this text", width);
	fprintf(out, "\nExit status:\n");
	for (const char *line = command->status; *line; line = next_line(line)) {
		fprintf(out, "  %-4.*s ", (int)strcspn(line, " "), line);
		put_wrapped(out, line + strcspn(line, " ") + 1, 7, 7);
	}
}

void manual_help_all(FILE *out, const struct command *const *commands)
{
	fprintf(out, "usage: vas COMMAND [OPTION]... [ARGUMENT]...\n\n"
	             "Linux's virtual memory system as a library; this program tries it.\n\n");
	for (; *commands; commands++)
		fprintf(out, "  %-8s %s\n", (*commands)->name, (*commands)->what);
	fprintf(out,
	        "\n'vas help COMMAND', 'vas COMMAND --help' and vas-COMMAND(1) say the same of "
	        "each.\n");
}

/* ---- Manual pages: mdoc(7) ------------------------------------------------------------------- */

/* One line of `text`; a sentence begins a line, as mdoc wants it. */
static void put_roff(FILE *out, const char *text)
{
	size_t column = 0;
	char last = '\0';
	for (; *text && *text != '\n'; last = *text++) {
		bool ends = (last == '.' || last == '?') || column > 65;
		if (*text == ' ' && ends) {
			fputc('\n', out);
			column = 0;
			continue;
		}
		if (column == 0 && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-' && (text[1] == '-' || last == '-'))
			fputs("\\-", out);
		else
			fputc(*text, out);
		column++;
	}
	fputc('\n', out);
}

static void put_head(FILE *out, const char *title, const char *name, const char *what)
{
	static const char *const months[] = {"January",   "February", "March",    "April",
	                                     "May",       "June",     "July",     "August",
	                                     "September", "October",  "November", "December"};
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t now = epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
	const struct tm *day = gmtime(&now);
	fputs(".Dd ", out);
	if (day)
		fprintf(out, "%s %d, %d\n", months[day->tm_mon], day->tm_mday, day->tm_year + 1900);
	fprintf(out, ".Dt %s 1\n.Os vas " VAS_VERSION "\n.Sh NAME\n.Nm %s\n.Nd %s\n", title, name,
	        what);
}

/* The name in capitals, behind VAS-. */
static void put_page_head(FILE *out, const struct command *command)
{
	char title[40], name[40];
	(void)snprintf(name, sizeof(name), "vas-%s", command->name);
	(void)snprintf(title, sizeof(title), "%s", name);
	for (char *at = title; *at; at++)
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	put_head(out, title, name, command->what);
}

static void put_roff_option(FILE *out, const struct command_option *option)
{
	char label[80];
	size_t len = put_label(label, option), name = strlen(option->name) + 2;
	fprintf(out, ".It Fl -%s", option->name);
	if (len > name)
		fprintf(out, " Ar %s", label + name + 1);
	fputc('\n', out);
	put_roff(out, option->help);
}

void manual_page(FILE *out, const struct command *command)
{
	const char *line = command->synopsis;
	put_page_head(out, command);
	fputs(".Sh SYNOPSIS\n", out);
	do {
		fprintf(out, ".Nm vas\n.Cm %s\n.Op Ar OPTION\\ ...\n", command->name);
		if (*line)
			fprintf(out, ".Li %.*s\n", (int)strcspn(line, "\n"), line);
		line = next_line(line);
	} while (*line);
	fputs(".Sh DESCRIPTION\n", out);
	for (line = command->text; *line; line = next_line(line)) {
		if (line != command->text)
			fputs(".Pp\n", out);
		put_roff(out, line);
	}
	fputs(".Pp\nThe options are:\n.Bl -tag -width Ds\n", out);
	for (const struct command_option *option = command->options; option->name; option++)
		put_roff_option(out, option);
	fputs(".It Fl h , Fl -help\nShow this text.\n.El\n.Sh EXIT STATUS\n"
	      ".Bl -tag -width 1234 -compact\n",
	      out);
	for (line = command->status; *line; line = next_line(line)) {
		fprintf(out, ".It %.*s\n", (int)strcspn(line, " "), line);
		put_roff(out, line + strcspn(line, " ") + 1);
	}
	fputs(".El\n.Sh SEE ALSO\n.Xr vas 1\n", out);
}

/* By the alphabet, as manual pages have them. */
static void put_references(FILE *out, const struct command *const *commands)
{
	const char *last = "", *next;
	do {
		next = NULL;
		for (size_t i = 0; commands[i]; i++)
			if (strcmp(commands[i]->name, last) > 0 &&
			    (!next || strcmp(commands[i]->name, next) < 0))
				next = commands[i]->name;
		if (next)
			fprintf(out, "%s.Xr vas-%s 1", *last ? " ,\n" : "", next);
		last = next;
	} while (next);
	fputc('\n', out);
}

void manual_page_all(FILE *out, const struct command *const *commands)
{
	put_head(out, "VAS", "vas", "Linux's virtual memory system, tried");
	fputs(".Sh SYNOPSIS\n.Nm\n.Ar COMMAND\n.Op Ar OPTION\\ ...\n.Op Ar ARGUMENT\\ ...\n"
	      ".Sh DESCRIPTION\n"
	      "The library vas is Linux's virtual memory system; this program tries it.\n"
	      "Every option is written whole, at most once, with its value as the next word or\n"
	      "behind an equals sign;\n.Ql \\-\\-\nends the options.\n.Pp\nThe commands are:\n"
	      ".Bl -tag -width Ds -compact\n",
	      out);
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, ".It Cm %s\n%s\n", commands[i]->name, commands[i]->what);
	fputs(".El\n.Sh EXIT STATUS\n0: all is well; 1: something differs; 2: a mistake in usage "
	      "or "
	      "input;\n77: nothing could run.\nEach command says more.\n.Sh SEE ALSO\n",
	      out);
	put_references(out, commands);
}

/* ---- Completions ----------------------------------------------------------------------------- */

static void put_names(FILE *out, const struct command *const *commands)
{
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", commands[i]->name);
}

static void bash_values(FILE *out, const struct command *command)
{
	for (const struct command_option *option = command->options; option->name; option++) {
		if (!option->value && !option->words)
			continue;
		fprintf(out, "\t'%s --%s') ", command->name, option->name);
		if (option->words)
			fprintf(out, "words='%s' ;;\n", option->words);
		else
			fprintf(out, "%s ;;\n", option->file ? "files=1" : "words=' '");
	}
}

void manual_complete_bash(FILE *out, const struct command *const *commands)
{
	fputs("# Completion of vas for bash, written by `vas help --completion bash`.\n"
	      "_vas() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words='' files=''\n"
	      "\tlocal before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords='",
	      out);
	put_names(out, commands);
	fputs("'\n\telse\n\tcase \"$command $before\" in\n", out);
	for (size_t i = 0; commands[i]; i++)
		bash_values(out, commands[i]);
	fputs("\t*) case $command in\n", out);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t\t%s) words='", commands[i]->name);
		for (const struct command_option *o = commands[i]->options; o->name; o++)
			fprintf(out, "--%s ", o->name);
		fputs("--help' ;;\n", out);
	}
	fputs("\t\tesac\n"
	      "\t\t[ \"$command\" = help ] && [ \"${word#-}\" = \"$word\" ] && words='",
	      out);
	put_names(out, commands);
	fputs("'\n"
	      "\t\t[ \"$command\" != help ] && [ \"${word#-}\" = \"$word\" ] && files=1 ;;\n"
	      "\tesac\n\tfi\n"
	      "\t[ -n \"$files\" ] && return # what `complete -o default` does: paths\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	      "}\ncomplete -o default -F _vas vas\n",
	      out);
}

/* What _arguments would take for its own is escaped. */
static void zsh_text(FILE *out, const char *text)
{
	for (; *text && *text != '\n'; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (*text == ':' || *text == '[' || *text == ']' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void zsh_option(FILE *out, const struct command_option *option)
{
	fprintf(out, "\t\t\t'%s--%s[", option->many ? "*" : "", option->name);
	zsh_text(out, option->help);
	fputc(']', out);
	if (option->words)
		fprintf(out, ":value:(%s)", option->words);
	else if (option->value) {
		fputc(':', out);
		zsh_text(out, option->value);
		fputs(option->file ? ":_files" : ": ", out);
	}
	fputs("' \\\n", out);
}

static void zsh_command(FILE *out, const struct command *const *commands,
                        const struct command *command)
{
	fprintf(out, "\t%s)\n\t\t_arguments \\\n", command->name);
	for (const struct command_option *option = command->options; option->name; option++)
		zsh_option(out, option);
	fputs("\t\t\t'(-h --help)'{-h,--help}'[help]' ", out);
	if (command->program) {
		fputs("\\\n\t\t\t'(-)1:program:_command_names -e' '*::argument:_normal'", out);
	} else if (command->operand && strcmp(command->name, "help") == 0) {
		fputs("\\\n\t\t\t'1:command:(", out);
		put_names(out, commands);
		fputs(")'", out);
	} else if (command->operand) {
		fprintf(out, "\\\n\t\t\t'*:%s:_files'", command->operand);
	}
	fputs(" ;;\n", out);
}

void manual_complete_zsh(FILE *out, const struct command *const *commands)
{
	fputs("#compdef vas\n# Completion of vas for zsh, written by `vas help --completion zsh`.\n"
	      "local -a commands\ncommands=(\n",
	      out);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t'%s:", commands[i]->name);
		zsh_text(out, commands[i]->what);
		fputs("'\n", out);
	}
	fputs(")\nif (( CURRENT == 2 )); then\n\t_describe command commands\nelse\n"
	      "\tshift words\n\t(( CURRENT-- ))\n\tcase $words[1] in\n",
	      out);
	for (size_t i = 0; commands[i]; i++)
		zsh_command(out, commands, commands[i]);
	fputs("\tesac\nfi\n", out);
}
