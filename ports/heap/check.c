/* check.c - verifies what heap.h promises, in its words.
 *
 * SPDX-License-Identifier: MIT */
#include "heap.h"
#include "vas/heap.h"

/* What the lists say, against what the blocks say. */
struct sums {
	uint64_t live, kept, blocks, seams;
	uint64_t dirty, clean; /* free places */
	uint64_t aged;         /* blocks that belong on the list of age */
};

static const char *check_block(const struct block *block, struct sums *sums)
{
	uint64_t len = heap.shelves[block->shelf].len;

	if (block_at(block->addr) != block)
		return "a place is found at its address";
	if (block->size > block->high || block->high > len || block->size > block->cap)
		return "size <= high <= len of the shelf, size <= cap";
	if ((block->size | block->high | block->cap) % PAGE)
		return "whole pages";
	if ((block->state == BLOCK_LIVE) != (block->size > 0))
		return "size is 0 of a free place, and of no other";
	if (block->state == BLOCK_CLEAN && block->high)
		return "a clean place has no pages";
	if (block->age_next && block->high == block->size)
		return "the list of age has exactly the dirty places and blocks with high > size";
	sums->live += block->size;
	sums->kept += block->high - block->size;
	sums->blocks += block->state == BLOCK_LIVE;
	sums->seams += block->seam > 0;
	sums->dirty += block->state == BLOCK_DIRTY;
	sums->clean += block->state == BLOCK_CLEAN;
	sums->aged += block->age_next > 0;
	return NULL;
}

static const char *check_blocks(struct sums *sums)
{
	for (uint32_t i = 1; i < heap.places; i++) {
		const struct block *block = block_of(i);
		const char *broken = block->state ? check_block(block, sums) : NULL;

		if (broken)
			return broken;
	}
	return NULL;
}

static uint64_t count_list(uint32_t head, int state)
{
	uint64_t count = 0;

	for (; head; head = block_of(head)->next) {
		if (block_of(head)->state != state)
			return UINT64_MAX; /* equals no sum */
		count++;
	}
	return count;
}

static const char *check_lists(const struct sums *sums)
{
	uint64_t dirty = 0, clean = 0, aged = 0;

	for (uint32_t i = 0; i < SHELVES; i++) {
		dirty += count_list(heap.shelves[i].dirty, BLOCK_DIRTY);
		clean += count_list(heap.shelves[i].clean, BLOCK_CLEAN);
	}
	if (dirty != sums->dirty || clean != sums->clean)
		return "each free place is on its shelf's list";
	for (uint32_t i = keep_oldest; i; i = block_of(i)->age_next) {
		aged++;
		if (block_of(i)->age_next == i)
			break;
	}
	return aged == sums->aged ? NULL : "the list of age has all that point into it";
}

static const char *check(void)
{
	struct sums sums = {0};
	const char *broken = check_blocks(&sums);

	if (broken)
		return broken;
	if (sums.live != heap.live || sums.blocks != heap.blocks)
		return "live is the sum of size";
	if (sums.kept != heap.kept)
		return "kept is the sum of high - size";
	if (sums.seams != heap.seams)
		return "seams counts the places with one";
	return check_lists(&sums);
}

const char *vas_heap_check(void)
{
	const char *broken;

	heap_lock();
	broken = heap.len ? check() : NULL;
	heap_unlock();
	return broken;
}
