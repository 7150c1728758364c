/* pagetable.c - pages in the tables that an MMU walks.
 *
 * Levels are numbers and formats are data: one set of loops serves every geometry. Owns the words
 * of one tree and keeps the invariants of struct pagetable; what is taken out goes to the gather.
 * Vmas and objects it does not know. The way down is walk.c; moving stands in pagetable_move.c,
 * what maps share after fork in pagetable_share.c.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetable.h"

/* ---- The tree ------------------------------------------------------------------------------- */

bool pagetable_init(struct pagetable *pt)
{
	pt->root = table_alloc_zeroed(pt->stock);
	return pt->root != FRAME_NONE;
}

/* CPUs may be walking: each word changes at once. */
void pagetable_set_upper(struct pagetable *pt, const uint64_t *words)
{
	uint64_t *root = table_words(pt, pt->root);

	for (unsigned i = format_user_entries(pt->format); i < format_entries(pt->format); i++)
		__atomic_store_n(&root[i], words[i], __ATOMIC_RELEASE);
	pt->has_upper = true;
}

void pagetable_destroy(struct pagetable *pt)
{
	gather_table(pt->gather, pt->root, pt->top);
	pt->root = FRAME_NONE;
}

/* ---- One entry ------------------------------------------------------------------------------ */

/* Lets go of the tables on the way to addr that hold nothing: a CPU may have looked ahead. */
static void trim_path(struct pagetable *pt, uint64_t addr)
{
	for (unsigned level = 0; level < pt->top; level++) {
		struct spot below = spot_find(pt, addr, level), above;

		if (below.level > level || pt->frames->frame[below.table].live > 0)
			continue;
		above = spot_find(pt, addr, level + 1);
		word_write(pt, above.table, above.word, 0);
		pagetable_note(pt, addr, addr + format_page_size(pt->format), level + 1,
		               GATHER_TABLES | GATHER_TAKEN);
		gather_table(pt->gather, below.table, level);
	}
}

static void release_leaf(struct pagetable *pt, uint64_t word, unsigned level)
{
	uint32_t frame = word_frame_of(pt, word);

	if (level == 0)
		gather_put(pt->gather, frame);
	else if (!frame_is_zeros(pt->frames, frame))
		gather_large(pt->gather, frame, format_frames(pt->format, level));
}

/* Another leaf, or a mark, in the place of one. Other rights to the same frame are just written;
 * another frame comes when nobody can use the old one any more. */
static void replace_leaf(struct pagetable *pt, struct spot spot, uint64_t addr,
                         const struct entry *new)
{
	uint64_t span = format_span(pt->format, spot.level), old = *spot.word;
	struct entry e = word_decode(pt, old, spot.level);
	bool same = new->kind == ENTRY_LEAF && new->phys == e.phys;
	unsigned what = same && !(e.rights & ~new->rights) ? GATHER_GIVEN : GATHER_LEAVES;

	word_write(pt, spot.table, spot.word, same ? pt->format->encode(new, spot.level) : 0);
	addr = align_down(addr, span);
	pagetable_note(pt, addr, addr + span, spot.level, what);
	if (same)
		return;
	gather_flush(pt->gather);
	word_write(pt, spot.table, spot.word, pt->format->encode(new, spot.level));
	release_leaf(pt, old, spot.level);
}

bool pagetable_set(struct pagetable *pt, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct spot spot = spot_make(pt, addr, level);

	if (!spot.word) {
		trim_path(pt, addr);
		return false;
	}
	if (word_has_frame(pt->format, *spot.word))
		replace_leaf(pt, spot, addr, entry);
	else
		word_write(pt, spot.table, spot.word, pt->format->encode(entry, level));
	return true;
}

/* Each of its frames has a reference of its own, so none changes (zeros become small ones); to
 * software it is the same, but an MMU must not find both sizes. */
