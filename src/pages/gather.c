/* gather.c - what was noted is flushed, what was handed over is released: in this order.
 *
 * Owns what waits between the two, and keeps the order that gather.h gives its reasons for. Whether
 * a word ought to have changed is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/gather.h"
#include "pages/tlb.h"

static void forget_notes(struct gather *gather)
{
	gather->start = gather->soft_start = ~(uint64_t)0;
	gather->end = gather->soft_end = 0;
	gather->level = VAS_LEVELS_MAX;
	gather->what = GATHER_GIVEN;
}

static void waste_begin(struct waste *waste)
{
	waste->some = false;
	waste->nruns = 0;
	waste->pages = FRAME_NONE;
	for (unsigned level = 0; level < VAS_LEVELS_MAX; level++)
		waste->tables[level] = FRAME_NONE;
}

void gather_init(struct gather *gather, struct vas *space, const struct vas_port *port,
                 const struct vas_format *format, struct frame_pool *frames, uint32_t zero)
{
	memset(gather, 0, sizeof(*gather));
	gather->space = space;
	gather->port = port;
	gather->format = format;
	gather->frames = frames;
	gather->zero = zero;
	waste_begin(&gather->waste);
	forget_notes(gather);
}

/* ---- Noting --------------------------------------------------------------------------------- */

void gather_note(struct gather *gather, uint64_t start, uint64_t end, unsigned level, unsigned what)
{
	gather->start = min_u64(gather->start, start);
	gather->end = max_u64(gather->end, end);
	if (what & GATHER_SOFT) {
		gather->soft_start = min_u64(gather->soft_start, start);
		gather->soft_end = max_u64(gather->soft_end, end);
	}
	gather->level = level < gather->level ? level : gather->level;
	gather->what |= what;
}

static void link_in(struct gather *gather, uint32_t *list, uint32_t frame)
{
	gather->frames->frame[frame].next = *list;
	*list = frame;
	gather->waste.some = true;
}

static void add_run(struct gather *gather, uint32_t frame, uint32_t n)
{
	struct waste *waste = &gather->waste;
	struct gather_run *last = &waste->run[waste->nruns];

	if (waste->nruns > 0 && !(n & GATHER_TABLE) && !(last[-1].n & GATHER_TABLE) &&
	    last[-1].frame + last[-1].n == frame) {
		last[-1].n += n;
		return;
	}
	*last = (struct gather_run){frame, n};
	waste->some = true;
	if (++waste->nruns == GATHER_RUNS)
		gather_close(gather);
}

void gather_put(struct gather *gather, uint32_t frame)
{
	if (frame == gather->zero)
		return;
	if (frame_refs(gather->frames, frame) == 1)
		link_in(gather, &gather->waste.pages, frame);
	else
		add_run(gather, frame, 1);
}

void gather_large(struct gather *gather, uint32_t frame, uint32_t nframes)
{
	add_run(gather, frame, nframes);
}

void gather_table(struct gather *gather, uint32_t table, unsigned level)
{
	if (frame_refs(gather->frames, table) == 1)
		link_in(gather, &gather->waste.tables[level], table);
	else
		add_run(gather, table, GATHER_TABLE | level);
}

/* ---- Flushing ------------------------------------------------------------------------------- */

void gather_flush(struct gather *gather)
{
	const struct vas_port *port = gather->port;

	if (gather->start >= gather->end)
		return;
	if (gather->soft_start < gather->soft_end)
		tlb_invalidate(gather->tlbs, port, gather->soft_start, gather->soft_end);
	if (port->invalidate) {
		const unsigned lowest = gather->level < VAS_LEVELS_MAX ? gather->level : 0;
		const struct vas_invalidation stale = {
			.start = gather->start,
			.end = gather->end,
			.leaf_len = format_span(gather->format, lowest),
			.taken = gather->what & GATHER_TAKEN,
			.tables = gather->what & GATHER_TABLES,
			.leaving = gather->what & GATHER_SPACE,
		};

		port->invalidate(port->ctx, gather->space, &stale);
	}
	forget_notes(gather);
}

/* ---- Releasing ------------------------------------------------------------------------------ */

static void drop_page(const struct gather *gather, uint32_t frame)
{
	if (frame != gather->zero && frame_put(gather->frames, frame))
		frame_free(gather->frames, frame);
}

static void drop_pages(const struct gather *gather, uint32_t frame, uint32_t n)
{
	if (!frame_is_zeros(gather->frames, frame))
		frame_put_row(gather->frames, frame, n);
}

static void free_table(const struct gather *gather, uint32_t table, unsigned level);

/* Drops a reference on a table; mostly others have it too, after a fork. */
static inline void drop_table(const struct gather *gather, uint32_t table, unsigned level)
{
	if (frame_put(gather->frames, table))
		free_table(gather, table, level);
}

/* With the last reference on a table go those that its words hold. */
static void free_table(const struct gather *gather, uint32_t table, unsigned level)
{
	const uint64_t *word = frame_host(gather->frames, table);

	for (unsigned live = gather->frames->frame[table].live; live > 0; word++) {
		uint32_t frame;

		if (*word == 0)
			continue;
		live--;
		if (!word_has_frame(gather->format, *word))
			continue;
		frame = frame_of_phys(gather->frames, word_phys(gather->format, *word));
		if (level == 0)
			drop_page(gather, frame);
		else if (word_is_table(gather->format, *word))
			drop_table(gather, frame, level - 1);
		else
			drop_pages(gather, frame, format_frames(gather->format, level));
	}
	frame_free(gather->frames, table);
}

/* Takes the first off a list. */
static uint32_t link_out(const struct gather *gather, uint32_t *list)
{
	uint32_t frame = *list;

	if (frame != FRAME_NONE)
		*list = gather->frames->frame[frame].next;
	return frame;
}

void waste_release(const struct gather *gather, struct waste *waste)
{
	uint32_t frame;

	while ((frame = link_out(gather, &waste->pages)) != FRAME_NONE)
		drop_page(gather, frame);
	for (unsigned level = 0; level < VAS_LEVELS_MAX; level++) {
		while ((frame = link_out(gather, &waste->tables[level])) != FRAME_NONE)
			drop_table(gather, frame, level);
	}
	for (unsigned i = 0; i < waste->nruns; i++) {
		const struct gather_run *run = &waste->run[i];

		if (run->n & GATHER_TABLE)
			drop_table(gather, run->frame, run->n & ~GATHER_TABLE);
		else
			drop_pages(gather, run->frame, run->n);
	}
	waste_begin(waste);
}

void gather_take(struct gather *gather, struct waste *waste)
{
	const struct waste *from = &gather->waste;

	gather_flush(gather);
	waste_begin(waste);
	if (!from->some)
		return;
	waste->some = true;
	waste->pages = from->pages;
	memcpy(waste->tables, from->tables, sizeof(waste->tables));
	waste->nruns = from->nruns;
	memcpy(waste->run, from->run, from->nruns * sizeof(waste->run[0]));
	waste_begin(&gather->waste);
}

void gather_close(struct gather *gather)
{
	gather_flush(gather);
	if (gather->waste.some)
		waste_release(gather, &gather->waste);
}
