/* pagetree.c - pages in software trees, which moves do not touch.
 *
 * The tree of vmas keeps the records too: `pgoff` is the key, `flags` the level of the root, `anon`
 * the root.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetree.h"

/* ---- Records -------------------------------------------------------------------------------- */

struct record {
	uint64_t start, end;    /* the guest's addresses */
	uint64_t key;           /* of start, in the tree */
	struct pagetable table; /* its tree */
};

static void record_get(const struct pagemap *pm, const struct vma *vma, struct record *r)
{
	*r = (struct record){vma->start, vma->end, vma->pgoff, pm->table};
	r->table.top = (unsigned)vma->flags;
	r->table.root = (uint32_t)vma->anon;
	r->table.shift = r->key - r->start;
}

static struct vma record_words(const struct record *r)
{
	return (struct vma){
		.start = r->start,
		.end = r->end,
		.pgoff = r->key,
		.flags = r->table.top,
		.anon = r->table.root,
	};
}

static void record_put(struct pagemap *pm, const struct record *r)
{
	struct vma words = record_words(r);

	vma_tree_insert(&pm->records, &words);
}

static void record_replace(struct pagemap *pm, uint64_t start, const struct record *r)
{
	struct vma words = record_words(r);

	vma_tree_replace(&pm->records, start, &words);
}

/* The first record that ends above addr. */
static bool record_next(const struct pagemap *pm, uint64_t addr, struct record *r)
{
	struct vma words;

	if (!vma_tree_find(&pm->records, addr, &words))
		return false;
	record_get(pm, &words, r);
	return true;
}

/* The last record that starts at or below addr. */
static bool record_below(const struct pagemap *pm, uint64_t addr, struct record *r)
{
	struct vma words;

	if (!vma_tree_before(&pm->records, addr + 1, &words))
		return false;
	record_get(pm, &words, r);
	return true;
}

static bool record_is_empty(const struct record *r)
{
	return r->table.frames->frame[r->table.root].live == 0;
}

/* From addresses to keys; wraps around where the record has moved down. */
static uint64_t record_shift(const struct record *r)
{
	return r->key - r->start;
}

/* The last address of a tree of the most levels. */
static uint64_t last_key(const struct pagemap *pm)
{
	return format_span(pm->table.format, pm->table.format->levels) - 1;
}

/* How high a root above keys `first` to `last` must stand. */
static unsigned top_above(const struct pagemap *pm, uint64_t first, uint64_t last)
{
	unsigned top = 0;

	while (((first ^ last) >> format_shift(pm->table.format, top + 1)) != 0)
		top++;
	return top;
}