bool leaf_split(struct pagetable *pt, struct spot spot, uint64_t addr)
{
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};
	struct entry leaf = word_decode(pt, *spot.word, spot.level);
	uint64_t *words, span = format_span(pt->format, spot.level);
	uint32_t table = table_alloc(pt->stock);
	bool zeros = frame_is_zeros(pt->frames, frame_of_phys(pt->frames, leaf.phys));
	unsigned below = spot.level - 1;

	if (table == FRAME_NONE)
		return false;
	if (zeros)
		leaf.phys = frame_phys(pt->frames, pt->zero);
	words = table_words(pt, table);
	for (unsigned i = 0; i < format_entries(pt->format); i++) {
		words[i] = pt->format->encode(&leaf, below);
		leaf.phys += zeros ? 0 : format_span(pt->format, below);
	}
	pt->frames->frame[table].live = (uint16_t)format_entries(pt->format);
	e.phys = frame_phys(pt->frames, table);
	addr = align_down(addr, span);
	*spot.word = 0;
	pagetable_note(pt, addr, addr + span, spot.level, zeros ? GATHER_LEAVES : GATHER_TAKEN);
	gather_flush(pt->gather);
	*spot.word = pt->format->encode(&e, spot.level);
	return true;
}

static bool is_table_empty(const struct pagetable *pt, uint32_t table, unsigned level,
                           uint64_t start, uint64_t end);

/* The highest entry across addr that must not be: a large leaf, or one that leads to a shared table
 * which has something on both sides. word NULL: there is none. */
static struct spot find_crossing(const struct pagetable *pt, uint64_t addr)
{
	struct spot spot = {.table = pt->root, .level = pt->top};

	for (;; spot.level--) {
		uint64_t span = format_span(pt->format, spot.level);
		uint64_t start = align_down(addr, span);

		spot.word = table_words(pt, spot.table) +
		            format_index(pt->format, addr, spot.level);
		if (start == addr || !word_has_frame(pt->format, *spot.word))
			break;
		if (!is_table(pt, *spot.word, spot.level))
			return spot;
		spot.table = word_frame_of(pt, *spot.word);
		if (word_is_writable(pt, *spot.word))
			continue;
		if (is_table_empty(pt, spot.table, spot.level - 1, start, addr) ||
		    is_table_empty(pt, spot.table, spot.level - 1, addr, start + span))
			break;
		spot.table = frame_of_host(pt->frames, spot.word);
		return spot;
	}
	spot.word = NULL;
	return spot;
}

bool pagetable_is_split_at(const struct pagetable *pt, uint64_t addr)
{
	return !find_crossing(pt, addr).word;
}

bool pagetable_split_at(struct pagetable *pt, uint64_t addr)
{
	struct spot spot = find_crossing(pt, addr);

	for (; spot.word; spot = find_crossing(pt, addr)) {
		if (is_table(pt, *spot.word, spot.level) ? !table_unshare(pt, spot, addr)
		                                         : !leaf_split(pt, spot, addr))
			return false;
	}
	return true;
}

static bool unshare_extent(struct pagetable *pt, struct extent extent)
{
	for (struct slots s = slots_of(pt, &extent); slots_more(&s); slots_next(&s)) {
		if (!is_table(pt, *s.spot.word, extent.level))
			continue;
		if (!word_is_writable(pt, *s.spot.word) && !table_unshare(pt, s.spot, s.start))
			return false;
		if (extent.level > 1 && !unshare_extent(pt, slots_below(pt, &s)))
			return false;
	}
	return true;
}

bool pagetable_unshare(struct pagetable *pt, uint64_t start, uint64_t end)
{
	return unshare_extent(pt, extent_of(pt, start, end));
}

/* ---- Ranges --------------------------------------------------------------------------------- */

/* No table but the root is empty, so a word that lies whole in the range says it all. Faults that
 * share the space's lock write leaf words meanwhile, one at a time. */
