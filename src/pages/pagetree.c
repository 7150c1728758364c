/* pagetree.c - pages in software trees, which moves do not touch.
 *
 * Owns the records and what becomes of them as pages come, go and move; what is in a tree is
 * pagetable.c's. Vmas it does not know: pieces of a range are what it makes of its own records.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetree.h"

/* ---- Records -------------------------------------------------------------------------------- */

/* A record as the tree of ranges keeps it, in the words of a range. */
struct kept {
	union {
		struct range range;
		struct {
			uint64_t start, end; /* the guest's addresses */
			uint64_t key;        /* of start, in the tree */
			uint64_t root, top;  /* of the tree: a frame, and its level */
		};
	};
};

_Static_assert(sizeof(struct kept) == sizeof(struct range), "a record fits in a range's words");

/* A record to work with. */
struct record {
	uint64_t start, end;    /* the guest's addresses */
	uint64_t key;           /* of start, in the tree */
	struct pagetable table; /* its tree */
};

static void unpack(const struct pagemap *pm, const struct kept *kept, struct record *r)
{
	*r = (struct record){kept->start, kept->end, kept->key, pm->table};
	r->table.top = (unsigned)kept->top;
	r->table.root = (uint32_t)kept->root;
	r->table.shift = r->key - r->start;
}

static struct kept pack(const struct record *r)
{
	struct kept kept = {.range = {.start = r->start, .end = r->end}};

	kept.key = r->key;
	kept.root = r->table.root;
	kept.top = r->table.top;
	return kept;
}

static void add_record(struct pagemap *pm, const struct record *r)
{
	struct kept kept = pack(r);

	range_tree_insert(&pm->records, &kept.range);
}

static void replace_record(struct pagemap *pm, uint64_t start, const struct record *r)
{
	struct kept kept = pack(r);

	range_tree_replace(&pm->records, start, &kept.range);
}

/* The first record that ends above addr. */
static bool find_record(const struct pagemap *pm, uint64_t addr, struct record *r)
{
	struct kept kept;

	if (!range_tree_find(&pm->records, addr, &kept.range))
		return false;
	unpack(pm, &kept, r);
	return true;
}

/* The last record that starts at or below addr. */
static bool find_record_below(const struct pagemap *pm, uint64_t addr, struct record *r)
{
	struct kept kept;

	if (!range_tree_before(&pm->records, addr + 1, &kept.range))
		return false;
	unpack(pm, &kept, r);
	return true;
}

static bool record_is_empty(const struct record *r)
{
	return r->table.frames->frame[r->table.root].live == 0;
}

/* From addresses to keys; wraps around where the record has moved down. */
static uint64_t shift_of(const struct record *r)
{
	return r->key - r->start;
}

/* The last address of a tree of the most levels. */
static uint64_t last_key(const struct pagemap *pm)
{
	return format_span(pm->table.format, pm->table.format->levels) - 1;
}

/* How high a root above keys `first` to `last` must stand. */
static unsigned top_over(const struct pagemap *pm, uint64_t first, uint64_t last)
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
static bool make_record(struct pagemap *pm, uint64_t start, uint64_t end, uint64_t key,
                        unsigned top, struct record *r)
{
	*r = (struct record){start, end, key, pm->table};
	r->table.top = max_top(top, top_over(pm, key, key + (end - 1 - start)));
	r->table.shift = key - start;
	if (!pagetable_init(&r->table))
		return false;
	add_record(pm, r);
	return true;
}

/* Removes a record without anything in it. */
static void forget_record(struct pagemap *pm, struct record *r)
{
	range_tree_splice(&pm->records, r->start, 1, NULL, 0);
	pagetable_destroy(&r->table);
}

/* Takes [start, end) out of a record that has nothing there but goes on at one side only. */
static void shrink_record(struct pagemap *pm, struct record r, uint64_t start, uint64_t end)
{
	uint64_t was = r.start;

	if (r.start < start) {
		r.end = min_u64(r.end, start);
	} else {
		r.key += end - r.start;
		r.start = end;
	}
	replace_record(pm, was, &r);
}

/* Whether the record can grow to [start, end) without leaving its tree's addresses. */
static bool record_can_grow(const struct pagemap *pm, const struct record *r, uint64_t start,
                            uint64_t end)
{
	return r->start - min_u64(start, r->start) <= r->key &&
	       r->key + (max_u64(end, r->end) - 1 - r->start) <= last_key(pm);
}

