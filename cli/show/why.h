/* why.h - which check a call has failed: for each errno of each call its causes, in the order in
 * which they are looked at, each with the fact about Linux that it is.
 *
 * The words are those of the manual pages, in our own. tests/unit/test_why.c holds the tables to
 * the cases: each call in them that fails has a cause here, and each cause here is that of a call
 * in a case that shows its fact.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_WHY_H
#define VAS_CLI_WHY_H

#include "show/snapshot.h"

/* A call that has been made, and what was there before. */
struct why_question {
	const struct call *call;
	const struct answer *answer;
	const struct snapshot *before; /* of the process that made it, of vas */
	struct target *vas;
	uint32_t version; /* the Linux that vas answers as */
};

struct why {
	enum call_name call;
	unsigned number;       /* an errno, or WHY_SIGNAL */
	uint32_t since, until; /* the Linux versions that have this check; 0: no bound */
	const char *fact;      /* "M1.9", of tests/cases/facts.txt */
	const char *cause;
	bool (*holds)(const struct why_question *question); /* NULL: what is left */
};

/* Signals among the errnos, which are below. */
#define WHY_SIGNAL(signo, code) (1000u * (signo) + (code))

/* The cause of an errno or a signal. NULL: the call has not failed, or no cause is known. */
const struct why *why_of(const struct why_question *question);

/* Whether the call has failed at all. */
bool why_has_failed(const struct answer *answer);

/* The n-th cause; NULL: there are no more. */
const struct why *why_at(size_t n);

/* "EINVAL: what is wrong (M1.9)" */
void why_put(FILE *out, const struct why *why);

/* All causes of a call's errors and their versions, for help. */
void why_list(FILE *out, enum call_name call);

#endif
