/* compare.c - one call on both sides, and what differs afterwards.
 *
 * Owns which processes live on the sides, and what counts as a difference. Either side may be
 * missing; which of them is right is not asked here.
 *
 * SPDX-License-Identifier: MIT */
#include "target/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Two maps -------------------------------------------------------------------------------- */

static size_t line_length(const char *at)
{
	return strcspn(at, "\n");
}

static const char *next_line(const char *at)
{
	at += line_length(at);
	return *at ? at + 1 : at;
}

static bool same_line(const char *a, const char *b)
{
	size_t len = line_length(a);
	return *a && *b && len == line_length(b) && memcmp(a, b, len) == 0;
}

/* The start of the line before `at`, not before `text`. */
static const char *line_before(const char *text, const char *at)
{
	if (at == text)
		return at;
	for (at--; at > text && at[-1] != '\n'; at--)
		;
	return at;
}

static void put_lines(FILE *out, const char *mark, const char *from, const char *to)
{
	for (; from < to && *from; from = next_line(from)) {
		fprintf(out, "    %s ", mark);
		(void)fwrite(from, 1, line_length(from), out);
		(void)fputc('\n', out);
	}
}

/* Maps are short and differ in one place, so what is equal at both ends is enough to find it. */
void maps_diff(FILE *out, const char *vas, const char *kernel)
{
	const char *a = vas, *b = kernel;
	while (same_line(a, b)) {
		a = next_line(a);
		b = next_line(b);
	}
	const char *a_end = a + strlen(a), *b_end = b + strlen(b);
	while (a_end > a && b_end > b && same_line(line_before(a, a_end), line_before(b, b_end))) {
		a_end = line_before(a, a_end);
		b_end = line_before(b, b_end);
	}
	put_lines(out, " ", line_before(vas, a), a);
	put_lines(out, "- vas   ", a, a_end);
	put_lines(out, "+ kernel", b, b_end);
	put_lines(out, " ", a_end, next_line(a_end));
}

/* ---- Processes ------------------------------------------------------------------------------- */

unsigned pair_next_process(const struct pair *pair, unsigned process)
{
	if (process == 0)
		return 1;
	while (++process < CALL_PROCESSES)
		if (pair->children >> process & 1)
			return process;
	return 0;
}

/* What a successful call does to who lives. */
static void note_processes(struct pair *pair, const struct call *call, const struct answer *answer)
{
	if (call->name == CALL_FORK && answer->kind == ANSWER_VALUE && answer->value > 0)
		pair->children |= (uint64_t)1 << answer->value;
	else if (call->name == CALL_EXIT && answer->kind == ANSWER_VALUE)
		pair->children &= ~((uint64_t)1 << call_process(call));
}

static void put_process(const struct pair *pair, unsigned process, FILE *why)
{
	if (pair->children)
		fprintf(why, "  in process %u\n", process);
}

/* ---- What a call leaves behind --------------------------------------------------------------- */

static enum pair_result compare_maps(struct pair *pair, unsigned process, FILE *why)
{
	char *raw_vas = pair->vas->ops->maps(pair->vas, process);
	char *raw_kernel = pair->kernel->ops->maps(pair->kernel, process);
	char *vas = raw_vas ? maps_canonical(raw_vas) : NULL;
	char *kernel = raw_kernel ? maps_canonical(raw_kernel) : NULL;
	enum pair_result result = PAIR_BROKEN;
	if (vas && kernel)
		result = strcmp(vas, kernel) == 0 ? PAIR_SAME : PAIR_DIFFERENT;
	if (result == PAIR_DIFFERENT) {
		put_process(pair, process, why);
		fprintf(why, "  the maps differ:\n");
		maps_diff(why, vas, kernel);
	}
	free(raw_vas);
	free(raw_kernel);
	free(vas);
	free(kernel);
	return result;
}