static bool is_extent_empty(const struct pagetable *pt, struct extent extent)
{
	for (struct slots s = slots_of(pt, &extent); slots_more(&s); slots_next(&s)) {
		uint64_t word = __atomic_load_n(s.spot.word, __ATOMIC_ACQUIRE);

		if (word != 0 && (!is_table(pt, word, extent.level) || slots_is_whole(&s) ||
		                  !is_extent_empty(pt, slots_below(pt, &s))))
			return false;
	}
	return true;
}

/* Whether nothing is in a table of this level over [start, end). */
static bool is_table_empty(const struct pagetable *pt, uint32_t table, unsigned level,
                           uint64_t start, uint64_t end)
{
	return is_extent_empty(pt, (struct extent){table, level, start, end});
}

/* How much of what is in the table which this entry leads to is to go. */
enum going { ALL_GOES, NOTHING_GOES, PART_GOES };

static enum going what_goes(const struct pagetable *pt, const struct slots *s, enum marks marks)
{
	uint32_t below = word_frame_of(pt, *s->spot.word);
	unsigned level = s->spot.level - 1;

	if (pt->frames->frame[below].live == 0)
		return ALL_GOES;
	if (word_is_writable(pt, *s->spot.word))
		return slots_is_whole(s) && marks == CLEAR_MARKS ? ALL_GOES : PART_GOES;
	/* A table that is shared: the range was cut. */
	if (!slots_is_whole(s) && is_table_empty(pt, below, level, s->start, s->end))
		return NOTHING_GOES;
	vas_assert(is_table_empty(pt, below, level, align_down(s->start, s->span), s->start));
	vas_assert(is_table_empty(pt, below, level, s->end, align_up(s->end, s->span)));
	return ALL_GOES;
}

/* Takes a word out, and hands over what it leads to. */
static void drop_entry(struct pagetable *pt, struct spot spot, uint64_t start, uint64_t end)
{
	uint64_t word = *spot.word;

	word_write(pt, spot.table, spot.word, 0);
	if (is_table(pt, word, spot.level)) {
		uint32_t below = word_frame_of(pt, word);
		bool hollow = pt->frames->frame[below].live == 0;

		pagetable_note(pt, start, end, 0,
		               GATHER_TABLES | (hollow ? GATHER_TAKEN : GATHER_LEAVES));
		gather_table(pt->gather, below, spot.level - 1);
	} else if (word_has_frame(pt->format, word)) {
		pagetable_note(pt, start, end, spot.level, GATHER_LEAVES);
		release_leaf(pt, word, spot.level);
	}
}

static void clear_extent(struct pagetable *pt, struct extent extent, enum marks marks)
{
	for (struct slots s = slots_of(pt, &extent); slots_more(&s); slots_next(&s)) {
		uint64_t word = *s.spot.word;

		if (word == 0)
			continue;
		if (is_table(pt, word, extent.level)) {
			enum going going = what_goes(pt, &s, marks);

			if (going == PART_GOES)
				clear_extent(pt, slots_below(pt, &s), marks);
			if (going != ALL_GOES &&
			    pt->frames->frame[word_frame_of(pt, word)].live > 0)
				continue;
		} else {
			if (!word_has_frame(pt->format, word) && marks == KEEP_MARKS)
				continue;
			vas_assert(slots_is_whole(&s));
		}
		drop_entry(pt, s.spot, s.start, s.end);
	}
}

void pagetable_clear(struct pagetable *pt, uint64_t start, uint64_t end, enum marks marks)
{
	clear_extent(pt, extent_of(pt, start, end), marks);
}

static void trim_extent(struct pagetable *pt, struct extent extent)
{
	for (struct slots s = slots_of(pt, &extent); slots_more(&s); slots_next(&s)) {
		uint64_t word = *s.spot.word;

		if (!is_table(pt, word, extent.level) || !word_is_writable(pt, word))
			continue;
		if (extent.level > 1)
			trim_extent(pt, slots_below(pt, &s));
		if (pt->frames->frame[word_frame_of(pt, word)].live == 0)
			drop_entry(pt, s.spot, s.start, s.end);
	}
}

