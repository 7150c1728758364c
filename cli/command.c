/* command.c - reading a command line by the command's table.
 *
 * SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "manual.h"

/* The command whose line was read last: in whose name messages are. */
static const struct command *running;

struct line {
	const struct command *command;
	int argc, at;
	int first; /* of the operands met so far, which are argv[first] to argv[at - 1] */
	char **argv;
	command_take *take;
	void *into;
	uint64_t given; /* bit n: option n was there */
};

void command_error(const char *format, ...)
{
	va_list args;
	(void)fflush(stdout);
	fprintf(stderr, running ? "vas %s: " : "vas: ", running ? running->name : "");
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int command_word(const char *words, const char *word, size_t len)
{
	for (int place = 0; *words; place++) {
		size_t n = strcspn(words, " ");
		if (n == len && memcmp(words, word, len) == 0)
			return place;
		words += n + (words[n] == ' ');
	}
	return -1;
}

bool command_number(const char *option, const char *text, uint64_t least, uint64_t most,
                    uint64_t *number)
{
	char *end;
	errno = 0;
	*number = strtoull(text, &end, 0);
	if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *number >= least &&
	    *number <= most)
		return true;
	if (most == UINT64_MAX)
		command_error("--%s takes a number from %" PRIu64 " on, not '%s'", option, least,
		              text);
	else
		command_error("--%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
		              option, least, most, text);
	return false;
}

/* The words as a sentence has them: "vas, kernel or both". */
static void list_words(const char *words, char *text, size_t size)
{
	size_t used = 0;
	*text = '\0';
	while (*words && used < size) {
		size_t n = strcspn(words, " ");
		const char *next = words + n + (words[n] == ' ');
		bool last = !*next, second_last = !last && !strchr(next, ' ');
		used += (size_t)snprintf(text + used, size - used, "%.*s%s", (int)n, words,
		                         last          ? ""
		                         : second_last ? " or "
		                                       : ", ");
		words = next;
	}
}

static bool has_value(const struct command_option *option)
{
	return option->value || option->words;
}

/* Each option alone may say what excludes it. */
static bool fits_others(const struct line *line, unsigned option)
{
	const struct command_option *options = line->command->options, *mine = &options[option];
	for (unsigned i = 0; options[i].name; i++) {
		const struct command_option *other = &options[i];
		if (!(line->given >> i & 1))
			continue;
		if (i == option && !mine->many)
			command_error("--%s is given twice", mine->name);
		else if ((mine->apart &&
		          command_word(mine->apart, other->name, strlen(other->name)) >= 0) ||
		         (other->apart &&
		          command_word(other->apart, mine->name, strlen(mine->name)) >= 0))
			command_error("--%s and --%s exclude each other", other->name, mine->name);
		else
			continue;
		return false;
	}
	return true;
}

static bool take_value(struct line *line, const struct command_option *option, const char *value)
{
	char text[200];
	list_words(option->words ? option->words : "", text, sizeof(text));
	if (!value) {
		value = line->at + 1 < line->argc ? line->argv[line->at + 1] : NULL;
		if (!value || strncmp(value, "--", 2) == 0) {
			command_error("--%s needs a value: %s", option->name,
			              option->words ? text : option->value);
			return false;
		}
		line->at++;
	}
	if (option->words && command_word(option->words, value, strlen(value)) < 0) {
		command_error("--%s takes %s, not '%s'", option->name, text, value);
		return false;
	}
	if (*value)
		return line->take(line->into, (unsigned)(option - line->command->options), value);
	command_error("--%s needs a value that is not empty", option->name);
	return false;
}

/* The option that `word` names, with its value behind a '='. */
static const struct command_option *find_option(const struct command *command, const char *word,
                                                const char **value)
{
	size_t len = strcspn(word, "=");
	const struct command_option *option = command->options;
	*value = word[len] ? word + len + 1 : NULL;
	while (option->name &&
	       !(strlen(option->name) == len && memcmp(option->name, word, len) == 0))
		option++;
	return option->name ? option : NULL;
}

static bool take_option(struct line *line, const char *word)
{
	const char *value;
	const struct command_option *option = NULL;
	if (word[1] == '-')
		option = find_option(line->command, word + 2, &value);
	if (!option) {
		command_error("there is no option %s; 'vas %s --help' lists them", word,
		              line->command->name);
		return false;
	}
	unsigned number = (unsigned)(option - line->command->options);
	if (!fits_others(line, number))
		return false;
	line->given |= (uint64_t)1 << number;
	if (has_value(option))
		return take_value(line, option, value);
	if (!value)
		return line->take(line->into, number, NULL);
	command_error("--%s takes no value", option->name);
	return false;
}

/* Brings the words from `from` to line->at in front of the operands met so far. */
static void bring_forward(struct line *line, int from)
{
	for (; from <= line->at; from++, line->first++) {
		char *word = line->argv[from];
		memmove(&line->argv[line->first + 1], &line->argv[line->first],
		        (size_t)(from - line->first) * sizeof(*line->argv));
		line->argv[line->first] = word;
	}
}

static int finish(const struct line *line)
{
	const struct command *command = line->command;
	unsigned count = (unsigned)(line->argc - line->first);
	if (count && !command->operand)
		command_error("takes no argument '%s'", line->argv[line->first]);
	else if (count < command->least)
		command_error("no %s is given; 'vas %s --help' says more", command->operand,
		              command->name);
	else
		return COMMAND_GO_ON;
	return EXIT_USAGE;
}

int command_parse(const struct command *command, int argc, char **argv, command_take *take,
                  void *into, int *first)
{
	struct line line = {command, argc, 1, 1, argv, take, into, 0};
	running = command;
	for (; line.at < argc; line.at++) {
		const char *word = argv[line.at];
		int from = line.at;
		if (word[0] != '-' || word[1] == '\0') {
			if (command->program)
				break;
			continue; /* an operand: options may follow */
		}
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			manual_help(stdout, command);
			return EXIT_SAME;
		}
		bool end = strcmp(word, "--") == 0;
		if (!end && !take_option(&line, word))
			return EXIT_USAGE;
		bring_forward(&line, from);
		if (end)
			break;
	}
	*first = line.first;
	return finish(&line);
}
