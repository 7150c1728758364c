/* pagetable.c - pages in the tables that an MMU walks.
 *
 * Levels are numbers and formats are data: one set of loops serves every geometry. Moving stands in
 * pagetable_move.c, what maps share after fork in pagetable_share.c.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetable.h"

/* ---- Tables --------------------------------------------------------------------------------- */

/* A new empty table below *word, or FRAME_NONE. */
static uint32_t table_make(struct pagetable *pt, uint32_t parent, uint64_t *word, unsigned level)
{
	uint32_t table = frame_alloc_zeroed(pt->frames, pt->payer);
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};

	if (table == FRAME_NONE)
		return FRAME_NONE;
	e.phys = frame_phys(pt->frames, table);
	word_write(pt, parent, word, pt->format->encode(&e, level));
	return table;
}

struct spot spot_find(const struct pagetable *pt, uint64_t addr, unsigned level)
{
	struct spot spot = {.table = pt->root, .level = pt->top};

	for (;; spot.level--) {
		spot.word = table_words(pt, spot.table) +
		            format_index(pt->format, addr, spot.level);
		if (spot.level == level || !is_table(pt, *spot.word, spot.level))
			return spot;
		spot.table = word_frame_of(pt, *spot.word);
	}
}

struct spot spot_unshare(struct pagetable *pt, uint64_t addr, unsigned level)
{
	struct spot spot = {.table = pt->root, .level = pt->top};

	for (;; spot.level--) {
		spot.word = table_words(pt, spot.table) +
		            format_index(pt->format, addr, spot.level);
		if (spot.level == level || !is_table(pt, *spot.word, spot.level))
			return spot;
		if (!word_is_writable(pt, *spot.word) && !table_unshare(pt, spot, addr)) {
			spot.word = NULL;
			return spot;
		}
		spot.table = word_frame_of(pt, *spot.word);
	}
}

struct spot spot_make(struct pagetable *pt, uint64_t addr, unsigned level)
{
	struct spot spot = spot_unshare(pt, addr, level);

	if (!spot.word)
		return spot;
	while (spot.level > level) {
		vas_assert(*spot.word == 0);
		spot.table = table_make(pt, spot.table, spot.word, spot.level);
		spot.word = NULL;
		if (spot.table == FRAME_NONE)
			break;
		spot.level--;
		spot.word = table_words(pt, spot.table) +
		            format_index(pt->format, addr, spot.level);
	}
	return spot;
}

