/* bench_work.h - what is timed, for either side.
 *
 * Included by bench_vas.c and bench_kernel.c after each has defined the calls used here (side_mmap
 * and so on, inline, with the kernel's numbers for flags) and struct side with a member `plan`. So
 * both sides run the same statements; only the calls differ.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_BENCH_WORK_H
#define VAS_CLI_BENCH_WORK_H

#include "bench/bench_plan.h"

/* ---- Calls among many vmas ------------------------------------------------------------------- */

static const char *prepare_vmas(struct side *side, uint64_t nvmas)
{
	side->plan.scale = nvmas;
	for (uint64_t i = 0; i < nvmas; i++)
		if (side_mmap(side, BASE + i * STRIDE, LEN, RW, ANON_AT) < 0)
			return "the vmas cannot be made";
	return NULL;
}

/* The same in disorder; their number is a power of two, so an odd factor reaches each once. */
static const char *prepare_vmas_random(struct side *side, uint64_t nvmas)
{
	side->plan.scale = nvmas;
	for (uint64_t i = 0; i < nvmas; i++)
		if (side_mmap(side, BASE + i * 2654435761u % nvmas * STRIDE, LEN, RW, ANON_AT) < 0)
			return "the vmas cannot be made";
	return NULL;
}

/* Chooses the vmas of the next batch: one at random out of each sixteenth. */
static void pick(struct plan *plan)
{
	uint64_t part = plan->scale / BATCH;
	for (unsigned i = 0; i < BATCH; i++)
		plan->at[i] = BASE + (i * part + random_next(plan) % part) * STRIDE;
}

typedef int64_t op(struct side *side, uint64_t addr);

/* Does `there` to the vmas of a batch, then `back`; one of the two is timed. */
INLINE double batches(struct side *side, uint64_t *n, op *there, op *back, bool time_back)
{
	struct plan *plan = &side->plan;
	uint64_t done = 0, start;
	for (; done < *n; done += BATCH) {
		pick(plan);
		start = now();
		for (unsigned i = 0; i < BATCH; i++)
			plan->failed += there(side, plan->at[i]) < 0;
		if (!time_back)
			sample(plan, start);
		start = now();
		for (unsigned i = 0; i < BATCH; i++)
			plan->failed += back(side, plan->at[i]) < 0;
		if (time_back)
			sample(plan, start);
	}
	*n = done;
	return samples_total(plan, done / BATCH);
}

INLINE int64_t op_nothing(struct side *side, uint64_t addr)
{
	(void)side;
	(void)addr;
	return 0;
}

INLINE int64_t op_mmap(struct side *side, uint64_t addr)
{
	return side_mmap(side, addr + HOLE, LEN, RW, ANON_AT);
}

INLINE int64_t op_munmap(struct side *side, uint64_t addr)
{
	return side_munmap(side, addr + HOLE, LEN);
}

INLINE int64_t op_mmap_munmap(struct side *side, uint64_t addr)
{
	return op_mmap(side, addr) < 0 ? -1 : op_munmap(side, addr);
}

INLINE int64_t op_mmap_anywhere(struct side *side, uint64_t addr)
{
	int64_t got = side_mmap(side, 0, LEN, RW, ANON);
	(void)addr;
	return got < 0 ? got : side_munmap(side, (uint64_t)got, LEN);
}

INLINE int64_t op_split(struct side *side, uint64_t addr)
{
	return side_mprotect(side, addr + LEN / 2, LEN / 2, VAS_PROT_READ);
}

INLINE int64_t op_merge(struct side *side, uint64_t addr)
{
	return side_mprotect(side, addr + LEN / 2, LEN / 2, RW);
}

INLINE int64_t op_grow(struct side *side, uint64_t addr)
{
	return side_mremap(side, addr, LEN, LEN + PAGE, 0, 0);
}

INLINE int64_t op_shrink(struct side *side, uint64_t addr)
{
	return side_mremap(side, addr, LEN + PAGE, LEN, 0, 0);
}

static double round_mmap_munmap(struct side *side, uint64_t *n)
{
	return batches(side, n, op_mmap_munmap, op_nothing, false);
}

static double round_mmap_anywhere(struct side *side, uint64_t *n)
{
	return batches(side, n, op_mmap_anywhere, op_nothing, false);
}

