/* bench_grow.h - buffers that grow as realloc makes them grow: by mremap, wherever it puts them.
 *
 * Included after bench_work.h, so both sides run the same statements. One operation is a whole
 * pattern; its time is that of the mremap calls alone, each timed by itself. Every page is present
 * (by reading) before a buffer grows, for what a move costs is its pages.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_CLI_BENCH_GROW_H
#define VAS_CLI_BENCH_GROW_H

#include "bench/bench_plan.h"

struct pattern {
	uint64_t buffers;
	uint64_t first, last; /* bytes */
	uint64_t step;        /* 0: twice as large each time */
	uint64_t extra;       /* what a header adds to each size */
};

/* Words of page tables that a move needs, each as large as both addresses allow. */
static uint64_t entries_of_move(uint64_t from, uint64_t to, uint64_t len)
{
	static const uint64_t spans[] = {GIB, 2 * MIB, PAGE};
	uint64_t n = 0;
	while (len > 0) {
		unsigned i = 0;
		while ((from | to) % spans[i] != 0 || len < spans[i])
			i++;
		from += spans[i];
		to += spans[i];
		len -= spans[i];
		n++;
	}
	return n;
}

static void grow_one(struct side *side, struct grown *grown, uint64_t *at, uint64_t old_len,
                     uint64_t new_len)
{
	uint64_t start = now();
	int64_t got = side_mremap(side, *at, old_len, new_len, VAS_MREMAP_MAYMOVE, 0);
	grown->ns += (double)(now() - start) - side->plan.clock_cost;
	grown->calls++;
	if (got < 0) {
		side->plan.failed++;
		return;
	}
	if ((uint64_t)got != *at) {
		grown->moves++;
		grown->entries += entries_of_move(*at, (uint64_t)got, old_len);
	}
	*at = (uint64_t)got;
	side->plan.failed += side_madvise(side, *at + old_len, new_len - old_len,
	                                  VAS_MADV_POPULATE_READ) < 0;
}

static double grow_all(struct side *side, struct grown *grown, const struct pattern *pattern)
{
	uint64_t size = pattern->first, next;
	grown->calls = grown->moves = grown->entries = 0;
	grown->ns = 0;
	for (uint64_t i = 0; i < pattern->buffers; i++) {
		int64_t got = side_mmap(side, 0, size + pattern->extra, RW, ANON);
		side->plan.failed += got < 0;
		grown->at[i] = (uint64_t)got;
		side->plan.failed += side_madvise(side, grown->at[i], size + pattern->extra,
		                                  VAS_MADV_POPULATE_READ) < 0;
	}
	for (; size < pattern->last && !side->plan.failed; size = next) {
		next = pattern->step ? size + pattern->step : 2 * size;
		for (uint64_t i = 0; i < pattern->buffers; i++)
			grow_one(side, grown, &grown->at[i], size + pattern->extra,
			         next + pattern->extra);
	}
	for (uint64_t i = 0; i < pattern->buffers; i++)
		side->plan.failed += side_munmap(side, grown->at[i], size + pattern->extra) < 0;
	return side->plan.failed ? -1 : grown->ns;
}

/* As a program has libraries above what it maps. */
static const char *prepare_grow(struct side *side, uint64_t scale)
{
	(void)scale;
	return side_mmap(side, 0, PAGE, VAS_PROT_READ, ANON) < 0 ? "nothing can be mapped" : NULL;
}

static const char *prepare_grow_roomy(struct side *side, uint64_t scale)
{
	side_place_roomy(side);
	return prepare_grow(side, scale);
}

static void tell_grown(const struct side *side, char *text, size_t len)
{
	const struct grown *grown = &side->plan.grown;
	(void)snprintf(text, len, "%llu calls, %llu moves of %llu entries",
	               (unsigned long long)grown->calls, (unsigned long long)grown->moves,
	               (unsigned long long)grown->entries);
}

INLINE double round_of(struct side *side, uint64_t *n, struct pattern pattern)
{
	double ns = 0;
	for (uint64_t i = 0; i < *n && ns >= 0; i++) {
		double once = grow_all(side, &side->plan.grown, &pattern);
		ns = once < 0 ? -1 : ns + once;
	}
	return ns;
}

static double round_grow_x2(struct side *side, uint64_t *n)
{
	return round_of(side, n, (struct pattern){1, PAGE, 4 * GIB, 0, 0});
}

static double round_grow_x2_odd(struct side *side, uint64_t *n)
{
	return round_of(side, n, (struct pattern){1, PAGE, 4 * GIB, 0, PAGE});
}

static double round_grow_1m(struct side *side, uint64_t *n)
{
	return round_of(side, n, (struct pattern){1, MIB, 2 * GIB, MIB, 0});
}

static double round_grow_many_64k(struct side *side, uint64_t *n)
{
	return round_of(side, n, (struct pattern){GROW_BUFFERS, MIB / 16, 4 * MIB, MIB / 16, 0});
}

static double round_grow_many_x2(struct side *side, uint64_t *n)
{
	return round_of(side, n, (struct pattern){GROW_BUFFERS, PAGE, 4 * MIB, 0, 0});
}

#define GROW_WORK(id, what)                                                   \
	[WORK_##id] = {.prepare = prepare_grow,                               \
	               .round = round_##what,                                 \
	               .tell = tell_grown},                                   \
	[WORK_##id##_ROOMY] = {.prepare = prepare_grow_roomy,                 \
	                       .round = round_##what,                         \
	                       .tell = tell_grown}
#define WORKS_OF_GROWTH                            \
	GROW_WORK(GROW_X2, grow_x2),               \
	GROW_WORK(GROW_X2_ODD, grow_x2_odd),       \
	GROW_WORK(GROW_1M, grow_1m),               \
	GROW_WORK(GROW_MANY_64K, grow_many_64k),   \
	GROW_WORK(GROW_MANY_X2, grow_many_x2)

#endif
