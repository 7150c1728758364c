/* fuzz_gen.h - random calls, chosen so that merging, splitting, limits and errors happen often.
 *
 * What is chosen depends on the seed and on the space as it is, nothing else: as long as both sides
 * agree, the same seed gives the same calls.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_FUZZ_GEN_H
#define VAS_CLI_FUZZ_GEN_H

#include "strace/strace.h"

struct fuzz_random {
	uint64_t state;
};

uint64_t fuzz_next(struct fuzz_random *random);

/* 0 .. n - 1 */
uint64_t fuzz_below(struct fuzz_random *random, uint64_t n);

/* A seed of its own for the n-th part of what `seed` stands for. */
uint64_t fuzz_derive(uint64_t seed, uint64_t n);

#define FUZZ_REGIONS 128 /* more vmas than this are not aimed at */

/* What a round is made of; each round leaves some things out, so that others come together more. */
struct fuzz_gen {
	struct fuzz_random random;
	struct vas *space; /* of the process that makes the next call */
	unsigned length;   /* calls of the round */
	unsigned weight[CALL_NAMES];
	bool may_hugetlb;      /* the pool of huge pages is empty and stays so */
	uint64_t only;         /* bits of enum call_name that are made; 0: all */
	uint64_t window_pages; /* of the small window */
	uint64_t page, large_page, task_end; /* bytes; the machine's */
	unsigned hostile;      /* in a thousand arguments */
	bool files, forks, large, huge, hugetlb, low, stacks, locks, lazy, tops;
	unsigned opened; /* descriptors above 2 */
	unsigned forked; /* processes made, or nearly */
	struct vas_region region[FUZZ_REGIONS];
	unsigned regions;
};

/* Begins the round that `seed` stands for. gen->only, gen->may_hugetlb and what
 * is the machine's are the caller's. */
void fuzz_gen_begin(struct fuzz_gen *gen, uint64_t seed);

/* Which process makes the next call: one of those whose bits are set. */
unsigned fuzz_gen_process(struct fuzz_gen *gen, uint64_t living);

/* The next call, of a process that has `space`. */
void fuzz_gen_call(struct fuzz_gen *gen, unsigned process, struct vas *space, struct call *call);

#endif