static double round_mmap(struct side *side, uint64_t *n)
{
	return batches(side, n, op_mmap, op_munmap, false);
}

static double round_split(struct side *side, uint64_t *n)
{
	return batches(side, n, op_split, op_merge, false);
}

static double round_merge(struct side *side, uint64_t *n)
{
	return batches(side, n, op_split, op_merge, true);
}

static double round_grow(struct side *side, uint64_t *n)
{
	return batches(side, n, op_grow, op_shrink, false);
}

static double round_shrink(struct side *side, uint64_t *n)
{
	return batches(side, n, op_grow, op_shrink, true);
}

/* ---- Large ranges with every page present ---------------------------------------------------- */

static const char *prepare_range(struct side *side, uint64_t bytes)
{
	uint64_t how = bytes > WRITTEN_MAX ? VAS_MADV_POPULATE_READ : VAS_MADV_POPULATE_WRITE;
	side->plan.scale = bytes;
	side->plan.here = BASE;
	if (side_mmap(side, BASE, bytes, RW, ANON_AT) < 0)
		return "the range cannot be mapped";
	if (side_madvise(side, BASE, bytes, VAS_MADV_NOHUGEPAGE) < 0 ||
	    side_madvise(side, BASE, bytes, how) < 0)
		return "the range cannot be made present";
	return NULL;
}

static const char *prepare_move_1g(struct side *side, uint64_t bytes)
{
	side->plan.there = OTHER;
	return prepare_range(side, bytes);
}

static const char *prepare_move_2m(struct side *side, uint64_t bytes)
{
	side->plan.there = OTHER + 2 * MIB;
	return prepare_range(side, bytes);
}

static const char *prepare_move_shifted(struct side *side, uint64_t bytes)
{
	side->plan.there = OTHER + PAGE;
	return prepare_range(side, bytes);
}

/* There and back again. */
static double round_move(struct side *side, uint64_t *n)
{
	struct plan *plan = &side->plan;
	uint64_t len = plan->scale, start = now_of_thread();
	*n += *n % 2;
	for (uint64_t i = 0; i < *n; i++) {
		uint64_t to = plan->there;
		plan->failed += side_mremap(side, plan->here, len, len,
		                            VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, to) < 0;
		plan->there = plan->here;
		plan->here = to;
	}
	return plan->failed ? -1 : (double)(now_of_thread() - start);
}

static double round_protect(struct side *side, uint64_t *n)
{
	struct plan *plan = &side->plan;
	uint64_t start = now_of_thread();
	*n += *n % 2;
	for (uint64_t i = 0; i < *n; i++)
		plan->failed += side_mprotect(side, BASE, plan->scale,
		                              i % 2 ? RW : VAS_PROT_READ) < 0;
	return plan->failed ? -1 : (double)(now_of_thread() - start);
}

/* Writes somewhere below each leaf table, as a parent does that lives on between its forks. */
static void write_all_over(struct side *side)
{
	for (uint64_t at = 0; at < side->plan.scale; at += 2 * MIB)
		side->plan.failed += side_touch(side, BASE + at, true) < 0;
}

static double round_fork(struct side *side, uint64_t *n)
{
	struct plan *plan = &side->plan;
	for (uint64_t i = 0; i < *n; i++) {
		write_all_over(side);
		uint64_t start = now_of_thread();
		plan->failed += side_fork(side) < 0;
		sample_of_thread(plan, start);
		side_reap(side);
	}
	return samples_total(plan, *n);
}