static enum pair_result compare_status(struct pair *pair, unsigned process, FILE *why)
{
	const uint64_t kb = pair->vas->page_size / 1024;
	struct vas_status vas, kernel;
	if (!pair->vas->ops->status(pair->vas, process, &vas) ||
	    !pair->kernel->ops->status(pair->kernel, process, &kernel))
		return PAIR_BROKEN;
	const struct {
		const char *name;
		uint64_t vas, kernel;
	} field[] = {
		{"VmSize", vas.size, kernel.size},
		{"VmLck", vas.locked, kernel.locked},
		{"VmData", vas.data, kernel.data},
		{"VmStk", vas.stack, kernel.stack},
	};
	enum pair_result result = PAIR_SAME;
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		if (field[i].vas == field[i].kernel)
			continue;
		put_process(pair, process, why);
		fprintf(why, "  %s differs: vas %" PRIu64 " kB, kernel %" PRIu64 " kB\n",
		        field[i].name, field[i].vas * kb, field[i].kernel * kb);
		result = PAIR_DIFFERENT;
	}
	return result;
}

static void put_answer(FILE *out, const char *side, const struct call *call,
                       const struct answer *answer)
{
	char text[4096];
	(void)answer_print(text, sizeof(text), call, answer);
	fprintf(out, "  %s%s\n", side, text);
	if (call->name == CALL_MINCORE && answer->kind == ANSWER_TEXT)
		fprintf(out, "           %s\n", answer->text);
}

static bool is_refusal(const struct answer *answer)
{
	return answer->kind == ANSWER_REFUSED;
}

/* A sysctl that this machine does not have is no difference; the caller sees the refusal. */
static enum pair_result compare(struct pair *pair, const struct call *call,
                                const struct pair_answer *answers, FILE *why)
{
	const unsigned speaker = call_process(call);
	bool vas_lives = target_vas_process(pair->vas, speaker);
	bool kernel_lives = target_kernel_process(pair->kernel, speaker) > 0;
	if (call->name == CALL_SYSCTL && is_refusal(&answers->kernel))
		return PAIR_SAME;
	if (!answer_equal(&answers->vas, &answers->kernel)) {
		fprintf(why, "  the answers differ:\n");
		put_answer(why, "  vas    = ", call, &answers->vas);
		put_answer(why, "  kernel = ", call, &answers->kernel);
		if (vas_lives && kernel_lives)
			(void)compare_maps(pair, speaker, why);
		return PAIR_DIFFERENT;
	}
	enum pair_result result = PAIR_SAME;
	for (unsigned i = pair_next_process(pair, 0); i && result == PAIR_SAME;
	     i = pair_next_process(pair, i)) {
		result = compare_maps(pair, i, why);
		if (result == PAIR_SAME)
			result = compare_status(pair, i, why);
	}
	return result;
}

enum pair_result pair_call(struct pair *pair, const struct call *call, struct pair_answer *answers,
                           FILE *why)
{
	*answers = (struct pair_answer){0};
	if (pair->kernel && !pair->kernel->ops->call(pair->kernel, call, &answers->kernel))
		return PAIR_BROKEN;
	if (pair->vas && !pair->vas->ops->call(pair->vas, call, &answers->vas))
		return PAIR_BROKEN;
	note_processes(pair, call, pair_one(pair, answers));
	const char *wrong = pair->vas && pair->check ? target_vas_check_spaces(pair->vas) : NULL;
	if (wrong) {
		fprintf(why, "  vas's own invariant does not hold: %s\n", wrong);
		return PAIR_DIFFERENT;
	}
	return pair->vas && pair->kernel ? compare(pair, call, answers, why) : PAIR_SAME;
}

const struct answer *pair_one(const struct pair *pair, const struct pair_answer *answers)
{
	return pair->vas ? &answers->vas : &answers->kernel;
}

void pair_answer_free(struct pair_answer *answers)
{
	answer_free(&answers->vas);
	answer_free(&answers->kernel);
}

void pair_destroy(struct pair *pair)
{
	if (pair->vas)
		pair->vas->ops->destroy(pair->vas);
	if (pair->kernel)
		pair->kernel->ops->destroy(pair->kernel);
	pair->vas = pair->kernel = NULL;
}
