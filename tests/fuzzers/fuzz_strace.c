/* fuzz_strace.c - the notation: any text is refused with a place in it, or is printed so that
 * parsing gives the same call and answer again.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <string.h>

#include "strace/strace.h"

static void require_same_call(const struct call *a, const struct call *b)
{
	FUZZ_REQUIRE(a->name == b->name);
	FUZZ_REQUIRE(a->nargs == b->nargs);
	FUZZ_REQUIRE(a->process == b->process);
	for (unsigned i = 0; i < a->nargs; i++)
		FUZZ_REQUIRE(a->arg[i] == b->arg[i]);
	FUZZ_REQUIRE(strcmp(a->text, b->text) == 0);
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
	FUZZ_REQUIRE(call_parse(line, &again, &answer_again, &error));
	require_same_call(call, &again);
	FUZZ_REQUIRE(answer_equal(answer, &answer_again));
	answer_free(&answer_again);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct call call;
	struct answer answer;
	struct parse_error error;

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	if (call_parse(line, &call, &answer, &error)) {
		round_trip(&call, &answer);
		answer_free(&answer);
	} else {
		FUZZ_REQUIRE(error.column >= 1 && error.column <= strlen(line) + 1);
		FUZZ_REQUIRE(memchr(error.message, '\0', sizeof(error.message)) &&
		             error.message[0]);
	}
	free(line);
	return 0;
}