/* Grows it over free addresses, and to a root of level `top` at least. False: no memory. */
static bool grow_record(struct pagemap *pm, struct record *r, uint64_t start, uint64_t end,
                        unsigned top)
{
	uint64_t was = r->start, key = r->key;

	start = min_u64(start, r->start);
	end = max_u64(end, r->end);
	top = max_top(top, top_over(pm, key - (r->start - start), key + (end - 1 - r->start)));
	if (!pagetable_raise(&r->table, key, top)) {
		replace_record(pm, was, r); /* with a root that may have been raised in part */
		return false;
	}
	r->key -= r->start - start;
	r->start = start;
	r->end = end;
	replace_record(pm, was, r);
	return true;
}

/* Makes the tree of a record that holds something as low as can be; what of its addresses has no
 * place in it then is nobody's. */
static void lower_record(struct record *r)
{
	uint64_t low = pagetable_lower(&r->table, r->key), shift = shift_of(r);
	uint64_t high = low + format_span(r->table.format, r->table.top + 1);

	r->end = min_u64(r->end + shift, high) - shift;
	r->key = max_u64(r->key, low);
	r->start = r->key - shift;
}

/* ---- Making room ---------------------------------------------------------------------------- */

/* Divides a record at addr, inside it, into what lies below and above, of which one may be nothing.
 * Room for a record is reserved. False: no memory, nothing changed. */
static bool split_record(struct pagemap *pm, struct record *r, uint64_t addr)
{
	struct record above = *r;
	uint64_t was = r->start;

	above.key += addr - r->start;
	above.start = addr;
	if (!pagetable_split(&r->table, above.key, &above.table))
		return false;
	r->end = addr;
	if (record_is_empty(r)) {
		forget_record(pm, r);
	} else {
		lower_record(r);
		replace_record(pm, was, r);
	}
	if (above.table.root != FRAME_NONE) {
		lower_record(&above);
		add_record(pm, &above);
	}
	return true;
}

/* No record crosses addr any more. False: no memory. */
static bool make_border(struct pagemap *pm, uint64_t addr)
{
	struct record r;

	if (!find_record(pm, addr, &r) || r.start >= addr)
		return true;
	return range_tree_reserve(&pm->records, 1) && split_record(pm, &r, addr);
}

/* No record says anything of [start, end) any more, where nothing is. False: no memory. */
static bool make_room_for_record(struct pagemap *pm, uint64_t start, uint64_t end)
{
	struct record r;

	while (find_record(pm, start, &r) && r.start < end) {
		if (r.start < start && r.end > end) {
			if (!make_border(pm, start))
				return false;
			continue;
		}
		vas_assert(r.start < start || r.end > end);
		shrink_record(pm, r, start, end);
	}
	return true;
}

/* A record that can take pages of this level in [start, end), where nothing is: one nearby, or a
 * new one. False: no memory. */
static bool cover(struct pagemap *pm, uint64_t start, uint64_t end, unsigned level,
                  struct record *r)
{
	uint64_t span = format_span(pm->table.format, level);
	struct record above;
	bool lower = find_record_below(pm, start, r) && is_aligned(shift_of(r), span);
	bool upper = false;

	if (lower && r->end >= end && r->table.top >= level)
		return true;
	upper = find_record(pm, end - 1, &above) && above.start > start;
	if (lower && record_can_grow(pm, r, start, end)) {
		if (upper && above.start < end)
			shrink_record(pm, above, start, end);
		return grow_record(pm, r, start, end, level);
	}
	if (upper && is_aligned(shift_of(&above), span) &&
	    record_can_grow(pm, &above, start, end)) {
		if (find_record_below(pm, start, r) && r->end > start)
			shrink_record(pm, *r, start, end);
		*r = above;
		return grow_record(pm, r, start, end, level);
	}
	return make_room_for_record(pm, start, end) && range_tree_reserve(&pm->records, 1) &&
	       make_record(pm, start, end, start, level, r);
}

/* ---- For the page map ----------------------------------------------------------------------- */

bool tree_piece(const struct pagemap *pm, uint64_t addr, uint64_t end, struct piece *piece)
{
	struct record r;

	if (addr >= end || !find_record(pm, addr, &r) || r.start >= end)
		return false;
	*piece = (struct piece){
		.table = &piece->of_record,
		.of_record = r.table,
		.start = max_u64(addr, r.start),
		.end = min_u64(end, r.end),
		.key = max_u64(addr, r.start) + r.table.shift,
		.key_end = min_u64(end, r.end) + r.table.shift,
		.first = r.start >= addr,
		.last = r.end <= end,
	};
	return true;
}