static unsigned max_top(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* A record for [start, end), where none is, with a root of level `top` at least. Room for it is
 * reserved. False: no memory. */
static bool record_make(struct pagemap *pm, uint64_t start, uint64_t end, uint64_t key,
                        unsigned top, struct record *r)
{
	*r = (struct record){start, end, key, pm->table};
	r->table.top = max_top(top, top_above(pm, key, key + (end - 1 - start)));
	r->table.shift = key - start;
	if (!pagetable_init(&r->table))
		return false;
	record_put(pm, r);
	return true;
}

/* Removes a record without anything in it. */
static void record_forget(struct pagemap *pm, struct record *r)
{
	vma_tree_splice(&pm->records, r->start, 1, NULL, 0);
	pagetable_destroy(&r->table);
}

/* Takes [start, end) out of a record that has nothing there but goes on at one side only. */
static void record_shrink(struct pagemap *pm, struct record r, uint64_t start, uint64_t end)
{
	uint64_t was = r.start;

	if (r.start < start) {
		r.end = min_u64(r.end, start);
	} else {
		r.key += end - r.start;
		r.start = end;
	}
	record_replace(pm, was, &r);
}

/* Whether the record can grow to [start, end) without leaving its tree's addresses. */
static bool record_can_grow(const struct pagemap *pm, const struct record *r, uint64_t start,
                            uint64_t end)
{
	return r->start - min_u64(start, r->start) <= r->key &&
	       r->key + (max_u64(end, r->end) - 1 - r->start) <= last_key(pm);
}

/* Grows it over free addresses, and to a root of level `top` at least. False: no memory. */
static bool record_grow(struct pagemap *pm, struct record *r, uint64_t start, uint64_t end,
                        unsigned top)
{
	uint64_t was = r->start, key = r->key;

	start = min_u64(start, r->start);
	end = max_u64(end, r->end);
	top = max_top(top, top_above(pm, key - (r->start - start), key + (end - 1 - r->start)));
	if (!pagetable_raise(&r->table, key, top)) {
		record_replace(pm, was, r); /* with a root that may have been raised in part */
		return false;
	}
	r->key -= r->start - start;
	r->start = start;
	r->end = end;
	record_replace(pm, was, r);
	return true;
}

/* Makes the tree of a record that holds something as low as can be; what of its addresses has no
 * place in it then is nobody's. */
static void record_lower(struct record *r)
{
	uint64_t low = pagetable_lower(&r->table, r->key), shift = record_shift(r);
	uint64_t high = low + format_span(r->table.format, r->table.top + 1);

	r->end = min_u64(r->end + shift, high) - shift;
	r->key = max_u64(r->key, low);
	r->start = r->key - shift;
}

/* ---- Making room ---------------------------------------------------------------------------- */

/* Divides a record at addr, inside it, into what lies below and above, of which one may be nothing.
 * Room for a record is reserved. False: no memory, nothing changed. */
static bool record_split(struct pagemap *pm, struct record *r, uint64_t addr)
{
	struct record above = *r;
	uint64_t was = r->start;

	above.key += addr - r->start;
	above.start = addr;
	if (!pagetable_split(&r->table, above.key, &above.table))
		return false;
	r->end = addr;
	if (record_is_empty(r)) {
		record_forget(pm, r);
	} else {
		record_lower(r);
		record_replace(pm, was, r);
	}
	if (above.table.root != FRAME_NONE) {
		record_lower(&above);
		record_put(pm, &above);
	}
	return true;
}

/* No record crosses addr any more. False: no memory. */
static bool border_make(struct pagemap *pm, uint64_t addr)
{
	struct record r;

	if (!record_next(pm, addr, &r) || r.start >= addr)
		return true;
	return vma_tree_reserve(&pm->records, 1) && record_split(pm, &r, addr);
}

/* No record says anything of [start, end) any more, where nothing is. False: no memory. */
static bool room_make(struct pagemap *pm, uint64_t start, uint64_t end)
{
	struct record r;

	while (record_next(pm, start, &r) && r.start < end) {
		if (r.start < start && r.end > end) {
			if (!border_make(pm, start))
				return false;
			continue;
		}
		vas_assert(r.start < start || r.end > end);
		record_shrink(pm, r, start, end);
	}
	return true;
}

/* A record that can take pages of this level in [start, end), where nothing is: one nearby, or a
 * new one. False: no memory. */
static bool record_cover(struct pagemap *pm, uint64_t start, uint64_t end, unsigned level,
                         struct record *r)
{
	uint64_t span = format_span(pm->table.format, level);
	struct record above;
	bool lower = record_below(pm, start, r) && is_aligned(record_shift(r), span);
	bool upper = false;

	if (lower && r->end >= end && r->table.top >= level)
		return true;
	upper = record_next(pm, end - 1, &above) && above.start > start;
	if (lower && record_can_grow(pm, r, start, end)) {
		if (upper && above.start < end)
			record_shrink(pm, above, start, end);
		return record_grow(pm, r, start, end, level);
	}
	if (upper && is_aligned(record_shift(&above), span) &&
	    record_can_grow(pm, &above, start, end)) {
		if (record_below(pm, start, r) && r->end > start)
			record_shrink(pm, *r, start, end);
		*r = above;
		return record_grow(pm, r, start, end, level);
	}
	return room_make(pm, start, end) && vma_tree_reserve(&pm->records, 1) &&
	       record_make(pm, start, end, start, level, r);
}

/* ---- For the page map ----------------------------------------------------------------------- */

bool tree_piece(const struct pagemap *pm, uint64_t addr, uint64_t end, struct piece *piece)
{
	struct record r;

	if (addr >= end || !record_next(pm, addr, &r) || r.start >= end)
		return false;
	*piece = (struct piece){
		.table = r.table,
		.start = max_u64(addr, r.start),
		.end = min_u64(end, r.end),
		.first = r.start >= addr,
		.last = r.end <= end,
	};
	return true;
}

void tree_drop(struct pagemap *pm, const struct piece *piece)
{
	struct record r;

	if (pm->table.frames->frame[piece->table.root].live > 0 ||
	    !record_below(pm, piece->start, &r))
		return;
	record_forget(pm, &r);
}

bool tree_set(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *entry)
{
	uint64_t span = format_span(pm->table.format, level), start = align_down(addr, span);
	struct record r;

	if (!record_cover(pm, start, start + span, level, &r))
		return false;
	if (pagetable_set(&r.table, addr + record_shift(&r), level, entry))
		return true;
	if (record_is_empty(&r))
		record_forget(pm, &r);
	return false;
}

bool tree_share(struct pagemap *to, struct piece *piece)
{
	uint64_t from = piece->start + piece->table.shift, end = piece->end + piece->table.shift;
	struct record r, above;
	bool near = record_below(to, piece->start, &r) && record_shift(&r) == piece->table.shift;
	bool ok;

	if (near && r.end < piece->end)
		near = !record_next(to, max_u64(piece->start, r.end), &above) ||
		       above.start >= piece->end;
	if (near)
		ok = record_grow(to, &r, piece->start, piece->end, piece->table.top);
	else
		ok = room_make(to, piece->start, piece->end) && vma_tree_reserve(&to->records, 1) &&
		     record_make(to, piece->start, piece->end, from, piece->table.top, &r);
	if (!ok)
		return false;
	/* Tables go whole where what is not wanted of them is nobody's. */
	if (piece->first)
		from = block_start(&piece->table, from);
	if (piece->last)
		end = block_end(&piece->table, end - 1);
	ok = pagetable_share(&r.table, &piece->table, from, end, !to->marked);
	if (record_is_empty(&r))
		record_forget(to, &r);
	return ok;
}

/* ---- Moving --------------------------------------------------------------------------------- */

/* The pages of [from, from + len), which lie in any number of trees, are to become those of
 * `target` from key `to` on: all of it is prepared, or done. */
static bool entries_prepare(struct pagemap *pm, uint64_t from, uint64_t len,
                            struct pagetable *target, uint64_t to)
{
	struct piece piece;

	for (uint64_t addr = from; tree_piece(pm, addr, from + len, &piece); addr = piece.end) {
		if (!pagetable_prepare_move(&piece.table, target, piece.start + piece.table.shift,
		                            piece.start - from + to, piece.end - piece.start)) {
			pagetable_clear(target, to, to + len, CLEAR_MARKS);
			return false;
		}
	}
	return true;
}

static void entries_move(struct pagemap *pm, uint64_t from, uint64_t len, struct pagetable *target,
                         uint64_t to)
{
	struct piece piece;

	for (uint64_t addr = from; tree_piece(pm, addr, from + len, &piece); addr = piece.end) {
		pagetable_move(&piece.table, target, piece.start + piece.table.shift,
		               piece.start - from + to, piece.end - piece.start);
		tree_drop(pm, &piece);
	}
}

/* Less than a leaf table goes entry by entry. */
static bool is_small(const struct pagemap *pm, uint64_t len)
{
	return len < format_span(pm->table.format, 1);
}

static bool small_prepare(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct record r;
	uint64_t key;

	if (pagemap_is_empty(pm, from, from + len))
		return true;
	if (!record_cover(pm, to, to + len, 0, &r))
		return false;
	/* The record may have grown into tables that fork shares. */
	key = to + record_shift(&r);
	if (pagetable_split_at(&r.table, key) && pagetable_split_at(&r.table, key + len) &&
	    entries_prepare(pm, from, len, &r.table, key))
		return true;
	if (record_is_empty(&r))
		record_forget(pm, &r);
	return false;
}

static void small_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct record r;

	if (!pagemap_is_empty(pm, from, from + len) && record_below(pm, to, &r))
		entries_move(pm, from, len, &r.table, to + record_shift(&r));
}

