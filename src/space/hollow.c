/* hollow.c - page tables that Linux keeps while nothing is in them.
 *
 * A tree of ranges keeps the notes: ranges of blocks.
 *
 * SPDX-License-Identifier: MIT */
#include "space/hollow.h"
#include "space/vma.h"

static uint64_t block_size(const struct vas *space)
{
	return format_span(space->system->format, 1);
}

/* Where no large pages are, nothing of this shows. */
static bool is_kept(const struct vas *space)
{
	return space->system->settings.thp && !space->system->port.pages;
}

static bool has_notes(const struct vas *space)
{
	return space->hollow && space->hollow->count > 0;
}

static bool is_noted(const struct vas *space, uint64_t block)
{
	struct range note;

	return has_notes(space) && range_tree_find(space->hollow, block, &note) &&
	       note.start <= block;
}

bool hollow_at(const struct vas *space, uint64_t block)
{
	return is_noted(space, block) ||
	       !pagemap_is_empty(&space->pages, block, block + block_size(space));
}

/* ---- Notes ---------------------------------------------------------------------------------- */

/* The tree that holds them. False: no memory. */
static bool begin_notes(struct vas *space)
{
	struct slab_cache *slab = space->tree.slab;

	if (!space->hollow)
		space->hollow = slab_alloc(slab, sizeof(*space->hollow));
	if (space->hollow)
		space->hollow->slab = slab;
	return space->hollow;
}

void hollow_end(struct vas *space)
{
	if (!space->hollow)
		return;
	range_tree_destroy(space->hollow);
	slab_free(&space->system->frames, space->hollow);
	space->hollow = NULL;
}

static void add_block(struct vas *space, uint64_t block)
{
	struct range note = {.start = block, .end = block + block_size(space)}, below;

	if (is_noted(space, block) || !begin_notes(space))
		return;
	if (range_tree_ending(space->hollow, block, &below)) {
		note.start = below.start;
		range_tree_replace(space->hollow, note.start, &note);
	} else if (range_tree_reserve(space->hollow, 1)) {
		range_tree_insert(space->hollow, &note);
	}
}

/* Each block that a byte of [start, end) lies in. */
static void add_blocks(struct vas *space, uint64_t start, uint64_t end)
{
	for (uint64_t block = align_down(start, block_size(space)); block < end;
	     block += block_size(space))
		add_block(space, block);
}

/* Of a note with a part in the middle taken out, the rest above goes too where there is no memory
 * for it. */
static void remove_blocks(struct vas *space, uint64_t start, uint64_t end)
{
	struct range note;

	while (has_notes(space) && start < end && range_tree_find(space->hollow, start, &note) &&
	       note.start < end) {
		struct range rest[2];
		unsigned n = 0;

		if (note.start < start)
			rest[n++] = (struct range){.start = note.start, .end = start};
		if (note.end > end && (n == 0 || range_tree_reserve(space->hollow, 1)))
			rest[n++] = (struct range){.start = end, .end = note.end};
		range_tree_splice(space->hollow, note.start, 1, rest, n);
	}
}

/* ---- Pages go ------------------------------------------------------------------------------- */

static void watch_block(struct vas *space, uint64_t block, struct hollow_ends *ends)
{
	if (!pagemap_is_empty(&space->pages, block, block + block_size(space)))
		ends->block[ends->n++] = block;
}

void hollow_watch(struct vas *space, uint64_t start, uint64_t end, struct hollow_ends *ends)
{
	uint64_t size = block_size(space);
	uint64_t low = align_down(start, size), high = align_down(end, size);

	space_assert_locked(space);
	ends->n = 0;
	if (!is_kept(space) || start >= end)
		return;
	if (low < start)
		watch_block(space, low, ends);
	if (high < end && (high != low || low == start))
		watch_block(space, high, ends);
}

/* A block in which something was: whether nothing is there now. Then it is noted, if a vma is. */
static bool note_if_empty(struct vas *space, uint64_t block)
{
	uint64_t end = block + block_size(space);

	if (!pagemap_is_empty(&space->pages, block, end))
		return false;
	if (space_has_vma(space, block, end))
		add_block(space, block);
	return true;
}

void hollow_note(struct vas *space, const struct hollow_ends *ends)
{
	space_assert_locked(space);
	for (unsigned i = 0; i < ends->n; i++)
		note_if_empty(space, ends->block[i]);
}

/* Finds the next small page or mark, or whatever there is. */
static bool is_large(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	uint64_t *found = ctx;

	(void)entry;
	*found = addr;
	return level > 0;
}

