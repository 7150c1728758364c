/* stock.c - tables in stock.
 *
 * Owns the list, linked through the frames themselves, so that it takes no memory of its own. When
 * it may be drawn on is its users' to say (stock.h); what a table will be for is unknown here.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/stock.h"

static uint32_t take_off(struct table_stock *stock)
{
	uint32_t table = stock->first;

	stock->first = stock->frames->frame[table].next;
	stock->n--;
	return table;
}

uint32_t stock_take(struct table_stock *stock)
{
	return stock->n > 0 ? take_off(stock) : frame_alloc(stock->frames, stock->payer, 0);
}

bool stock_fill(struct table_stock *stock, unsigned n)
{
	while (stock->n < n) {
		uint32_t table = frame_alloc(stock->frames, stock->payer, 0);

		if (table == FRAME_NONE)
			return false;
		stock->frames->frame[table].next = stock->first;
		stock->first = table;
		stock->n++;
	}
	return true;
}

void stock_trim(struct table_stock *stock, unsigned n)
{
	while (stock->n > n) {
		uint32_t table = take_off(stock);

		if (frame_put(stock->frames, table))
			frame_free(stock->frames, table);
	}
}

bool stock_begin(struct table_stock *stock)
{
	if (!stock_fill(stock, STOCK_TABLES)) {
		stock_trim(stock, 0);
		return false;
	}
	stock->keep = STOCK_TABLES;
	return true;
}

void stock_recount(const struct table_stock *stock, uint32_t step)
{
	uint32_t table = stock->first;

	for (unsigned i = 0; i < stock->n; i++) {
		stock->frames->frame[table].refs += step;
		table = stock->frames->frame[table].next;
	}
}