bool tree_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct piece piece;
	unsigned nrecords = 0;

	if (is_small(pm, len))
		return small_prepare(pm, from, to, len);
	for (uint64_t addr = from; pm->large && tree_piece(pm, addr, from + len, &piece);
	     addr = piece.end) {
		if (!pagetable_split_leaves(&piece.table, piece.start + piece.table.shift,
		                            piece.end + piece.table.shift, to - from))
			return false;
	}
	if (!border_make(pm, from) || !border_make(pm, from + len) || !room_make(pm, to, to + len))
		return false;
	for (uint64_t addr = from; tree_piece(pm, addr, from + len, &piece); addr = piece.end)
		nrecords++;
	return vma_tree_reserve(&pm->records, nrecords);
}

void tree_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct record r;

	if (is_small(pm, len)) {
		small_move(pm, from, to, len);
		return;
	}
	while (record_next(pm, from, &r) && r.start < from + len) {
		vma_tree_splice(&pm->records, r.start, 1, NULL, 0);
		r.start += to - from;
		r.end += to - from;
		record_put(pm, &r);
	}
	gather_note(pm->table.gather, from, from + len, 0, GATHER_LEAVES);
}

/* The pages of a large page's place get a tree of their own that is aligned as they are. */
bool tree_align(struct pagemap *pm, uint64_t addr, unsigned level)
{
	uint64_t span = format_span(pm->table.format, level);
	struct record r, own;

	if (record_below(pm, addr, &r) && r.end >= addr + span && r.table.top >= level &&
	    is_aligned(record_shift(&r), span))
		return true;
	if (!border_make(pm, addr) || !border_make(pm, addr + span) ||
	    !vma_tree_reserve(&pm->records, 1))
		return false;
	own = (struct record){addr, addr + span, addr, pm->table};
	own.table.top = level;
	if (!pagetable_init(&own.table))
		return false;
	if (!entries_prepare(pm, addr, span, &own.table, addr)) {
		pagetable_destroy(&own.table);
		return false;
	}
	entries_move(pm, addr, span, &own.table, addr);
	record_put(pm, &own);
	return true;
}

/* ---- Checking ------------------------------------------------------------------------------- */

static bool leaf_is_aligned(void *ctx, uint64_t key, unsigned level, const struct entry *entry)
{
	const struct record *r = ctx;

	(void)entry;
	return is_aligned(key - record_shift(r), format_span(r->table.format, level));
}

static const char *record_check(struct record *r)
{
	uint64_t low = block_start(&r->table, r->key), high = block_end(&r->table, r->key);
	uint64_t end = r->key + (r->end - r->start);

	if (r->table.top >= r->table.format->levels || end > high)
		return "all that a record says lies below its root";
	if (record_is_empty(r))
		return "no tree of a record is empty";
	if (!pagetable_is_empty(&r->table, low, r->key) ||
	    !pagetable_is_empty(&r->table, end, high))
		return "a tree holds nothing but what its record says";
	if (!pagetable_walk(&r->table, low, high, leaf_is_aligned, r))
		return "a large leaf is aligned by its address as by its place in the tree";
	return NULL;
}

const char *tree_check(const struct pagemap *pm)
{
	const char *broken = vma_tree_check(&pm->records);
	struct record r;

	for (uint64_t addr = 0; !broken && record_next(pm, addr, &r); addr = r.end)
		broken = record_check(&r);
	return broken;
}
