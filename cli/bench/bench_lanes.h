/* bench_lanes.h - what several threads do in one space at once, for either side.
 *
 * Included after bench_work.h, so both sides run the same statements. A *lane* is one thread's
 * share of the work; a round is a fixed number of operations in each, timed by the lane itself.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_BENCH_LANES_H
#define VAS_CLI_BENCH_LANES_H

#include "bench/bench_plan.h"

#define LANE_SPAN (64 * MIB) /* from lane to lane, where each has its own part */
#define LANE_PAGES 2048u     /* faults of a lane in a round */
#define LANE_CALLS 1024u
#define LANE_MISSES 16384u
#define LANE_HITS 262144u
#define LANE_RANGE (32 * MIB) /* of each part */

static const char *prepare_lanes(struct side *side)
{
	for (uint64_t i = 0; i < LANES_MAX; i++)
		if (side_mmap(side, BASE + i * LANE_SPAN, LANE_RANGE, RW, ANON_AT) < 0 ||
		    side_madvise(side, BASE + i * LANE_SPAN, LANE_RANGE, VAS_MADV_NOHUGEPAGE) < 0 ||
		    side_touch(side, BASE + i * LANE_SPAN, true) < 0)
			return "the ranges cannot be mapped";
	return NULL;
}

static const char *prepare_lanes_present(struct side *side)
{
	const char *why = prepare_lanes(side);
	if (!why && side_madvise(side, BASE, LANE_RANGE, VAS_MADV_POPULATE_READ) < 0)
		why = "the range cannot be made present";
	return why;
}

/* Between two rounds: what the lanes fault is absent again, but for one page of each leaf table. */
static void clean_lanes(struct side *side)
{
	for (uint64_t i = 0; i < LANES_MAX; i++)
		for (uint64_t at = 0; at < LANE_RANGE; at += 2 * MIB) {
			uint64_t start = BASE + i * LANE_SPAN + at;
			(void)side_touch(side, start, true);
			(void)side_madvise(side, start + PAGE, 2 * MIB - PAGE, VAS_MADV_DONTNEED);
		}
}

INLINE void lane_faults(struct lane *lane, uint64_t base, uint64_t step, bool write)
{
	uint64_t most = LANE_RANGE / PAGE / step, n = LANE_PAGES < most ? LANE_PAGES : most;
	uint64_t start = now();
	for (uint64_t i = 0; i < n; i++)
		lane->failed += side_touch(lane->side, base + i * step * PAGE, write) < 0;
	lane->ns = (double)(now() - start);
	lane->ops = n;
}

static void lane_fault_apart(struct lane *lane)
{
	lane_faults(lane, BASE + lane->number * LANE_SPAN, 1, false);
}

static void lane_write_apart(struct lane *lane)
{
	lane_faults(lane, BASE + lane->number * LANE_SPAN, 1, true);
}

/* Page by page in turn, so that all lanes are in the same leaf table. */
static void lane_fault_together(struct lane *lane)
{
	lane_faults(lane, BASE + lane->number * PAGE, lane->of, false);
}

/* Maps and unmaps four pages; if they are touched, unmapping must invalidate. */
INLINE void lane_map_one(struct lane *lane, uint64_t i, bool touch)
{
	uint64_t at = OTHER + lane->number * LANE_SPAN + i % 64 * STRIDE;
	lane->failed += side_mmap(lane->side, at, LEN, RW, ANON_AT) < 0;
	if (touch)
		lane->failed += side_touch(lane->side, at, true) < 0;
	lane->failed += side_munmap(lane->side, at, LEN) < 0;
}

static void lane_map(struct lane *lane)
{
	uint64_t start = now();
	for (uint64_t i = 0; i < LANE_CALLS; i++)
		lane_map_one(lane, i, false);
	lane->ns = (double)(now() - start);
	lane->ops = LANE_CALLS;
}

/* The first lane works, all others map and unmap elsewhere until it is done. */
INLINE void lane_beside_map(struct lane *lane, void (*work)(struct lane *lane))
{
	if (lane->number == 0) {
		work(lane);
		__atomic_store_n(lane->over, true, __ATOMIC_RELEASE);
		return;
	}
	for (lane->ops = 0; !__atomic_load_n(lane->over, __ATOMIC_ACQUIRE); lane->ops++)
		lane_map_one(lane, lane->ops, true);
}

static void lane_fault_beside_map(struct lane *lane)
{
	lane_beside_map(lane, lane_fault_apart);
}

INLINE void lane_translations(struct lane *lane, uint64_t n, uint64_t npages)
{
	uint64_t random = lane->number, sum = 0, start = now();
	for (uint64_t i = 0; i < n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		sum += side_load(lane->side, BASE + (random >> 32) % npages * PAGE);
	}
	lane->ns = (double)(now() - start);
	lane->ops = n;
	lane->sink += sum;
	side_rest(lane->side);
}

static void lane_hit(struct lane *lane)
{
	lane_translations(lane, LANE_HITS, 64);
}

static void lane_miss(struct lane *lane)
{
	lane_translations(lane, LANE_MISSES, LANE_RANGE / PAGE);
}

static void lane_hit_beside_map(struct lane *lane)
{
	lane_beside_map(lane, lane_hit);
}

static const struct lane_work lane_works[LANE_COUNT] = {
	[LANE_FAULT_APART] = {prepare_lanes, clean_lanes, lane_fault_apart},
	[LANE_FAULT_TOGETHER] = {prepare_lanes, clean_lanes, lane_fault_together},
	[LANE_WRITE_APART] = {prepare_lanes, clean_lanes, lane_write_apart},
	[LANE_MAP] = {prepare_lanes, NULL, lane_map},
	[LANE_FAULT_BESIDE_MAP] = {prepare_lanes, clean_lanes, lane_fault_beside_map},
	[LANE_HIT] = {prepare_lanes_present, NULL, lane_hit},
	[LANE_MISS] = {prepare_lanes_present, NULL, lane_miss},
	[LANE_HIT_BESIDE_MAP] = {prepare_lanes_present, NULL, lane_hit_beside_map},
};

#endif
