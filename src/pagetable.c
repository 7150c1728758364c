/* pagetable.c - the page map as the tables an MMU walks.
 *
 * Levels are numbers and formats are data: one set of loops serves every geometry. Moving stands in
 * pagetable_move.c, what maps share after fork in pagetable_share.c.
 *
 * SPDX-License-Identifier: MIT */
#include "pagetable.h"

/* ---- Tables --------------------------------------------------------------------------------- */

/* A new empty table below *word, or FRAME_NONE. */
static uint32_t table_make(struct pagemap *pm, uint32_t parent, uint64_t *word, unsigned level)
{
	uint32_t table = frame_alloc_zeroed(pm->frames);
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};

	if (table == FRAME_NONE)
		return FRAME_NONE;
	e.phys = frame_phys(pm->frames, table);
	word_write(pm, parent, word, pm->format->encode(&e, level));
	return table;
}

struct spot spot_find(const struct pagemap *pm, uint64_t addr, unsigned level)
{
	struct spot spot = {.table = pm->root, .level = top_level(pm)};

	for (;; spot.level--) {
		spot.word = table_words(pm, spot.table) +
		            format_index(pm->format, addr, spot.level);
		if (spot.level == level || !leads_on(pm, *spot.word, spot.level))
			return spot;
		spot.table = word_frame_of(pm, *spot.word);
	}
}

struct spot spot_own(struct pagemap *pm, uint64_t addr, unsigned level)
{
	struct spot spot = {.table = pm->root, .level = top_level(pm)};

	for (;; spot.level--) {
		spot.word = table_words(pm, spot.table) +
		            format_index(pm->format, addr, spot.level);
		if (spot.level == level || !leads_on(pm, *spot.word, spot.level))
			return spot;
		if (!word_writable(pm, *spot.word) && !table_own(pm, spot.word, spot.level)) {
			spot.word = NULL;
			return spot;
		}
		spot.table = word_frame_of(pm, *spot.word);
	}
}

struct spot spot_make(struct pagemap *pm, uint64_t addr, unsigned level)
{
	struct spot spot = spot_own(pm, addr, level);

	if (!spot.word)
		return spot;
	while (spot.level > level) {
		vas_assert(*spot.word == 0);
		spot.table = table_make(pm, spot.table, spot.word, spot.level);
		spot.word = NULL;
		if (spot.table == FRAME_NONE)
			break;
		spot.level--;
		spot.word = table_words(pm, spot.table) +
		            format_index(pm->format, addr, spot.level);
	}
	return spot;
}

bool pagemap_init(struct pagemap *pm)
{
	pm->root = frame_alloc_zeroed(pm->frames);
	return pm->root != FRAME_NONE;
}

void pagemap_destroy(struct pagemap *pm)
{
	vas_assert(pm->frames->frame[pm->root].live == 0);
	if (frame_put(pm->frames, pm->root))
		frame_free(pm->frames, pm->root);
	pm->root = FRAME_NONE;
}

/* ---- One entry ------------------------------------------------------------------------------ */

/* Faults that share the space's lock write leaf words meanwhile, one at a time. */
static uint64_t word_read(const struct pagemap *pm, uint32_t table, uint64_t addr, unsigned level)
{
	const uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

struct entry pagemap_lookup(const struct pagemap *pm, uint64_t addr, unsigned *out)
{
	unsigned level = top_level(pm);
	uint64_t word = word_read(pm, pm->root, addr, level);
	bool writable = true;
	struct entry e;

	for (; leads_on(pm, word, level); level--) {
		writable = writable && word_writable(pm, word);
		word = word_read(pm, word_frame_of(pm, word), addr, level - 1);
	}
	*out = level;
	e = word_decode(pm, word, level);
	if (!writable)
		e.rights &= ~(unsigned)RIGHT_WRITE;
	return e;
}

uint32_t pagemap_leaf_table(const struct pagemap *pm, uint64_t addr)
{
	uint32_t table = pm->root;

	for (unsigned level = top_level(pm); level > 0; level--) {
		uint64_t word = word_read(pm, table, addr, level);

		if (!leads_on(pm, word, level) || !word_writable(pm, word))
			return FRAME_NONE;
		table = word_frame_of(pm, word);
	}
	return table;
}

bool pagemap_set_quick(struct pagemap *pm, uint32_t table, uint64_t addr, const struct entry *leaf)
{
	uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, 0);
	struct frame *f = &pm->frames->frame[table];
	bool empty;

	spin_lock(pm->frames->port, &f->lock);
	empty = *word == 0;
	if (empty) {
		__atomic_store_n(word, pm->format->encode(leaf, 0), __ATOMIC_RELEASE);
		f->live++;
	}
	spin_unlock(pm->frames->port, &f->lock);
	return empty;
}

