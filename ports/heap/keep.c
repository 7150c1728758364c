/* keep.c - pages that are in no block: kept for the next one, within a limit, for a while.
 *
 * Without them, a program that frees and allocates again pays a fault for each page each time; with
 * too many, it is larger than it need be. So no more is kept than `keep` or a quarter of what is
 * in use allow, and together with the blocks in use little more than the program has needed at
 * once before.
 *
 * All of it is called under heap.lock.
 *
 * SPDX-License-Identifier: MIT */
#include "heap.h"

#define LITTLE MIB(8) /* beyond what was needed before, with an eighth of it */
#define CLOCK_USES 16 /* the clock is looked at once in so many calls */

static uint32_t keep_oldest;
static uint32_t youngest;

/* The two ends of the list point to themselves, so that a member never has a 0. */
void keep_add(struct block *block)
{
	uint32_t index = block_index(block);

	block->stamp = heap.now;
	block->age_next = index;
	block->age_prev = youngest ? youngest : index;
	if (youngest)
		block_of(youngest)->age_next = index;
	else
		keep_oldest = index;
	youngest = index;
}

void keep_remove(struct block *block)
{
	uint32_t index = block_index(block), next = block->age_next, prev = block->age_prev;
	bool last = next == index, first = prev == index;

	if (last && first) {
		keep_oldest = youngest = 0;
	} else if (last) {
		youngest = prev;
		block_of(prev)->age_next = prev;
	} else if (first) {
		keep_oldest = next;
		block_of(next)->age_prev = next;
	} else {
		block_of(prev)->age_next = next;
		block_of(next)->age_prev = prev;
	}
	block->age_next = block->age_prev = 0;
}

uint64_t keep_limit(void)
{
	uint64_t most = heap.live / 4 > heap_settings.keep ? heap.live / 4 : heap_settings.keep;
	uint64_t before = heap.peak - heap.live + heap.peak / 8 + LITTLE;

	if (heap_settings.keep == 0)
		return 0;
	return most < before ? most : before;
}

static bool give_back_oldest(void)
{
	struct block *block = block_of(keep_oldest);
	struct shelf *shelf = &heap.shelves[block->shelf];

	if (!host_discard(block->addr + block->size, block->high - block->size)) {
		/* Locked memory: it stays. As the youngest, it is not in the way of others. */
		keep_remove(block);
		keep_add(block);
		return false;
	}
	keep_remove(block);
	heap.kept -= block->high - block->size;
	block->high = block->size;
	if (block->state == BLOCK_DIRTY) {
		list_remove(&shelf->dirty, block);
		block_clean(block);
	}
	return true;
}

void keep_enforce(void)
{
	uint64_t limit = keep_limit();

	while (heap.kept > limit && keep_oldest && give_back_oldest())
		;
	if (++heap.uses % CLOCK_USES)
		return;
	heap.now = host_now();
	while (keep_oldest && heap.now - block_of(keep_oldest)->stamp > heap_settings.decay)
		if (!give_back_oldest())
			return;
}

bool keep_drop(void)
{
	bool some = false;

	while (keep_oldest && give_back_oldest())
		some = true;
	return some;
}
