/* bench_plan.h - what both sides of the benchmark start from: sizes, the clock, chance.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_BENCH_PLAN_H
#define VAS_CLI_BENCH_PLAN_H

#include <stdlib.h>
#include <time.h>

#include "vas/vas.h"
#include "bench/bench.h"

#define PAGE ((uint64_t)4096)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define BASE ((uint64_t)1 << 45) /* where the work takes place: far from any program's own maps */
#define OTHER (BASE + 64 * GIB)  /* where moves go to and come back from */
#define BATCH 16u                /* calls between two looks at the clock; each on another vma */
#define STRIDE (16 * PAGE)       /* from vma to vma: four pages mapped, the rest is gap */
#define LEN (4 * PAGE)
#define HOLE (6 * PAGE) /* where in the stride something fits that merges with nothing */
#define WRITTEN_MAX GIB /* what is larger than this is made present by reading */

#define RW (VAS_PROT_READ | VAS_PROT_WRITE)
#define ANON (VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE)
#define ANON_AT (ANON | VAS_MAP_FIXED_NOREPLACE)
#define INLINE static inline __attribute__((always_inline))

#define SAMPLES 4096

/* What a pattern of growth took (bench_grow.h). */
#define GROW_BUFFERS 1000u
struct grown {
	uint64_t at[GROW_BUFFERS];
	uint64_t calls, moves, entries;
	double ns;
};

/* What a work remembers between its rounds. */
struct plan {
	uint64_t scale;
	uint64_t random;
	uint64_t at[BATCH];                   /* the vmas of this batch */
	uint64_t here, there;                 /* of a move */
	uint64_t failed;                      /* calls */
	double clock_cost, thread_clock_cost; /* of looking twice, ns */
	double bytes;                         /* for each vma */
	struct grown grown;
	unsigned nsamples;
	double samples[SAMPLES];
};

/* ---- The clock ------------------------------------------------------------------------------- */

INLINE uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The fast clock, for what is short and timed often: the median puts up with others' turns on the
 * CPU. The slow one does not run in those: for what may be long. */
INLINE uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

INLINE uint64_t now_of_thread(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* What looking at a clock twice costs at least. */
static double clock_cost(clockid_t clock)
{
	uint64_t best = ~(uint64_t)0;
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t start = clock_ns(clock), ns = clock_ns(clock) - start;
		best = ns < best ? ns : best;
	}
	return (double)best;
}

static void plan_init(struct plan *plan)
{
	plan->clock_cost = clock_cost(CLOCK_MONOTONIC);
	plan->thread_clock_cost = clock_cost(CLOCK_THREAD_CPUTIME_ID);
	plan->random = 88172645463325252u;
}

/* One of the times of a round. */
INLINE void sample_add(struct plan *plan, double ns)
{
	if (plan->nsamples < SAMPLES)
		plan->samples[plan->nsamples++] = ns > 0 ? ns : 0;
}

INLINE void sample(struct plan *plan, uint64_t start)
{
	sample_add(plan, (double)(now() - start) - plan->clock_cost);
}

INLINE void sample_of_thread(struct plan *plan, uint64_t start)
{
	sample_add(plan, (double)(now_of_thread() - start) - plan->thread_clock_cost);
}

static int sample_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The time of the round, if each of its `n` parts had taken the median; < 0: a call failed. */
static double samples_total(struct plan *plan, uint64_t n)
{
	double median = plan->nsamples ? 0 : -1;
	qsort(plan->samples, plan->nsamples, sizeof(plan->samples[0]), sample_compare);
	if (plan->nsamples)
		median = plan->samples[plan->nsamples / 2];
	plan->nsamples = 0;
	return plan->failed ? -1 : median * (double)n;
}

static uint64_t random_next(struct plan *plan)
{
	plan->random ^= plan->random << 13;
	plan->random ^= plan->random >> 7;
	plan->random ^= plan->random << 17;
	return plan->random;
}

#endif
