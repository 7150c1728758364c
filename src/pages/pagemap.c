/* pagemap.c - the page map over whatever holds it: tables of the hardware, or software trees.
 *
 * A range is a series of pieces, each in one tree: on hardware always one.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetree.h"
#include "memory/slab.h"

/* The first piece of [addr, end). */
static bool next_piece(const struct pagemap *pm, uint64_t addr, uint64_t end, struct piece *piece)
{
	if (pm->software)
		return tree_piece(pm, addr, end, piece);
	piece->table = (struct pagetable *)(uintptr_t)&pm->table;
	piece->start = piece->key = addr;
	piece->end = piece->key_end = end;
	return addr < end;
}

bool pagemap_init(struct pagemap *pm, struct gather *gather, struct slab_cache *slab, bool software)
{
	*pm = (struct pagemap){
		.table = {.format = gather->format,
	                  .frames = slab->frames,
	                  .gather = gather,
	                  .zero = gather->zero,
	                  .stock = &pm->stock,
	                  .top = gather->format->levels - 1u},
		.software = software,
		.stock = {.frames = slab->frames, .payer = slab->payer},
		.records = {.slab = slab},
	};
	return software || pagetable_init(&pm->table);
}

void pagemap_set_upper(struct pagemap *pm, const uint64_t *words)
{
	if (!pm->software)
		pagetable_set_upper(&pm->table, words);
}

void pagemap_destroy(struct pagemap *pm)
{
	struct piece piece;

	for (uint64_t addr = 0; next_piece(pm, addr, ~(uint64_t)0, &piece); addr = piece.end)
		pagetable_destroy(piece.table);
	stock_trim(&pm->stock, 0);
	range_tree_destroy(&pm->records);
}

/* ---- One entry ------------------------------------------------------------------------------ */

struct entry pagemap_lookup(const struct pagemap *pm, uint64_t addr, unsigned *level)
{
	struct piece piece;

	if (!pm->software)
		return pagetable_lookup(&pm->table, addr, level);
	*level = 0;
	if (!tree_piece(pm, addr, addr + 1, &piece))
		return (struct entry){.kind = ENTRY_ABSENT};
	return pagetable_lookup(piece.table, addr + piece.table->shift, level);
}

bool pagemap_is_empty(const struct pagemap *pm, uint64_t start, uint64_t end)
{
	struct piece piece;

	if (!pm->software)
		return pagetable_is_empty(&pm->table, start, end);
	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end) {
		if (!pagetable_is_empty(piece.table, piece.key, piece.key_end))
			return false;
	}
	return true;
}

void pagemap_present(const struct pagemap *pm, uint64_t start, uint64_t end, uint8_t *present)
{
	unsigned shift = pm->table.format->page_shift;
	struct piece piece;

	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end)
		pagetable_present(piece.table, piece.key, piece.key_end,
		                  present + ((piece.start - start) >> shift));
}

struct spot pagemap_find_own(const struct pagemap *pm, uint64_t addr)
{
	const struct spot none = {.word = NULL};
	struct piece piece;
	struct spot spot;

	if (!next_piece(pm, addr, addr + 1, &piece))
		return none;
	spot = spot_find_own(piece.table, piece.key, 0);
	return spot.level == 0 ? spot : none;
}

bool pagemap_set_quick(struct pagemap *pm, struct spot spot, const struct entry *leaf)
{
	struct frame_pool *frames = pm->table.frames;
	struct frame *f = &frames->frame[spot.table];
	bool empty;

	spin_lock(frames->port, &f->lock, LOCK_TABLE);
	empty = *spot.word == 0;
	if (empty) {
		__atomic_store_n(spot.word, pm->table.format->encode(leaf, 0), __ATOMIC_RELEASE);
		f->live++;
	}
	spin_unlock(frames->port, &f->lock);
	return empty;
}

bool pagemap_set(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *entry)
{
	if (level > 0 && !stock_keep(&pm->stock))
		return false;
	pm->marked |= entry->kind == ENTRY_MARK;
	pm->large |= level > 0;
	if (pm->software)
		return tree_set(pm, addr, level, entry);
	return pagetable_set(&pm->table, addr, level, entry);
}

bool pagemap_collapse(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *leaf)
{
	struct piece piece;

	if (!stock_keep(&pm->stock) || (pm->software && !tree_align(pm, addr, level)))
		return false;
	if (!next_piece(pm, addr, addr + 1, &piece))
		return false;
	pm->large = true;
	pagetable_collapse(piece.table, addr + piece.table->shift, level, leaf);
	return true;
}

/* ---- Ranges --------------------------------------------------------------------------------- */

bool pagemap_split_at(struct pagemap *pm, uint64_t addr)
{
	struct piece piece;

	return !next_piece(pm, addr, addr + 1, &piece) ||
	       pagetable_split_at(piece.table, addr + piece.table->shift);
}

bool pagemap_is_split_at(const struct pagemap *pm, uint64_t addr)
{
	struct piece piece;

	return !next_piece(pm, addr, addr + 1, &piece) ||
	       pagetable_is_split_at(piece.table, addr + piece.table->shift);
}

bool pagemap_unshare(struct pagemap *pm, uint64_t start, uint64_t end)
{
	struct piece piece;

	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end) {
		if (!pagetable_unshare(piece.table, piece.key, piece.key_end))
			return false;
	}
	return true;
}

static void clear(struct pagemap *pm, uint64_t start, uint64_t end, enum marks marks)
{
	struct piece piece;

	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end) {
		pagetable_clear(piece.table, piece.key, piece.key_end, marks);
		if (pm->software)
			tree_drop(pm, &piece);
	}
}