void pagetable_trim(struct pagetable *pt, uint64_t start, uint64_t end)
{
	trim_extent(pt, extent_of(pt, start, end));
}

/* Every page of the range gets a word of its own, in tables of this map's own. */
bool pagetable_prepare_marks(struct pagetable *pt, uint64_t start, uint64_t end)
{
	uint64_t addr = start, span = format_span(pt->format, 1);

	if (!pagetable_split_leaves(pt, start, end, format_page_size(pt->format)))
		return false;
	while (addr < end && spot_make(pt, addr, 0).word)
		addr = align_down(addr, span) + span;
	return addr >= end;
}

/* A page goes, and its word stays in its table, which may be empty for a moment. */
static void take_out(struct pagetable *pt, struct spot spot, uint64_t addr)
{
	uint64_t word = *spot.word;

	if (!word_has_frame(pt->format, word))
		return;
	word_write(pt, spot.table, spot.word, 0);
	pagetable_note(pt, addr, addr + format_page_size(pt->format), 0, GATHER_LEAVES);
	release_leaf(pt, word, 0);
}

void pagetable_mark(struct pagetable *pt, uint64_t start, uint64_t end, const struct entry *mark)
{
	const uint64_t word = pt->format->encode(mark, 0), page = format_page_size(pt->format);
	struct spot spot = {.word = NULL};

	for (uint64_t addr = start; addr < end; addr += page, spot.word++) {
		if (addr == start || is_aligned(addr, format_span(pt->format, 1)))
			spot = spot_find(pt, addr, 0);
		take_out(pt, spot, addr);
	}
	gather_flush(pt->gather);
	for (uint64_t addr = start; addr < end; addr += page, spot.word++) {
		if (addr == start || is_aligned(addr, format_span(pt->format, 1)))
			spot = spot_find(pt, addr, 0);
		word_write(pt, spot.table, spot.word, word);
	}
}

/* The bytes of the pages in a table of leaf words go to the same places of a block. */
static void copy_bytes(const struct pagetable *pt, uint32_t table, uint32_t block)
{
	const uint64_t *words = table_words(pt, table);
	size_t page = (size_t)format_page_size(pt->format);

	for (unsigned i = 0; i < format_entries(pt->format); i++) {
		if (word_has_frame(pt->format, words[i]))
			memcpy(frame_host(pt->frames, block + i),
			       frame_host(pt->frames, word_frame_of(pt, words[i])), page);
	}
}

void pagetable_collapse(struct pagetable *pt, uint64_t addr, unsigned level,
                        const struct entry *leaf)
{
	struct spot spot = spot_find(pt, addr, level);
	uint32_t table = word_frame_of(pt, *spot.word);

	vas_assert(level == 1 && is_table(pt, *spot.word, level) &&
	           word_is_writable(pt, *spot.word));
	*spot.word = 0;
	pagetable_note(pt, addr, addr + format_span(pt->format, level), 0,
	               GATHER_TABLES | GATHER_LEAVES);
	gather_flush(pt->gather);
	copy_bytes(pt, table, frame_of_phys(pt->frames, leaf->phys));
	*spot.word = pt->format->encode(leaf, level);
	gather_table(pt->gather, table, level - 1);
}

static void protect_extent(struct pagetable *pt, struct extent extent, unsigned rights)
{
	struct slots s = slots_of(pt, &extent);

	if (extent.level == 0) {
		unsigned n = (unsigned)((extent.end - extent.start) >> pt->format->page_shift);

		pt->format->protect(s.spot.word, n, 0, rights);
		return;
	}
	for (; slots_more(&s); slots_next(&s)) {
		if (is_table(pt, *s.spot.word, extent.level)) {
			protect_extent(pt, slots_below(pt, &s), rights);
		} else if (*s.spot.word != 0) {
			vas_assert(slots_is_whole(&s));
			pt->format->protect(s.spot.word, 1, extent.level, rights);
		}
	}
}

