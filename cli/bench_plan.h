/* bench_plan.h - what both sides of the benchmark start from: sizes, the clock, chance.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_BENCH_PLAN_H
#define VAS_CLI_BENCH_PLAN_H

#include <time.h>

#include "vas/vas.h"
#include "bench.h"

#define PAGE ((uint64_t)4096)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define BASE ((uint64_t)1 << 40)  /* where the work takes place: far from any program's own maps */
#define OTHER (BASE + 64 * GIB)   /* where moves go to and come back from */
#define BATCH 16u                 /* calls between two looks at the clock; each on another vma */
#define STRIDE (16 * PAGE)        /* from vma to vma: four pages mapped, the rest is gap */
#define LEN (4 * PAGE)
#define HOLE (6 * PAGE)           /* where in the stride something fits that merges with nothing */
#define WRITTEN_MAX GIB           /* what is larger than this is made present by reading */

#define RW (VAS_PROT_READ | VAS_PROT_WRITE)
#define ANON (VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE)
#define ANON_AT (ANON | VAS_MAP_FIXED_NOREPLACE)
#define INLINE static inline __attribute__((always_inline))

/* What a work remembers between its rounds. */
struct plan {
	uint64_t scale;
	uint64_t random;
	uint64_t at[BATCH];  /* the vmas of this batch */
	uint64_t here, there; /* of a move */
	uint64_t failed;     /* calls */
	double clock_ns;     /* what looking at the clock twice costs */
	double bytes;        /* for each vma */
};

/* ---- The clock ------------------------------------------------------------------------------- */

INLINE uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void plan_init(struct plan *plan)
{
	uint64_t best = ~(uint64_t)0;
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t start = now(), ns = now() - start;
		best = ns < best ? ns : best;
	}
	plan->clock_ns = (double)best;
	plan->random = 88172645463325252u;
}

INLINE double since(const struct plan *plan, uint64_t start)
{
	double ns = (double)(now() - start) - plan->clock_ns;
	return ns > 0 ? ns : 0;
}

static uint64_t random_next(struct plan *plan)
{
	plan->random ^= plan->random << 13;
	plan->random ^= plan->random >> 7;
	plan->random ^= plan->random << 17;
	return plan->random;
}

#endif
