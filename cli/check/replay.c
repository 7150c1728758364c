/* replay.c - `vas replay`: a recorded program's calls made on vas again, without the program.
 *
 * Owns the command line and the exit status. The events come out of a log instead of a tracer; the
 * model is that of `vas check`.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "check/log/log.h"
#include "check/model/process_model_report.h"

enum { JSON, QUIET, PICTURE };

static const struct command_option options_known[] = {
	[JSON] = {"json", .help = "one JSON object per program, then one in all"},
	[QUIET] = {"quiet", .help = "only programs with differences, and the total"},
	[PICTURE] = {"picture",
	             .help = "then draw the program's address space as it was at its end"},
	{0},
};

struct replay_options {
	struct report_style style;
	bool picture;
};

static char *read_all(FILE *file, size_t *len)
{
	char *text = NULL;
	size_t room = 0, got;
	*len = 0;
	do {
		if (room - *len < 65536) {
			room = room ? room * 2 : (size_t)1 << 20;
			char *bigger = realloc(text, room);
			if (!bigger) {
				free(text);
				errno = ENOMEM;
				return NULL;
			}
			text = bigger;
		}
		got = fread(text + *len, 1, room - *len, file);
		*len += got;
	} while (got);
	if (!ferror(file))
		return text;
	free(text);
	return NULL;
}

static char *read_log(const char *path, size_t *len)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *file = standard ? stdin : fopen(path, "r");
	char *text = file ? read_all(file, len) : NULL;
	if (!text)
		fprintf(stderr, "vas replay: %s: %s\n", path, strerror(errno));
	if (file && !standard)
		fclose(file);
	return text;
}

/* False: the log is wrong at some place, which has been printed. */
static bool play(const char *path, struct log_reader *reader, bool picture, struct model **model)
{
	struct event event;
	struct log_error error;
	char why[MODEL_WHY];
	int got;
	while ((got = log_next(reader, &event, &error)) > 0) {
		if (!*model) {
			*model = model_create(event.machine);
			if (!*model)
				return false;
			if (picture)
				model_draw(*model);
			continue;
		}
		if (!model_apply(*model, &event, why)) {
			fprintf(stderr, "vas replay: %s:%u: %s\n", path, log_line(reader), why);
			return false;
		}
	}
	if (got < 0)
		fprintf(stderr, "vas replay: %s:%u:%u: %s\n", path, error.line, error.column,
		        error.message);
	return got == 0;
}

static int replay(const struct report_style *style, bool picture, const char *path)
{
	size_t len = 0;
	struct model *model = NULL;
	char *text = read_log(path, &len);
	if (!text)
		return 2;
	struct log_reader *reader = log_open(text, len);
	if (!reader) {
		fputs("vas replay: out of memory\n", stderr);
		free(text);
		return 2;
	}
	int status = 2;
	if (play(path, reader, picture, &model) && model) {
		report_print(style, model, NULL);
		status = report_status(model);
	}
	if (model)
		model_destroy(model);
	log_close(reader);
	free(text);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("vas replay: standard output");
		return 2;
	}
	return status;
}

static bool take_option(void *into, unsigned option, const char *value)
{
	struct replay_options *options = into;
	(void)value;
	*(option == JSON    ? &options->style.json
	  : option == QUIET ? &options->style.quiet
	                    : &options->picture) = true;
	return true;
}

static int replay_all(int argc, char **argv)
{
	struct replay_options options = {.style = {.file = stdout}};
	int i, worst = EXIT_SAME;
	int status = command_parse(&command_replay, argc, argv, take_option, &options, &i);
	if (status != COMMAND_GO_ON)
		return status;
	for (; i < argc; i++) {
		status = replay(&options.style, options.picture, argv[i]);
		worst = status > worst ? status : worst;
	}
	return worst;
}

const struct command command_replay = {
	.name = "replay",
	.what = "compares a recorded program's calls with vas",
	.synopsis = "LOG...",
	.text = "Makes the calls of a program recorded by `vas check --record LOG` on vas, and "
		"compares each answer and the maps with what Linux answered. A LOG of - is "
		"standard input.",
	.status = "0 nothing differs\n1 there are differences\n"
		  "2 wrong usage, or a log that cannot be read\n"
		  "3 nothing differs, but something was not followed to its end",
	.operand = "LOG",
	.least = 1,
	.options = options_known,
	.run = replay_all,
};