static double round_first_write(struct side *side, uint64_t *n)
{
	struct plan *plan = &side->plan;
	for (uint64_t i = 0; i < *n; i++) {
		uint64_t addr = BASE + random_next(plan) % (plan->scale / PAGE) * PAGE;
		write_all_over(side);
		plan->failed += side_fork(side) < 0;
		uint64_t start = now();
		plan->failed += side_touch(side, addr, true) < 0;
		sample(plan, start);
		side_reap(side);
	}
	return samples_total(plan, *n);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

#define FAULT_LEN (2 * MIB) /* one leaf table's; its first page stays, so that the table does */

static const char *prepare_fault(struct side *side, uint64_t scale)
{
	(void)scale;
	if (side_mmap(side, BASE, FAULT_LEN, RW, ANON_AT) < 0 ||
	    side_madvise(side, BASE, FAULT_LEN, VAS_MADV_NOHUGEPAGE) < 0 ||
	    side_touch(side, BASE, true) < 0)
		return "the range cannot be mapped";
	return NULL;
}

INLINE double faults(struct side *side, uint64_t *n, bool write)
{
	struct plan *plan = &side->plan;
	uint64_t done = 0;
	for (; done < *n; done += FAULT_LEN / PAGE - 1) {
		plan->failed += side_madvise(side, BASE + PAGE, FAULT_LEN - PAGE,
		                             VAS_MADV_DONTNEED) < 0;
		uint64_t start = now();
		for (uint64_t at = PAGE; at < FAULT_LEN; at += PAGE)
			plan->failed += side_touch(side, BASE + at, write) < 0;
		sample(plan, start);
	}
	*n = done;
	return samples_total(plan, done / (FAULT_LEN / PAGE - 1));
}

static double round_fault(struct side *side, uint64_t *n)
{
	return faults(side, n, false);
}

static double round_fault_write(struct side *side, uint64_t *n)
{
	return faults(side, n, true);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

typedef const char *prepare(struct side *side, uint64_t nvmas);

static const char *weigh(struct side *side, uint64_t nvmas, prepare *make)
{
	double before = side_bytes(side);
	const char *why = before < 0 ? "only root may read /proc/slabinfo" : make(side, nvmas);
	if (why)
		return why;
	side->plan.bytes = (side_bytes(side) - before) / (double)nvmas;
	return NULL;
}

static const char *prepare_bytes(struct side *side, uint64_t nvmas)
{
	return weigh(side, nvmas, prepare_vmas);
}

static const char *prepare_bytes_random(struct side *side, uint64_t nvmas)
{
	return weigh(side, nvmas, prepare_vmas_random);
}

/* Reading first makes the page tables, so that only the pages themselves and what a written vma
 * needs come with the writing. */
static const char *prepare_bytes_touched(struct side *side, uint64_t nvmas)
{
	const char *why = prepare_bytes(side, nvmas);
	double before;
	if (why)
		return why;
	for (uint64_t i = 0; i < nvmas; i++)
		side->plan.failed += side_touch(side, BASE + i * STRIDE, false) < 0;
	before = side_bytes(side);
	for (uint64_t i = 0; i < nvmas; i++)
		side->plan.failed += side_touch(side, BASE + i * STRIDE, true) < 0;
	side->plan.bytes += (side_bytes(side) - before) / (double)nvmas - SIDE_PAGE_BYTES;
	return side->plan.failed ? "the pages cannot be written" : NULL;
}

static double round_bytes(struct side *side, uint64_t *n)
{
	*n = 1;
	return side->plan.bytes;
}

#define WORK(id, begin, what) \
	[WORK_##id] = {.prepare = prepare_##begin, .round = round_##what}
#define WORK_SOFT(id, begin, what)                                             \
	[WORK_##id##_SOFT] = {.prepare = prepare_##begin, .round = round_##what, \
	                      .how = SIDE_SOFTWARE}
#define WORKS_OF_BOTH						\
	WORK(MMAP_MUNMAP, vmas, mmap_munmap),			\
	WORK(MMAP_ANYWHERE, vmas, mmap_anywhere),		\
	WORK(MMAP, vmas, mmap),					\
	WORK(SPLIT, vmas, split),				\
	WORK(MERGE, vmas, merge),				\
	WORK(GROW, vmas, grow),					\
	WORK(SHRINK, vmas, shrink),				\
	WORK(MOVE_1G, move_1g, move),				\
	WORK(MOVE_2M, move_2m, move),				\
	WORK(MOVE_SHIFTED, move_shifted, move),			\
	WORK_SOFT(MOVE_SHIFTED, move_shifted, move),		\
	WORK(PROTECT, range, protect),				\
	WORK(FORK, range, fork),				\
	WORK(FIRST_WRITE, range, first_write),			\
	WORK(FAULT, fault, fault),				\
	WORK(FAULT_WRITE, fault, fault_write),			\
	WORK(BYTES, bytes, bytes),					\
	WORK(BYTES_RANDOM, bytes_random, bytes),				\
	WORK(BYTES_TOUCHED, bytes_touched, bytes)

#endif