/* Frees the tables on the way to addr that hold nothing: no CPU has seen them. */
static void path_trim(struct pagemap *pm, uint64_t addr)
{
	for (unsigned level = 0; level < top_level(pm); level++) {
		struct spot below = spot_find(pm, addr, level), above;

		if (below.level > level || pm->frames->frame[below.table].live > 0)
			continue;
		above = spot_find(pm, addr, level + 1);
		word_write(pm, above.table, above.word, 0);
		if (frame_put(pm->frames, below.table))
			frame_free(pm->frames, below.table);
	}
}

bool pagemap_set(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct spot spot = spot_make(pm, addr, level);

	if (!spot.word) {
		path_trim(pm, addr);
		return false;
	}
	pm->marked |= entry->kind == ENTRY_MARK;
	pm->large |= level > 0;
	word_write(pm, spot.table, spot.word, pm->format->encode(entry, level));
	return true;
}

/* Each of its frames has a reference of its own, so none changes. */
bool leaf_split(struct pagemap *pm, struct spot spot)
{
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};
	struct entry leaf = word_decode(pm, *spot.word, spot.level);
	uint32_t table = frame_alloc(pm->frames, 0);
	unsigned below = spot.level - 1;
	uint64_t *words;

	if (table == FRAME_NONE)
		return false;
	words = table_words(pm, table);
	for (unsigned i = 0; i < format_entries(pm->format); i++) {
		words[i] = pm->format->encode(&leaf, below);
		leaf.phys += format_span(pm->format, below);
	}
	pm->frames->frame[table].live = (uint16_t)format_entries(pm->format);
	e.phys = frame_phys(pm->frames, table);
	word_write(pm, spot.table, spot.word, pm->format->encode(&e, spot.level));
	return true;
}

bool pagemap_cut(struct pagemap *pm, uint64_t addr)
{
	unsigned level = 0;

	/* The lowest level at which an entry begins at addr: what lies above is crossed. */
	while (level < top_level(pm) && is_aligned(addr, format_span(pm->format, level + 1)))
		level++;
	for (;;) {
		struct spot spot = spot_own(pm, addr, level);

		if (!spot.word)
			return false;
		if (spot.level == level || !word_has_frame(pm->format, *spot.word))
			return true;
		if (!leaf_split(pm, spot))
			return false;
	}
}

static bool table_own_range(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                            uint64_t end)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);

		next = min_u64(end, slot_limit(pm, addr, level));
		if (!leads_on(pm, *word, level))
			continue;
		if (!word_writable(pm, *word) && !table_own(pm, word, level))
			return false;
		if (level > 1 &&
		    !table_own_range(pm, word_frame_of(pm, *word), level - 1, addr, next))
			return false;
	}
	return true;
}

bool pagemap_own(struct pagemap *pm, uint64_t start, uint64_t end)
{
	return table_own_range(pm, pm->root, top_level(pm), start, end);
}

/* ---- Ranges --------------------------------------------------------------------------------- */

static void leaf_release(struct pagemap *pm, uint64_t word, unsigned level,
                         struct tlb_gather *gather)
{
	uint32_t frame = word_frame_of(pm, word), n = format_frames(pm->format, level);

	if (frame == pm->zero)
		return;
	for (uint32_t i = 0; i < n; i++)
		tlb_gather_put(gather, frame + i);
}

enum marks { KEEP_MARKS, CLEAR_MARKS };

static void table_clear(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end, enum marks marks, struct tlb_gather *gather);

/* Clears what is below a word that leads to a table. True: the table is gone, or is others'. */
static bool table_empty(struct pagemap *pm, uint64_t word, unsigned level, uint64_t start,
                        uint64_t end, enum marks marks, struct tlb_gather *gather)
{
	uint32_t below = word_frame_of(pm, word);

	if (!word_writable(pm, word) && table_leave(pm, below)) {
		vas_assert(end - start == format_span(pm->format, level));
		return true;
	}
	if (pm->frames->frame[below].live > 0)
		table_clear(pm, below, level - 1, start, end, marks, gather);
	if (pm->frames->frame[below].live > 0)
		return false;
	tlb_gather_put(gather, below);
	return true;
}

static void table_clear(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end, enum marks marks, struct tlb_gather *gather)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);

		next = min_u64(end, slot_limit(pm, addr, level));
		if (*word == 0)
			continue;
		if (leads_on(pm, *word, level)) {
			if (!table_empty(pm, *word, level, addr, next, marks, gather))
				continue;
		} else {
			bool leaf = word_has_frame(pm->format, *word);

			if (!leaf && marks == KEEP_MARKS)
				continue;
			vas_assert(next - addr == format_span(pm->format, level));
			if (leaf)
				leaf_release(pm, *word, level, gather);
		}
		tlb_gather_range(gather, addr, next);
		word_write(pm, table, word, 0);
	}
}