static bool stop_at_entry(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	uint64_t *found = ctx;

	(void)level;
	(void)entry;
	*found = addr;
	return false;
}

void hollow_keep(struct vas *space, uint64_t start, uint64_t end)
{
	uint64_t size = block_size(space), last = align_down(end, size), found;

	space_assert_locked(space);
	if (!is_kept(space))
		return;
	for (uint64_t addr = align_up(start, size);
	     addr < last && !pagemap_walk(&space->pages, addr, last, is_large, &found);
	     addr = align_down(found, size) + size)
		add_block(space, align_down(found, size));
}

void hollow_forget(struct vas *space, uint64_t start, uint64_t end)
{
	space_assert_locked(space);
	remove_blocks(space, align_up(start, block_size(space)),
	              align_down(end, block_size(space)));
}

/* ---- Vmas go -------------------------------------------------------------------------------- */

static void forget_unmapped(struct vas *space, uint64_t block)
{
	uint64_t end = block + block_size(space);

	if (is_noted(space, block) && !space_has_vma(space, block, end))
		remove_blocks(space, block, end);
}

void hollow_unmapped(struct vas *space, uint64_t start, uint64_t end)
{
	uint64_t size = block_size(space);

	space_assert_locked(space);
	if (!has_notes(space) || start >= end)
		return;
	hollow_forget(space, start, end);
	forget_unmapped(space, align_down(start, size));
	forget_unmapped(space, align_down(end - 1, size));
}

/* ---- Tables move ---------------------------------------------------------------------------- */

struct shift {
	struct vas *space;
	uint64_t from, to, end;
	bool stays; /* the source */
};

/* There is a table for the block: others are made for all that its part of the range goes to, even
 * if none of its pages lies there. */
static void shift_table(const struct shift *shift, uint64_t block)
{
	uint64_t start = max_u64(block, shift->from);
	uint64_t end = min_u64(block + block_size(shift->space), shift->end);

	add_blocks(shift->space, start - shift->from + shift->to, end - shift->from + shift->to);
	if (shift->stays)
		add_block(shift->space, block);
}

static void shift_notes(const struct shift *shift)
{
	struct vas *space = shift->space;
	uint64_t size = block_size(space), block;
	struct range note;

	for (uint64_t addr = shift->from;
	     has_notes(space) && addr < shift->end && range_tree_find(space->hollow, addr, &note) &&
	     note.start < shift->end;
	     addr = block + size) {
		block = align_down(max_u64(addr, note.start), size);
		shift_table(shift, block);
	}
}

/* Tables that move in parts, since what moves does not fit the borders of blocks. */
static void shift_tables(const struct shift *shift, uint64_t start, uint64_t end)
{
	struct vas *space = shift->space;
	uint64_t size = block_size(space), found;

	for (uint64_t addr = start;
	     addr < end && !pagemap_walk(&space->pages, addr, end, stop_at_entry, &found);
	     addr = align_down(found, size) + size)
		shift_table(shift, align_down(found, size));
}

void hollow_move(struct vas *space, uint64_t from, uint64_t to, uint64_t len, bool stays)
{
	struct shift shift = {space, from, to, from + len, stays};
	uint64_t size = block_size(space);

	space_assert_locked(space);
	if (!is_kept(space) || len == 0)
		return;
	shift_notes(&shift);
	if (!is_aligned(to - from, size)) {
		if (space->system->settings.thp_enabled != VAS_THP_NEVER)
			shift_tables(&shift, align_down(from, size), align_up(from + len, size));
	} else if (stays) { /* whole tables move */
		hollow_forget(space, from, from + len);
	}
}

/* If all has gone from a block, it was in the part that moved. */
void hollow_moved(struct vas *space, uint64_t from, uint64_t to, const struct hollow_ends *ends)
{
	bool same_parts = is_aligned(to - from, block_size(space));

	space_assert_locked(space);
	for (unsigned i = 0; i < ends->n; i++) {
		if (!note_if_empty(space, ends->block[i]) && same_parts)
			note_if_empty(space, ends->block[i] - from + to);
	}
}

void hollow_fork(struct vas *child, const struct vas *parent, uint64_t start, uint64_t end)
{
	struct range note;

	for (uint64_t addr = start;
	     parent->hollow && addr < end && range_tree_find(parent->hollow, addr, &note) &&
	     note.start < end;
	     addr = note.end)
		add_blocks(child, max_u64(addr, note.start), min_u64(note.end, end));
}
