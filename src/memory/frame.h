/* frame.h - physical frames: blocks of 4 KiB, 2 MiB, 1 GiB (any power of two), reference counts.
 *
 * A frame is named by its index in the region. Index 0 holds vas's own records and is never handed
 * out, so it serves as "none". Every frame in use has a count of its own, also inside a larger
 * block: a 2 MiB leaf holds one reference on each of its 512 frames, so it can be split, shared and
 * freed in parts without any further record.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_FRAME_H
#define VAS_FRAME_H

#include "base/lock.h"

#define FRAME_NONE 0u
#define FRAME_ORDERS 19 /* up to 2^18 frames: 1 GiB of 4 KiB frames */

enum frame_state {
	FRAME_USED, /* refs > 0; or waits in a gather; or the inside of a free block */
	FRAME_FREE, /* the first frame of a free block of 2^order */
};

/* One record for each frame of the region. Invariants:
 *   state FRAME_FREE: refs == 0, the block is aligned to its size and linked in free[order]
 *   pool_level of a frame in use: 0, but of the first of a page of the huge page pool its level
 *   live counts the words that are not zero, if the frame is a page table (pagetable.c) */
struct frame {
	uint32_t refs;
	uint16_t live;
	union {
		uint8_t order;      /* of a free block */
		uint8_t pool_level; /* of a frame in use: see above */
	};
	uint8_t state;
	uint32_t next; /* in a free list or a gather */
	union {
		uint32_t prev;    /* in a free list */
		struct spin lock; /* of a leaf table in use: guards its words, see lock.h */
	};
};

struct frame_pool {
	const struct vas_port *port;
	struct frame *frame; /* `count` records at the start of the region */
	uint32_t *payer;     /* of each: whose group is charged for it (group.h), or FRAME_NONE */
	uint8_t *memory;
	uint64_t phys;
	uint32_t count;
	uint32_t reserved; /* the first frames, never handed out */
	uint32_t zeros; /* the block behind large pages of zeros, see frame_is_zeros; atomic */
	unsigned page_shift;

	/* What changes all the time lies apart from what everybody reads. */
	char before_lock[CACHE_LINE];
	struct spin lock; /* guards all below, and the records but for `refs` of frames in use */
	uint32_t free[FRAME_ORDERS];
	uint64_t nfree;
	struct vas_group *groups; /* all, linked by next/prev */
	uint64_t nhuge[3];  /* blocks in use as pages of the huge page pool, by level */
	int64_t fail_after; /* test aid: allocations left before failure; < 0: no limit */
	char after_lock[CACHE_LINE];
};

VAS_INTERNAL void frame_pool_init(struct frame_pool *pool, uint32_t reserved);

/* 2^order frames, aligned to their size, each with one reference; bytes undefined. The group
 * `payer` is charged for them until they are freed, or nobody (FRAME_NONE). FRAME_NONE: there are
 * none, or the group's limit forbids. */
VAS_INTERNAL uint32_t frame_alloc(struct frame_pool *pool, uint32_t payer, unsigned order);
VAS_INTERNAL uint32_t frame_alloc_zeroed(struct frame_pool *pool, uint32_t payer);

/* Gives back a frame whose count has reached 0. */
VAS_INTERNAL void frame_free(struct frame_pool *pool, uint32_t index);

/* Drops a reference on each of n frames in a row, and gives back those of which it was the last:
 * blocks as blocks, however large, in one step. */
VAS_INTERNAL void frame_put_row(struct frame_pool *pool, uint32_t first, uint32_t n);

/* Counts a block in as a page of the huge page pool, or tells how many there are. */
VAS_INTERNAL void frame_mark_huge(struct frame_pool *pool, uint32_t index, unsigned level);
VAS_INTERNAL uint64_t frame_count_huge(struct frame_pool *pool, unsigned level);

VAS_INTERNAL uint64_t frame_count_free(struct frame_pool *pool);

/* Testing aid: n more allocations succeed, then none; negative: no limit. */
VAS_INTERNAL void frame_fail_after(struct frame_pool *pool, int64_t n);

/* Whether the next allocation may be tried (counts down fail_after). */
VAS_INTERNAL bool frame_may_alloc(struct frame_pool *pool);

static inline void counter_add(uint32_t *refs, bool threads)
{
	if (threads)
		__atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
	else
		++*refs;
}

static inline void frame_get(struct frame_pool *pool, uint32_t index)
{
	counter_add(&pool->frame[index].refs, pool->port->threads);
}

/* How many users a frame has. One that the caller alone uses stays so. */
static inline uint32_t frame_refs(const struct frame_pool *pool, uint32_t index)
{
	return __atomic_load_n(&pool->frame[index].refs, __ATOMIC_ACQUIRE);
}

/* True when that was the last reference: the caller frees it, now or after invalidation. */
static inline bool frame_put(struct frame_pool *pool, uint32_t index)
{
	uint32_t *refs = &pool->frame[index].refs;

	if (pool->port->threads)
		return __atomic_fetch_sub(refs, 1, __ATOMIC_ACQ_REL) == 1;
	return --*refs == 0;
}

/* Whether a large leaf over this block is one of zeros: such leaves are not counted, like those of
 * the frame of zeros, which they become when they are split. */
static inline bool frame_is_zeros(const struct frame_pool *pool, uint32_t block)
{
	return block != FRAME_NONE && block == __atomic_load_n(&pool->zeros, __ATOMIC_RELAXED);
}

static inline void *frame_host(const struct frame_pool *pool, uint32_t index)
{
	return pool->memory + ((uint64_t)index << pool->page_shift);
}

static inline uint64_t frame_phys(const struct frame_pool *pool, uint32_t index)
{
	return pool->phys + ((uint64_t)index << pool->page_shift);
}

static inline uint32_t frame_of_phys(const struct frame_pool *pool, uint64_t phys)
{
	return (uint32_t)((phys - pool->phys) >> pool->page_shift);
}

static inline uint32_t frame_of_host(const struct frame_pool *pool, const void *host)
{
	return (uint32_t)((uint64_t)((const uint8_t *)host - pool->memory) >> pool->page_shift);
}

#endif