void tree_drop(struct pagemap *pm, const struct piece *piece)
{
	struct record r;

	if (pm->table.frames->frame[piece->table->root].live > 0 ||
	    !find_record_below(pm, piece->start, &r))
		return;
	forget_record(pm, &r);
}

bool tree_set(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *entry)
{
	uint64_t span = format_span(pm->table.format, level), start = align_down(addr, span);
	struct record r;

	if (!cover(pm, start, start + span, level, &r))
		return false;
	if (pagetable_set(&r.table, addr + shift_of(&r), level, entry))
		return true;
	if (record_is_empty(&r))
		forget_record(pm, &r);
	return false;
}

bool tree_prepare_marks(struct pagemap *pm, uint64_t start, uint64_t end)
{
	uint64_t addr = start;

	while (addr < end) {
		struct piece piece = {.start = end};
		struct record r;
		bool ok;

		if (!tree_piece(pm, addr, end, &piece) || piece.start > addr) {
			ok = cover(pm, addr, piece.start, 0, &r);
		} else {
			ok = pagetable_prepare_marks(piece.table, piece.key, piece.key_end);
			addr = piece.end;
		}
		if (!ok)
			return false;
	}
	return true;
}

bool tree_share(struct pagemap *to, struct piece *piece, bool whole_tables)
{
	uint64_t from = piece->key, end = piece->key_end;
	struct record r, above;
	bool near = find_record_below(to, piece->start, &r) && shift_of(&r) == piece->table->shift;
	bool ok;

	if (near && r.end < piece->end)
		near = !find_record(to, max_u64(piece->start, r.end), &above) ||
		       above.start >= piece->end;
	if (near)
		ok = grow_record(to, &r, piece->start, piece->end, piece->table->top);
	else
		ok = make_room_for_record(to, piece->start, piece->end) &&
		     range_tree_reserve(&to->records, 1) &&
		     make_record(to, piece->start, piece->end, from, piece->table->top, &r);
	if (!ok)
		return false;
	/* Tables go whole where what is not wanted of them is nobody's. */
	if (piece->first)
		from = block_start(piece->table, from);
	if (piece->last)
		end = block_end(piece->table, end - 1);
	ok = pagetable_share(&r.table, piece->table, from, end, whole_tables);
	if (record_is_empty(&r))
		forget_record(to, &r);
	return ok;
}

/* ---- Moving --------------------------------------------------------------------------------- */

/* The pages of [from, from + len), which lie in any number of trees, are to become those of
 * `target` from key `to` on: all of it is prepared, or done. */
static bool prepare_entries(struct pagemap *pm, uint64_t from, uint64_t len,
                            struct pagetable *target, uint64_t to)
{
	struct piece piece;

	for (uint64_t addr = from; tree_piece(pm, addr, from + len, &piece); addr = piece.end) {
		if (!pagetable_prepare_move(piece.table, target, piece.key, piece.start - from + to,
		                            piece.end - piece.start)) {
			pagetable_clear(target, to, to + len, CLEAR_MARKS);
			return false;
		}
	}
	return true;
}

static void move_entries(struct pagemap *pm, uint64_t from, uint64_t len, struct pagetable *target,
                         uint64_t to)
{
	struct piece piece;

	for (uint64_t addr = from; tree_piece(pm, addr, from + len, &piece); addr = piece.end) {
		pagetable_move(piece.table, target, piece.key, piece.start - from + to,
		               piece.end - piece.start);
		tree_drop(pm, &piece);
	}
}

/* Less than a leaf table goes entry by entry. */
static bool is_small(const struct pagemap *pm, uint64_t len)
{
	return len < format_span(pm->table.format, 1);
}

static bool prepare_small(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct record r;
	uint64_t key;

	if (pagemap_is_empty(pm, from, from + len))
		return true;
	if (!cover(pm, to, to + len, 0, &r))
		return false;
	/* The record may have grown into tables that fork shares. */
	key = to + shift_of(&r);
	if (pagetable_split_at(&r.table, key) && pagetable_split_at(&r.table, key + len) &&
	    prepare_entries(pm, from, len, &r.table, key))
		return true;
	if (record_is_empty(&r))
		forget_record(pm, &r);
	return false;
}

static void move_small(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct record r;

	if (!pagemap_is_empty(pm, from, from + len) && find_record_below(pm, to, &r))
		move_entries(pm, from, len, &r.table, to + shift_of(&r));
}

