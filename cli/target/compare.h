/* compare.h - the same call on vas and on the kernel, and whether anything differs.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_COMPARE_H
#define VAS_CLI_COMPARE_H

#include "target/target.h"

/* Either side may be missing (NULL); then nothing is compared. */
struct pair {
	struct target *vas, *kernel;
	bool check;        /* verify vas's invariants after each call */
	uint64_t children; /* bits of the numbers of the processes that live beside the first */
};

/* The living processes in order: the first after `process`, 0 begins; 0 again: there is no more. */
unsigned pair_next_process(const struct pair *pair, unsigned process);

struct pair_answer {
	struct answer vas, kernel; /* of a missing side: ANSWER_NONE */
};

enum pair_result {
	PAIR_SAME,
	PAIR_DIFFERENT, /* `why` says what: answers, maps, counters, or a broken invariant */
	PAIR_BROKEN,    /* a side cannot go on; said on stderr */
};

/* Makes the call on each side. Answers first, then maps and the counters of /proc/PID/status of
 * every living process are compared. The caller frees *answers whatever the result. */
enum pair_result pair_call(struct pair *pair, const struct call *call, struct pair_answer *answers,
                           FILE *why);

/* The answer to show where there is room for one. */
const struct answer *pair_one(const struct pair *pair, const struct pair_answer *answers);

void pair_answer_free(struct pair_answer *answers);
void pair_destroy(struct pair *pair);

/* Prints the lines in which two maps differ (- vas, + kernel), with those around them. */
void maps_diff(FILE *out, const char *vas, const char *kernel);

#endif