void pagemap_clear(struct pagemap *pm, uint64_t start, uint64_t end, struct tlb_gather *gather)
{
	table_clear(pm, pm->root, top_level(pm), start, end, CLEAR_MARKS, gather);
}

void pagemap_zap(struct pagemap *pm, uint64_t start, uint64_t end, struct tlb_gather *gather)
{
	table_clear(pm, pm->root, top_level(pm), start, end, KEEP_MARKS, gather);
}

static void table_trim(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                       uint64_t end, struct tlb_gather *gather)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);
		uint32_t below = word_frame_of(pm, *word);

		next = min_u64(end, slot_limit(pm, addr, level));
		if (!leads_on(pm, *word, level) || !word_writable(pm, *word))
			continue;
		if (level > 1)
			table_trim(pm, below, level - 1, addr, next, gather);
		if (pm->frames->frame[below].live > 0)
			continue;
		tlb_gather_put(gather, below);
		tlb_gather_range(gather, addr, next);
		word_write(pm, table, word, 0);
	}
}

void pagemap_trim(struct pagemap *pm, uint64_t start, uint64_t end, struct tlb_gather *gather)
{
	table_trim(pm, pm->root, top_level(pm), start, end, gather);
}

void pagemap_collapse(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *leaf,
                      struct tlb_gather *gather)
{
	struct spot spot = spot_find(pm, addr, level);
	uint32_t table = word_frame_of(pm, *spot.word);

	vas_assert(leads_on(pm, *spot.word, level) && word_writable(pm, *spot.word));
	table_clear(pm, table, level - 1, addr, addr + format_span(pm->format, level), CLEAR_MARKS,
	            gather);
	tlb_gather_put(gather, table);
	tlb_gather_range(gather, addr, addr + format_span(pm->format, level));
	pm->large = true;
	*spot.word = pm->format->encode(leaf, level);
}

static void table_protect(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                          uint64_t end, unsigned rights)
{
	uint64_t next;

	if (level == 0) {
		unsigned n = (unsigned)((end - start) >> pm->format->page_shift);

		pm->format->protect(table_words(pm, table) + format_index(pm->format, start, 0), n,
		                    0, rights);
		return;
	}
	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);

		next = min_u64(end, slot_limit(pm, addr, level));
		if (leads_on(pm, *word, level)) {
			table_protect(pm, word_frame_of(pm, *word), level - 1, addr, next, rights);
		} else if (*word != 0) {
			vas_assert(next - addr == format_span(pm->format, level));
			pm->format->protect(word, 1, level, rights);
		}
	}
}

void pagemap_protect(struct pagemap *pm, uint64_t start, uint64_t end, unsigned rights,
                     struct tlb_gather *gather)
{
	table_protect(pm, pm->root, top_level(pm), start, end, rights);
	tlb_gather_range(gather, start, end);
}

/* ---- Looking -------------------------------------------------------------------------------- */

struct walk {
	const struct pagemap *pm;
	pagemap_visit *visit;
	void *ctx;
};

/* `writable`: what the tables above allow. */
static bool table_walk(const struct walk *walk, uint32_t table, unsigned level, uint64_t start,
                       uint64_t end, unsigned writable)
{
	const struct pagemap *pm = walk->pm;
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t word = table_words(pm, table)[format_index(pm->format, addr, level)];
		struct entry e;
		bool go_on = true;

		next = min_u64(end, slot_limit(pm, addr, level));
		if (word == 0)
			continue;
		e = word_decode(pm, word, level);
		if (e.kind == ENTRY_TABLE) {
			go_on = table_walk(walk, frame_of_phys(pm->frames, e.phys), level - 1, addr,
			                   next, writable & e.rights);
		} else {
			e.rights &= ~(unsigned)RIGHT_WRITE | writable;
			go_on = walk->visit(walk->ctx, addr, level, &e);
		}
		if (!go_on)
			return false;
	}
	return true;
}

bool pagemap_walk(const struct pagemap *pm, uint64_t start, uint64_t end, pagemap_visit *visit,
                  void *ctx)
{
	struct walk walk = {pm, visit, ctx};

	return table_walk(&walk, pm->root, top_level(pm), start, end, RIGHT_WRITE);
}

unsigned pagemap_trace(const struct pagemap *pm, uint64_t addr, struct pagemap_step *steps)
{
	uint32_t table = pm->root;
	unsigned n = 0;

	for (unsigned level = top_level(pm);; level--) {
		struct pagemap_step *step = &steps[n++];
		struct entry e;

		step->level = level;
		step->table = table;
		step->index = format_index(pm->format, addr, level);
		step->word = table_words(pm, table)[step->index];
		e = word_decode(pm, step->word, level);
		if (e.kind != ENTRY_TABLE)
			return n;
		table = frame_of_phys(pm->frames, e.phys);
	}
}