void pagemap_clear(struct pagemap *pm, uint64_t start, uint64_t end)
{
	clear(pm, start, end, CLEAR_MARKS);
}

void pagemap_zap(struct pagemap *pm, uint64_t start, uint64_t end)
{
	clear(pm, start, end, pm->marked ? KEEP_MARKS : CLEAR_MARKS);
}

bool pagemap_prepare_marks(struct pagemap *pm, uint64_t start, uint64_t end)
{
	if (pm->software)
		return tree_prepare_marks(pm, start, end);
	return pagetable_prepare_marks(&pm->table, start, end);
}

void pagemap_give_up_marks(struct pagemap *pm, uint64_t start, uint64_t end)
{
	struct piece piece;

	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end) {
		pagetable_trim(piece.table, piece.key, piece.key_end);
		if (pm->software)
			tree_drop(pm, &piece);
	}
}

void pagemap_mark(struct pagemap *pm, uint64_t start, uint64_t end, const struct entry *mark)
{
	struct piece piece;

	pm->marked = true;
	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end)
		pagetable_mark(piece.table, piece.key, piece.key_end, mark);
}

void pagemap_protect(struct pagemap *pm, uint64_t start, uint64_t end, unsigned before,
                     unsigned rights)
{
	struct piece piece;

	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end)
		pagetable_protect(piece.table, piece.key, piece.key_end, rights);
	if (before & ~rights)
		gather_note(pm->table.gather, start, end, 0, GATHER_LEAVES);
}

bool pagemap_stock_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	if (pm->software)
		return tree_stock_move(pm, from, to, len);
	return pagetable_stock_move(&pm->table, from, to, len);
}

bool pagemap_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	if (pm->software)
		return tree_prepare_move(pm, from, to, len);
	return pagetable_prepare_move(&pm->table, &pm->table, from, to, len);
}

void pagemap_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	if (pm->software)
		tree_move(pm, from, to, len);
	else
		pagetable_move(&pm->table, &pm->table, from, to, len);
}

bool pagemap_share(struct pagemap *to, struct pagemap *from, uint64_t start, uint64_t end,
                   bool whole_tables)
{
	struct piece piece;
	bool ok = true;

	to->marked |= from->marked;
	to->large |= from->large;
	whole_tables &= !to->marked;
	for (uint64_t addr = start; ok && next_piece(from, addr, end, &piece); addr = piece.end) {
		if (to->software)
			ok = tree_share(to, &piece, whole_tables);
		else
			ok = pagetable_share(&to->table, piece.table, addr, end, whole_tables);
	}
	return ok;
}

/* ---- Looking -------------------------------------------------------------------------------- */

/* Tells a visitor the guest's addresses. */
struct shifted {
	pagemap_visit *visit;
	void *ctx;
	uint64_t shift;
};

static bool visit_shifted(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	const struct shifted *shifted = ctx;

	return shifted->visit(shifted->ctx, addr - shifted->shift, level, entry);
}

bool pagemap_walk(const struct pagemap *pm, uint64_t start, uint64_t end, pagemap_visit *visit,
                  void *ctx)
{
	struct piece piece;

	if (!pm->software)
		return pagetable_walk(&pm->table, start, end, visit, ctx);
	for (uint64_t addr = start; next_piece(pm, addr, end, &piece); addr = piece.end) {
		struct shifted shifted = {visit, ctx, piece.table->shift};

		if (!pagetable_walk(piece.table, piece.key, piece.key_end, visit_shifted, &shifted))
			return false;
	}
	return true;
}

unsigned pagemap_trace(const struct pagemap *pm, uint64_t addr, struct spot *spots)
{
	struct piece piece;

	if (!next_piece(pm, addr, addr + 1, &piece))
		return 0;
	return pagetable_trace(piece.table, piece.key, spots);
}

uint32_t pagemap_sharers(const struct pagemap *pm, uint64_t addr, uint64_t *end)
{
	uint64_t span = format_span(pm->table.format, 1);
	struct spot spots[VAS_LEVELS_MAX];
	struct piece piece;
	uint32_t sharers = 0;
	unsigned n;

	*end = addr + format_page_size(pm->table.format);
	if (!next_piece(pm, addr, addr + span, &piece) || piece.start > addr)
		return 0;
	n = pagetable_trace(piece.table, addr + piece.table->shift, spots);
	for (unsigned i = 0; i < n; i++)
		sharers += frame_refs(pm->table.frames, spots[i].table) - 1;
	*end = align_down(addr + piece.table->shift, span) + span - piece.table->shift;
	*end = min_u64(*end, piece.end);
	return sharers;
}

/* ---- Counting and checking ------------------------------------------------------------------ */

void pagemap_recount(const struct pagemap *pm, uint32_t step)
{
	struct piece piece;

	for (uint64_t addr = 0; next_piece(pm, addr, ~(uint64_t)0, &piece); addr = piece.end)
		pagetable_recount(piece.table, step);
	stock_recount(&pm->stock, step);
}

uint64_t pagemap_count_tables(const struct pagemap *pm)
{
	struct piece piece;
	uint64_t ntables = 0;

	for (uint64_t addr = 0; next_piece(pm, addr, ~(uint64_t)0, &piece); addr = piece.end)
		ntables += pagetable_count_tables(piece.table);
	return ntables;
}

const char *pagemap_check(const struct pagemap *pm)
{
	const char *broken = pm->software ? tree_check(pm) : NULL;
	struct piece piece;

	if (pm->stock.open || pm->stock.n > pm->stock.keep)
		return "a stock is closed, and holds no more than it keeps";

	for (uint64_t addr = 0; !broken && next_piece(pm, addr, ~(uint64_t)0, &piece);
	     addr = piece.end)
		broken = pagetable_check(piece.table);
	return broken;
}