bool pagetable_init(struct pagetable *pt)
{
	pt->root = frame_alloc_zeroed(pt->frames, pt->payer);
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

/* Faults that share the space's lock write leaf words meanwhile, one at a time. */
static uint64_t word_read(const struct pagetable *pt, uint32_t table, uint64_t addr, unsigned level)
{
	const uint64_t *word = table_words(pt, table) + format_index(pt->format, addr, level);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

struct entry pagetable_lookup(const struct pagetable *pt, uint64_t addr, unsigned *out)
{
	/* A miss of the software TLB costs this walk: what it needs of the format stands in
	 * variables of its own, not read again at each level. */
	const struct vas_format *format = pt->format;
	const uint64_t table_mask = format->table_mask, table_bits = format->table_bits;
	const uint64_t ro_mask = format->table_ro_mask, ro_bits = format->table_ro_bits;
	const uint64_t phys_mask = format->phys_mask, phys = pt->frames->phys;
	const unsigned phys_shift = format->phys_shift, bits = format->index_bits;
	const uint64_t index_mask = format_entries(format) - 1;
	const uint8_t *const memory = pt->frames->memory;
	const uint64_t *words = table_words(pt, pt->root);
	unsigned level = pt->top, shift = format_shift(format, level);
	bool writable = true;
	struct entry e;
	uint64_t word;

	for (;; level--, shift -= bits) {
		word = __atomic_load_n(words + ((addr >> shift) & index_mask), __ATOMIC_ACQUIRE);
		if (level == 0 || (word & table_mask) != table_bits)
			break;
		writable = writable && (ro_mask == 0 || (word & ro_mask) != ro_bits);
		words = (const uint64_t *)(const void *)(memory +
		                                         (((word & phys_mask) << phys_shift) -
		                                          phys));
	}
	*out = level;
	e = word_decode(pt, word, level);
	if (!writable)
		e.rights &= ~(unsigned)RIGHT_WRITE;
	return e;
}

struct leaf_slot pagetable_leaf_slot(const struct pagetable *pt, uint64_t addr)
{
	struct leaf_slot slot = {pt->root, format_index(pt->format, addr, 0)};

	for (unsigned level = pt->top; level > 0; level--) {
		uint64_t word = word_read(pt, slot.table, addr, level);

		if (!is_table(pt, word, level) || !word_is_writable(pt, word))
			return (struct leaf_slot){.table = FRAME_NONE};
		slot.table = word_frame_of(pt, word);
	}
	return slot;
}

/* Lets go of the tables on the way to addr that hold nothing: a CPU may have looked ahead. */
static void path_trim(struct pagetable *pt, uint64_t addr)
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

static void leaf_release(struct pagetable *pt, uint64_t word, unsigned level)
{
	uint32_t frame = word_frame_of(pt, word);

	if (level == 0)
		gather_put(pt->gather, frame);
	else if (!frame_is_zeros(pt->frames, frame))
		gather_large(pt->gather, frame, format_frames(pt->format, level));
}

/* Another leaf, or a mark, in the place of one. Other rights to the same frame are just written;
 * another frame comes when nobody can use the old one any more. */
static void leaf_replace(struct pagetable *pt, struct spot spot, uint64_t addr,
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
	leaf_release(pt, old, spot.level);
}

bool pagetable_set(struct pagetable *pt, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct spot spot = spot_make(pt, addr, level);

	if (!spot.word) {
		path_trim(pt, addr);
		return false;
	}
	if (word_has_frame(pt->format, *spot.word))
		leaf_replace(pt, spot, addr, entry);
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
	uint32_t table = frame_alloc(pt->frames, pt->payer, 0);
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

bool pagetable_split_at(struct pagetable *pt, uint64_t addr)
{
	unsigned level = 0;

	/* The lowest level at which an entry begins at addr: what lies above is crossed. */
	while (level < pt->top && is_aligned(addr, format_span(pt->format, level + 1)))
		level++;
	for (;;) {
		struct spot spot = spot_unshare(pt, addr, level);

		if (!spot.word)
			return false;
		if (spot.level == level || !word_has_frame(pt->format, *spot.word))
			return true;
		if (!leaf_split(pt, spot, addr))
			return false;
	}
}

static bool table_own_range(struct pagetable *pt, uint32_t table, unsigned level, uint64_t start,
                            uint64_t end)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pt, table) + format_index(pt->format, addr, level);
		struct spot spot = {.word = word, .table = table, .level = level};

		next = min_u64(end, slot_limit(pt, addr, level));
		if (!is_table(pt, *word, level))
			continue;
		if (!word_is_writable(pt, *word) && !table_unshare(pt, spot, addr))
			return false;
		if (level > 1 &&
		    !table_own_range(pt, word_frame_of(pt, *word), level - 1, addr, next))
			return false;
	}
	return true;
}

bool pagetable_unshare(struct pagetable *pt, uint64_t start, uint64_t end)
{
	return table_own_range(pt, pt->root, pt->top, start, end);
}

/* ---- Ranges --------------------------------------------------------------------------------- */

static void table_clear(struct pagetable *pt, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end, enum marks marks);

/* No table but the root is empty, so a word that lies whole in the range says it all. */
static bool table_is_empty(const struct pagetable *pt, uint32_t table, unsigned level,
                           uint64_t start, uint64_t end)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t word = word_read(pt, table, addr, level);

		next = min_u64(end, slot_limit(pt, addr, level));
		if (word == 0)
			continue;
		if (!is_table(pt, word, level) || next - addr == format_span(pt->format, level) ||
		    !table_is_empty(pt, word_frame_of(pt, word), level - 1, addr, next))
			return false;
	}
	return true;
}

/* Whether all that is in the table which a word of this level leads to is to go, and need not be
 * looked at. */
static bool goes_whole(const struct pagetable *pt, uint64_t word, unsigned level, uint64_t start,
                       uint64_t end, enum marks marks)
{
	uint64_t span = format_span(pt->format, level);
	uint32_t below = word_frame_of(pt, word);

	if (pt->frames->frame[below].live == 0)
		return true;
	if (word_is_writable(pt, word))
		return end - start == span && marks == CLEAR_MARKS;
	/* A table that is shared: the range was cut. */
	vas_assert(table_is_empty(pt, below, level - 1, align_down(start, span), start));
	vas_assert(table_is_empty(pt, below, level - 1, end, align_up(end, span)));
	return true;
}

/* Takes a word out, and hands over what it leads to. */
static void entry_drop(struct pagetable *pt, struct spot spot, uint64_t start, uint64_t end)
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
		leaf_release(pt, word, spot.level);
	}
}

static void table_clear(struct pagetable *pt, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end, enum marks marks)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pt, table) + format_index(pt->format, addr, level);
		struct spot spot = {.word = word, .table = table, .level = level};

		next = min_u64(end, slot_limit(pt, addr, level));
		if (*word == 0)
			continue;
		if (is_table(pt, *word, level) &&
		    !goes_whole(pt, *word, level, addr, next, marks)) {
			uint32_t below = word_frame_of(pt, *word);

			table_clear(pt, below, level - 1, addr, next, marks);
			if (pt->frames->frame[below].live > 0)
				continue;
		} else if (!is_table(pt, *word, level)) {
			if (!word_has_frame(pt->format, *word) && marks == KEEP_MARKS)
				continue;
			vas_assert(next - addr == format_span(pt->format, level));
		}
		entry_drop(pt, spot, addr, next);
	}
}