/* What is to move can do so; and how many records that is. False: no memory. */
static bool prepare_source(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len,
                           unsigned *nrecords)
{
	struct piece piece;

	for (uint64_t addr = from; pm->large && tree_piece(pm, addr, from + len, &piece);
	     addr = piece.end) {
		if (!pagetable_split_leaves(piece.table, piece.key, piece.key_end, to - from))
			return false;
	}
	if (!make_border(pm, from) || !make_border(pm, from + len))
		return false;
	*nrecords = 0;
	for (uint64_t addr = from; tree_piece(pm, addr, from + len, &piece); addr = piece.end)
		++*nrecords;
	return true;
}

bool tree_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	unsigned nrecords;

	if (is_small(pm, len))
		return prepare_small(pm, from, to, len);
	return prepare_source(pm, from, to, len, &nrecords) &&
	       make_room_for_record(pm, to, to + len) && range_tree_reserve(&pm->records, nrecords);
}

/* The most that the target of a small move takes: a record is split, another grows to the highest
 * root, is cut twice, and gets two tables of each level. */
#define MOVE_TABLES (4u * VAS_LEVELS_MAX + 4u)

bool tree_stock_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct piece piece;
	unsigned nrecords = 1;

	if (!is_small(pm, len) && !prepare_source(pm, from, to, len, &nrecords))
		return false;
	for (uint64_t addr = from; is_small(pm, len) && tree_piece(pm, addr, from + len, &piece);
	     addr = piece.end) {
		if (!pagetable_split_leaves(piece.table, piece.key, piece.key_end, to - from))
			return false;
	}
	/* Twice as many: the tree of records may become higher meanwhile. */
	return range_tree_reserve(&pm->records, 2 * (nrecords + 2)) &&
	       stock_fill(&pm->stock, pm->stock.keep + MOVE_TABLES);
}

void tree_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	struct record r;

	if (is_small(pm, len)) {
		move_small(pm, from, to, len);
		return;
	}
	while (find_record(pm, from, &r) && r.start < from + len) {
		range_tree_splice(&pm->records, r.start, 1, NULL, 0);
		r.start += to - from;
		r.end += to - from;
		add_record(pm, &r);
	}
	gather_note(pm->table.gather, from, from + len, 0, GATHER_LEAVES);
}

/* The pages of a large page's place get a tree of their own that is aligned as they are. */
bool tree_align(struct pagemap *pm, uint64_t addr, unsigned level)
{
	uint64_t span = format_span(pm->table.format, level);
	struct record r, aligned;

	if (find_record_below(pm, addr, &r) && r.end >= addr + span && r.table.top >= level &&
	    is_aligned(shift_of(&r), span))
		return true;
	if (!make_border(pm, addr) || !make_border(pm, addr + span) ||
	    !range_tree_reserve(&pm->records, 1))
		return false;
	aligned = (struct record){addr, addr + span, addr, pm->table};
	aligned.table.top = level;
	if (!pagetable_init(&aligned.table))
		return false;
	if (!prepare_entries(pm, addr, span, &aligned.table, addr)) {
		pagetable_destroy(&aligned.table);
		return false;
	}
	move_entries(pm, addr, span, &aligned.table, addr);
	add_record(pm, &aligned);
	return true;
}

/* ---- Checking ------------------------------------------------------------------------------- */

static bool is_leaf_aligned(void *ctx, uint64_t key, unsigned level, const struct entry *entry)
{
	const struct record *r = ctx;

	(void)entry;
	return is_aligned(key - shift_of(r), format_span(r->table.format, level));
}

static const char *check_record(struct record *r)
{
	uint64_t low, high, end = r->key + (r->end - r->start);

	if (r->table.top >= r->table.format->levels)
		return "all that a record says lies below its root";
	low = block_start(&r->table, r->key);
	high = block_end(&r->table, r->key);
	if (end > high)
		return "all that a record says lies below its root";
	if (record_is_empty(r))
		return "no tree of a record is empty";
	if (!pagetable_is_empty(&r->table, low, r->key) ||
	    !pagetable_is_empty(&r->table, end, high))
		return "a tree holds nothing but what its record says";
	if (!pagetable_walk(&r->table, low, high, is_leaf_aligned, r))
		return "a large leaf is aligned by its address as by its place in the tree";
	return NULL;
}

const char *tree_check(const struct pagemap *pm)
{
	const char *broken = range_tree_check(&pm->records);
	struct record r;

	for (uint64_t addr = 0; !broken && find_record(pm, addr, &r); addr = r.end)
		broken = check_record(&r);
	return broken;
}
