/* frame.c - a buddy allocator over the region's frames.
 *
 * Free blocks of 2^order frames are aligned to their size and linked by order; a block's buddy is
 * found by flipping one bit of its index. Freeing joins buddies, so blocks taken apart by partial
 * unmapping come back together by themselves.
 *
 * SPDX-License-Identifier: MIT */
#include "memory/group.h"

static void link_block(struct frame_pool *pool, uint32_t index, unsigned order)
{
	struct frame *f = &pool->frame[index];

	f->state = FRAME_FREE;
	f->order = (uint8_t)order;
	f->prev = FRAME_NONE;
	f->next = pool->free[order];
	if (f->next != FRAME_NONE)
		pool->frame[f->next].prev = index;
	pool->free[order] = index;
}

static void unlink_block(struct frame_pool *pool, uint32_t index)
{
	struct frame *f = &pool->frame[index];

	if (f->prev != FRAME_NONE)
		pool->frame[f->prev].next = f->next;
	else
		pool->free[f->order] = f->next;
	if (f->next != FRAME_NONE)
		pool->frame[f->next].prev = f->prev;
	f->state = FRAME_USED;
}

/* Frees 2^order frames whose counts are 0, joined with its free buddies. */
static void free_block(struct frame_pool *pool, uint32_t index, unsigned order)
{
	pool->nfree += (uint64_t)1 << order;
	while (order + 1 < FRAME_ORDERS) {
		uint32_t buddy = index ^ (1u << order);

		if (buddy >= pool->count || pool->frame[buddy].state != FRAME_FREE ||
		    pool->frame[buddy].order != order)
			break;
		unlink_block(pool, buddy);
		index &= ~(1u << order);
		order++;
	}
	link_block(pool, index, order);
}

/* Hands all frames from `reserved` on to the free lists, as the largest aligned blocks that fit. */
void frame_pool_init(struct frame_pool *pool, uint32_t reserved)
{
	uint32_t index = reserved;

	pool->reserved = reserved;
	for (unsigned order = 0; order < FRAME_ORDERS; order++)
		pool->free[order] = FRAME_NONE;
	while (index < pool->count) {
		unsigned order = FRAME_ORDERS - 1;

		while (!is_aligned(index, (uint64_t)1 << order) ||
		       pool->count - index < (uint32_t)1 << order)
			order--;
		pool->nfree += (uint64_t)1 << order;
		link_block(pool, index, order);
		index += 1u << order;
	}
}

static bool can_alloc(struct frame_pool *pool)
{
	if (pool->fail_after == 0)
		return false;
	if (pool->fail_after > 0)
		pool->fail_after--;
	return true;
}

bool frame_may_alloc(struct frame_pool *pool)
{
	bool may;

	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	may = can_alloc(pool);
	spin_unlock(pool->port, &pool->lock);
	return may;
}

static uint32_t alloc_order(struct frame_pool *pool, unsigned order)
{
	unsigned from = order;
	uint32_t index;

	if (!can_alloc(pool))
		return FRAME_NONE;
	while (from < FRAME_ORDERS && pool->free[from] == FRAME_NONE)
		from++;
	if (from == FRAME_ORDERS)
		return FRAME_NONE;
	index = pool->free[from];
	unlink_block(pool, index);
	while (from > order) {
		from--;
		link_block(pool, index + (1u << from), from);
	}
	pool->nfree -= (uint64_t)1 << order;
	return index;
}

/* The records of a block that was taken: nobody else looks at them, so not with the pool locked,
 * which all spaces want. */
static void begin_records(struct frame_pool *pool, uint32_t payer, uint32_t index, unsigned order)
{
	for (uint32_t i = index; i < index + (1u << order); i++) {
		pool->frame[i].refs = 1;
		pool->frame[i].live = 0;
		pool->frame[i].pool_level = 0;
		pool->frame[i].lock = (struct spin){0};
		pool->payer[i] = payer;
	}
}

uint32_t frame_alloc(struct frame_pool *pool, uint32_t payer, unsigned order)
{
	uint32_t index;

	if (!group_charge(pool, payer, (uint64_t)1 << order))
		return FRAME_NONE;
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	index = alloc_order(pool, order);
	spin_unlock(pool->port, &pool->lock);
	if (index == FRAME_NONE)
		group_uncharge(pool, payer, (uint64_t)1 << order);
	else
		begin_records(pool, payer, index, order);
	return index;
}

uint32_t frame_alloc_zeroed(struct frame_pool *pool, uint32_t payer)
{
	uint32_t index = frame_alloc(pool, payer, 0);

	if (index != FRAME_NONE)
		memset(frame_host(pool, index), 0, (size_t)1 << pool->page_shift);
	return index;
}

void frame_free(struct frame_pool *pool, uint32_t index)
{
	struct frame *f = &pool->frame[index];
	uint32_t payer = pool->payer[index];

	vas_assert(f->refs == 0 && f->state != FRAME_FREE);
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	if (f->pool_level > 0)
		pool->nhuge[f->pool_level]--;
	free_block(pool, index, 0);
	spin_unlock(pool->port, &pool->lock);
	group_uncharge(pool, payer, 1);
}

/* Frees a row of frames that one group, or nobody, pays for; a page of the huge page pool begins at
 * the first of them, or at none. */
static void free_row(struct frame_pool *pool, uint32_t first, uint32_t n)
{
	uint32_t payer = pool->payer[first], end = first + n;
	unsigned level = pool->frame[first].pool_level;

	if (n == 0)
		return;
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	if (level > 0)
		pool->nhuge[level]--;
	while (first < end) {
		unsigned order = FRAME_ORDERS - 1;

		while (!is_aligned(first, (uint64_t)1 << order) || end - first < 1u << order)
			order--;
		free_block(pool, first, order);
		first += 1u << order;
	}
	spin_unlock(pool->port, &pool->lock);
	group_uncharge(pool, payer, n);
}

void frame_put_row(struct frame_pool *pool, uint32_t first, uint32_t n)
{
	uint32_t begin = first; /* from here on all have ended, and are not free yet */

	for (uint32_t i = first; i < first + n; i++) {
		bool ended = frame_put(pool, i);

		if (ended && i > begin && pool->frame[i].pool_level == 0 &&
		    pool->payer[i] == pool->payer[begin])
			continue;
		free_row(pool, begin, i - begin);
		begin = ended ? i : i + 1;
	}
	free_row(pool, begin, first + n - begin);
}

void frame_mark_huge(struct frame_pool *pool, uint32_t index, unsigned level)
{
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	pool->frame[index].pool_level = (uint8_t)level;
	pool->nhuge[level]++;
	spin_unlock(pool->port, &pool->lock);
}

uint64_t frame_count_huge(struct frame_pool *pool, unsigned level)
{
	uint64_t n;

	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	n = pool->nhuge[level];
	spin_unlock(pool->port, &pool->lock);
	return n;
}

uint64_t frame_count_free(struct frame_pool *pool)
{
	uint64_t n;

	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	n = pool->nfree;
	spin_unlock(pool->port, &pool->lock);
	return n;
}

void frame_fail_after(struct frame_pool *pool, int64_t n)
{
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	pool->fail_after = n < 0 ? -1 : n;
	spin_unlock(pool->port, &pool->lock);
}