void pagetable_clear(struct pagetable *pt, uint64_t start, uint64_t end, enum marks marks)
{
	table_clear(pt, pt->root, pt->top, start, end, marks);
}

static void table_trim(struct pagetable *pt, uint32_t table, unsigned level, uint64_t start,
                       uint64_t end)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pt, table) + format_index(pt->format, addr, level);
		struct spot spot = {.word = word, .table = table, .level = level};
		uint32_t below = word_frame_of(pt, *word);

		next = min_u64(end, slot_limit(pt, addr, level));
		if (!is_table(pt, *word, level) || !word_is_writable(pt, *word))
			continue;
		if (level > 1)
			table_trim(pt, below, level - 1, addr, next);
		if (pt->frames->frame[below].live == 0)
			entry_drop(pt, spot, addr, next);
	}
}

void pagetable_trim(struct pagetable *pt, uint64_t start, uint64_t end)
{
	table_trim(pt, pt->root, pt->top, start, end);
}

/* The bytes of the pages in a table of leaf words go to the same places of a block. */
static void table_copy_bytes(const struct pagetable *pt, uint32_t table, uint32_t block)
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
	table_copy_bytes(pt, table, frame_of_phys(pt->frames, leaf->phys));
	*spot.word = pt->format->encode(leaf, level);
	gather_table(pt->gather, table, level - 1);
}

static void table_protect(struct pagetable *pt, uint32_t table, unsigned level, uint64_t start,
                          uint64_t end, unsigned rights)
{
	uint64_t next;

	if (level == 0) {
		unsigned n = (unsigned)((end - start) >> pt->format->page_shift);

		pt->format->protect(table_words(pt, table) + format_index(pt->format, start, 0), n,
		                    0, rights);
		return;
	}
	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pt, table) + format_index(pt->format, addr, level);

		next = min_u64(end, slot_limit(pt, addr, level));
		if (is_table(pt, *word, level)) {
			table_protect(pt, word_frame_of(pt, *word), level - 1, addr, next, rights);
		} else if (*word != 0) {
			vas_assert(next - addr == format_span(pt->format, level));
			pt->format->protect(word, 1, level, rights);
		}
	}
}

void pagetable_protect(struct pagetable *pt, uint64_t start, uint64_t end, unsigned rights)
{
	table_protect(pt, pt->root, pt->top, start, end, rights);
}

/* ---- Looking -------------------------------------------------------------------------------- */

bool pagetable_is_empty(const struct pagetable *pt, uint64_t start, uint64_t end)
{
	return pt->frames->frame[pt->root].live == 0 ||
	       table_is_empty(pt, pt->root, pt->top, start, end);
}

struct walk {
	const struct pagetable *pt;
	pagemap_visit *visit;
	void *ctx;
};

/* `writable`: what the tables above allow. */
static bool table_walk(const struct walk *walk, uint32_t table, unsigned level, uint64_t start,
                       uint64_t end, unsigned writable)
{
	const struct pagetable *pt = walk->pt;
	const uint64_t *word = &table_words(pt, table)[format_index(pt->format, start, level)];
	uint64_t span = format_span(pt->format, level), next = slot_limit(pt, start, level);

	for (uint64_t addr = start; addr < end; addr = next, next += span, word++) {
		struct entry e;
		bool go_on = true;

		if (*word == 0)
			continue;
		e = word_decode(pt, *word, level);
		if (e.kind == ENTRY_TABLE) {
			go_on = table_walk(walk, frame_of_phys(pt->frames, e.phys), level - 1, addr,
			                   min_u64(end, next), writable & e.rights);
		} else {
			e.rights &= ~(unsigned)RIGHT_WRITE | writable;
			go_on = walk->visit(walk->ctx, addr, level, &e);
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

	return table_walk(&walk, pt->root, pt->top, start, end, RIGHT_WRITE);
}

unsigned pagetable_trace(const struct pagetable *pt, uint64_t addr, struct pagemap_step *steps)
{
	uint32_t table = pt->root;
	unsigned n = 0;

	for (unsigned level = pt->top;; level--) {
		struct pagemap_step *step = &steps[n++];
		struct entry e;

		step->level = level;
		step->table = table;
		step->index = format_index(pt->format, addr, level);
		step->word = table_words(pt, table)[step->index];
		e = word_decode(pt, step->word, level);
		if (e.kind != ENTRY_TABLE)
			return n;
		table = frame_of_phys(pt->frames, e.phys);
	}
}
