/* stock.h - tables in stock, so that giving memory back does not need any.
 *
 * What is freed may be a part: of a large leaf, or of a table that fork has shared. Then a table
 * has to be made before anything is freed, one at each border of the range. So a page map keeps two
 * tables from the moment on when it can come to that: the fork, the first large leaf, both of which
 * may fail. Who frees opens the stock (space_split_to_free) and tops it up again when what he frees
 * is free; where that does not succeed, the next call that takes memory has to do it first
 * (space_reserve). A call that frees fails only where the stock is empty and no memory is left:
 * then calls before have split what others share, and gained nothing.
 *
 * The same with vmas: freeing the middle of one makes two of it, and the nodes for that are what
 * every call that adds vmas leaves in the tree's reserve (space_reserve).
 *
 * Who is about to change what cannot be undone stocks up for all that follows (pagemap_stock_move).
 *
 * Invariants (verified by pagemap_check):
 *   outside of calls a stock is closed, and holds no more than it keeps
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_STOCK_H
#define VAS_STOCK_H

#include "memory/frame.h"

/* One for each border of a range. */
#define STOCK_TABLES 2u

struct table_stock {
	struct frame_pool *frames;
	uint32_t payer; /* of all tables of the map, see frame_alloc */
	uint32_t first; /* linked by frame.next */
	unsigned n;
	unsigned keep; /* so many; 0: no leaf and no table can lie across a border yet */
	bool open;     /* tables come out of it as long as there are any */
};

/* A frame for a table; bytes undefined. FRAME_NONE: no memory. */
VAS_INTERNAL uint32_t stock_take(struct table_stock *stock);

static inline uint32_t table_alloc(struct table_stock *stock)
{
	return stock->open ? stock_take(stock) : frame_alloc(stock->frames, stock->payer, 0);
}

static inline uint32_t table_alloc_zeroed(struct table_stock *stock)
{
	uint32_t table = table_alloc(stock);

	if (table != FRAME_NONE)
		memset(frame_host(stock->frames, table), 0, (size_t)1 << stock->frames->page_shift);
	return table;
}

/* Takes the memory for n tables in all. False: not to be had. */
VAS_INTERNAL bool stock_fill(struct table_stock *stock, unsigned n);

/* Lets go of all but n. */
VAS_INTERNAL void stock_trim(struct table_stock *stock, unsigned n);

/* From now on something may lie across the border of what is freed. False: no memory, so it may
 * not. */
VAS_INTERNAL bool stock_begin(struct table_stock *stock);

static inline bool stock_keep(struct table_stock *stock)
{
	return stock->keep > 0 || stock_begin(stock);
}

/* Adds `step` to the count of each (pagemap_recount). */
VAS_INTERNAL void stock_recount(const struct table_stock *stock, uint32_t step);

#endif