void pagetable_protect(struct pagetable *pt, uint64_t start, uint64_t end, unsigned rights)
{
	protect_extent(pt, extent_of(pt, start, end), rights);
}

/* ---- Looking -------------------------------------------------------------------------------- */

/* The lowest table that has all of the range, and it no less than one entry of that. */
static unsigned level_of_range(const struct pagetable *pt, uint64_t start, uint64_t end)
{
	unsigned level = pt->top, shift = format_shift(pt->format, level);
	uint64_t len = end - start, differ = start ^ (end - 1);

	while (level > 0 && differ >> shift == 0 && len >> shift == 0) {
		level--;
		shift -= pt->format->index_bits;
	}
	return level;
}

bool pagetable_is_empty(const struct pagetable *pt, uint64_t start, uint64_t end)
{
	struct spot spot;
	unsigned level;

	if (start >= end || pt->frames->frame[pt->root].live == 0)
		return true;
	level = level_of_range(pt, start, end);
	spot = spot_find(pt, start, level);
	if (spot.level > level)
		return word_look(spot.word) == 0;
	return is_extent_empty(pt, (struct extent){spot.table, level, start, end});
}

/* Word by word, without a visitor: mincore asks for nothing else. `present`: the first page's. */
static void note_present(const struct pagetable *pt, struct extent extent, uint8_t *present)
{
	uint64_t first = extent.start;

	for (struct slots s = slots_of(pt, &extent); slots_more(&s); slots_next(&s)) {
		uint64_t word = word_look(s.spot.word);
		uint8_t *here = present + ((s.start - first) >> pt->format->page_shift);

		if (word == 0 || !word_has_frame(pt->format, word))
			continue;
		if (extent.level == 0)
			*here = 1;
		else if (word_is_table(pt->format, word))
			note_present(pt, slots_below(pt, &s), here);
		else
			memset(here, 1, (size_t)((s.end - s.start) >> pt->format->page_shift));
	}
}

void pagetable_present(const struct pagetable *pt, uint64_t start, uint64_t end, uint8_t *present)
{
	note_present(pt, extent_of(pt, start, end), present);
}

struct walk {
	const struct pagetable *pt;
	pagemap_visit *visit;
	void *ctx;
};

/* `writable`: what the tables above allow. */
static bool walk_extent(const struct walk *walk, struct extent extent, unsigned writable)
{
	const struct pagetable *pt = walk->pt;

	for (struct slots s = slots_of(pt, &extent); slots_more(&s); slots_next(&s)) {
		uint64_t word = word_look(s.spot.word);
		struct entry e;
		bool go_on = true;

		if (word == 0)
			continue;
		e = word_decode(pt, word, extent.level);
		if (e.kind == ENTRY_TABLE) {
			go_on = walk_extent(walk, slots_below(pt, &s), writable & e.rights);
		} else {
			e.rights &= ~(unsigned)RIGHT_WRITE | writable;
			go_on = walk->visit(walk->ctx, s.start, extent.level, &e);
		}
		if (!go_on)
			return false;
	}
	return true;
}

bool pagetable_walk(const struct pagetable *pt, uint64_t start, uint64_t end, pagemap_visit *visit,
                    void *ctx)
{
	struct walk walk = {pt, visit, ctx};

	return walk_extent(&walk, extent_of(pt, start, end), RIGHT_WRITE);
}

unsigned pagetable_trace(const struct pagetable *pt, uint64_t addr, struct spot *spots)
{
	unsigned n = 0;

	for (unsigned level = pt->top;; level--) {
		struct spot spot = spot_find(pt, addr, level);

		if (spot.level != level)
			return n;
		spots[n++] = spot;
		if (level == 0)
			return n;
	}
}
