/* fuzz_strace.c - the notation: any text is refused with a place in it, or is printed so that
 * parsing gives the same call and answer again.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <string.h>

#include "strace/hints.h"
#include "strace/words.h"

/* A script's, of which one has a value and one has none. */
static const struct variables variables = {
	.at = {{"p", 0x10000000, true}, {"failed", 0, false}},
	.count = 2,
};

static void require_same_call(const struct call *a, const struct call *b)
{
	FUZZ_REQUIRE(a->name == b->name);
	FUZZ_REQUIRE(a->nargs == b->nargs);
	FUZZ_REQUIRE(a->process == b->process);
	for (unsigned i = 0; i < a->nargs; i++)
		FUZZ_REQUIRE(a->arg[i] == b->arg[i]);
	FUZZ_REQUIRE(strcmp(a->text, b->text) == 0);
	FUZZ_REQUIRE(strcmp(a->result, b->result) == 0);
}

/* What was understood is printed and understood again. */
static void round_trip(const struct call *call, const struct answer *answer)
{
	size_t len = call_print(NULL, 0, call, answer);
	char *line = malloc(len + 1);
	struct call again;
	struct answer answer_again;
	struct parse_error error;

	if (!line)
		return;
	FUZZ_REQUIRE(call_print(line, len + 1, call, answer) == len);
	FUZZ_REQUIRE(strlen(line) == len);
	FUZZ_REQUIRE(call_parse_with(line, &variables, &again, &answer_again, &error));
	require_same_call(call, &again);
	FUZZ_REQUIRE(answer_equal(answer, &answer_again));
	FUZZ_REQUIRE(!again.refers); /* numbers alone are printed */
	answer_free(&answer_again);
	free(line);
}

static void require_place(const char *line, const struct parse_error *error)
{
	FUZZ_REQUIRE(error->column >= 1 && error->column <= strlen(line) + 1);
	FUZZ_REQUIRE(memchr(error->message, '\0', sizeof(error->message)) && error->message[0]);
	for (const char *c = error->message; *c; c++)
		FUZZ_REQUIRE(*c >= ' ' && *c <= '~');
}

/* As a script is read (no name has a value yet), as it runs, and as a log, which has no names. */
static void read_call(const char *line)
{
	struct variables reading = variables;
	const struct variables *ways[] = {&variables, NULL, &reading};
	struct parse_error error;
	struct answer answer;
	struct call call;

	reading.reading = true;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!call_parse_with(line, ways[i], &call, &answer, &error)) {
			require_place(line, &error);
			continue;
		}
		FUZZ_REQUIRE(ways[i] || (!call.refers && !call.result[0]));
		round_trip(&call, &answer);
		answer_free(&answer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct parse_error error;
	struct word_line word;

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	read_call(line);
	if (word_of_line(line) && !word_parse(line, &variables, &word, &error))
		require_place(line, &error);
	(void)hint_is_log(line);
	free(line);
	return 0;
}
