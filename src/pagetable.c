/* pagetable.c - the page map as the tables an MMU walks.
 *
 * Levels are numbers and formats are data: one set of loops serves every geometry. A move takes, at
 * every point, the largest step that both addresses allow: a whole entry (table or large leaf) at
 * the highest level, else a run of words between two leaf tables.
 *
 * SPDX-License-Identifier: MIT */
#include "pagemap.h"

static uint64_t *table_words(const struct pagemap *pm, uint32_t table)
{
	return frame_host(pm->frames, table);
}

static struct entry word_decode(const struct pagemap *pm, uint64_t word, unsigned level)
{
	return pm->format->decode(word, level);
}

static uint32_t entry_frame(const struct pagemap *pm, const struct entry *e)
{
	return frame_of_phys(pm->frames, e->phys);
}

static unsigned top_level(const struct pagemap *pm)
{
	return pm->format->levels - 1u;
}

/* Frames under one leaf of `level`. */
static uint32_t leaf_frames(const struct pagemap *pm, unsigned level)
{
	return 1u << (level * pm->format->index_bits);
}

/* Where the entry that covers addr at `level` ends. */
static uint64_t slot_limit(const struct pagemap *pm, uint64_t addr, unsigned level)
{
	uint64_t span = format_span(pm->format, level);

	return align_down(addr, span) + span;
}

/* ---- Tables --------------------------------------------------------------------------------- */

static void word_write(struct pagemap *pm, uint32_t table, uint64_t *word, uint64_t value)
{
	struct frame *f = &pm->frames->frame[table];

	f->live = (uint16_t)(f->live + (value != 0) - (*word != 0));
	*word = value;
}

/* A new empty table below *word, or FRAME_NONE. */
static uint32_t table_make(struct pagemap *pm, uint32_t parent, uint64_t *word, unsigned level)
{
	uint32_t table = frame_alloc_zeroed(pm->frames);
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};

	if (table == FRAME_NONE)
		return FRAME_NONE;
	e.phys = frame_phys(pm->frames, table);
	word_write(pm, parent, word, pm->format->encode(&e, level));
	pm->ntables++;
	return table;
}

/* A position in the tables: one word, the table it stands in, its level. */
struct spot {
	uint64_t *word;
	uint32_t table;
	unsigned level;
};

/* Descends to the entry of addr at `level`; stops above it where no table leads on. */
static struct spot spot_find(const struct pagemap *pm, uint64_t addr, unsigned level)
{
	struct spot spot = {.table = pm->root, .level = top_level(pm)};

	for (;;) {
		struct entry e;

		spot.word = table_words(pm, spot.table) +
		            format_index(pm->format, addr, spot.level);
		if (spot.level == level)
			return spot;
		e = word_decode(pm, *spot.word, spot.level);
		if (e.kind != ENTRY_TABLE)
			return spot;
		spot.table = entry_frame(pm, &e);
		spot.level--;
	}
}

/* Takes the right to write from a word, and notes one more user of what it refers to. */
static uint64_t word_share(const struct pagemap *pm, uint64_t word, unsigned level)
{
	struct entry e = word_decode(pm, word, level);
	uint32_t n = e.kind == ENTRY_LEAF ? leaf_frames(pm, level) : 1;

	if (e.kind != ENTRY_TABLE && e.kind != ENTRY_LEAF)
		return word;
	for (uint32_t i = 0; i < n && entry_frame(pm, &e) != pm->zero; i++)
		frame_get(pm->frames, entry_frame(pm, &e) + i);
	if (!(e.rights & RIGHT_WRITE))
		return word;
	e.rights &= ~(unsigned)RIGHT_WRITE;
	return pm->format->encode(&e, level);
}

/* Fills `copy` with what the shared table holds; from now on both hold it. */
static void table_copy(struct pagemap *pm, uint32_t copy, uint32_t shared, unsigned level)
{
	uint64_t *from = table_words(pm, shared), *to = table_words(pm, copy);

	for (unsigned i = 0; i < format_entries(pm->format); i++) {
		to[i] = word_share(pm, from[i], level);
		/* Others may be reading; all they can lose is a right they do not have. */
		__atomic_store_n(&from[i], to[i], __ATOMIC_RELAXED);
	}
	pm->frames->frame[copy].live = pm->frames->frame[shared].live;
}

/* Lets go of a table if others have it too; they keep what is in it. */
static bool table_leave(struct pagemap *pm, uint32_t table)
{
	struct frame *f = &pm->frames->frame[table];
	bool others;

	spin_lock(pm->frames->port, &f->lock);
	others = frame_refs(pm->frames, table) > 1;
	if (others)
		frame_put(pm->frames, table);
	spin_unlock(pm->frames->port, &f->lock);
	return others;
}

/* The table below *word, of level `level` - 1, becomes this map's own: copied, or found to be its
 * alone. Nothing in it could be written, and nothing becomes writable that was not before it was
 * shared, so no translation grows stale. False: no memory. */
static bool table_own(struct pagemap *pm, uint64_t *word, unsigned level)
{
	struct entry e = word_decode(pm, *word, level);
	uint32_t shared = entry_frame(pm, &e), copy = FRAME_NONE;
	struct frame *f = &pm->frames->frame[shared];

	/* Its lock orders those who let go of it: the last has it for itself. */
	spin_lock(pm->frames->port, &f->lock);
	if (frame_refs(pm->frames, shared) > 1) {
		copy = frame_alloc(pm->frames, 0);
		if (copy != FRAME_NONE) {
			table_copy(pm, copy, shared, level - 1);
			frame_put(pm->frames, shared);
			e.phys = frame_phys(pm->frames, copy);
		}
	}
	e.rights = copy != FRAME_NONE || frame_refs(pm->frames, shared) == 1 ? RIGHT_WRITE : 0;
	spin_unlock(pm->frames->port, &f->lock);
	*word = pm->format->encode(&e, level);
	return e.rights == RIGHT_WRITE;
}

/* As spot_find, but owns the tables on the way. word NULL: no memory. */
static struct spot spot_own(struct pagemap *pm, uint64_t addr, unsigned level)
{
	struct spot spot = {.table = pm->root, .level = top_level(pm)};

	for (;;) {
		struct entry e;

		spot.word = table_words(pm, spot.table) +
		            format_index(pm->format, addr, spot.level);
		e = word_decode(pm, *spot.word, spot.level);
		if (spot.level == level || e.kind != ENTRY_TABLE)
			return spot;
		if (!(e.rights & RIGHT_WRITE) && !table_own(pm, spot.word, spot.level)) {
			spot.word = NULL;
			return spot;
		}
		e = word_decode(pm, *spot.word, spot.level);
		spot.table = entry_frame(pm, &e);
		spot.level--;
	}
}

/* As spot_own, but makes the tables that are missing. word NULL: no memory; tables made on the way
 * then stay, empty, for the caller to clear. */
static struct spot spot_make(struct pagemap *pm, uint64_t addr, unsigned level)
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
	pm->ntables = pm->root != FRAME_NONE;
	return pm->root != FRAME_NONE;
}

void pagemap_destroy(struct pagemap *pm)
{
	vas_assert(pm->frames->frame[pm->root].live == 0 && pm->ntables == 1);
	if (frame_put(pm->frames, pm->root))
		frame_free(pm->frames, pm->root);
	pm->root = FRAME_NONE;
	pm->ntables = 0;
}

/* ---- One entry ------------------------------------------------------------------------------ */

/* Faults that share the space's lock write leaf words meanwhile, one at a time. */
static uint64_t word_read(const struct pagemap *pm, uint32_t table, uint64_t addr, unsigned level)
{
	const uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

struct entry pagemap_lookup(const struct pagemap *pm, uint64_t addr, unsigned *level)
{
	uint32_t table = pm->root;
	unsigned writable = RIGHT_WRITE;
	struct entry e;

	for (*level = top_level(pm);; (*level)--) {
		e = word_decode(pm, word_read(pm, table, addr, *level), *level);
		if (e.kind != ENTRY_TABLE)
			break;
		writable &= e.rights;
		table = entry_frame(pm, &e);
	}
	if (!writable)
		e.rights &= ~(unsigned)RIGHT_WRITE;
	return e;
}

uint32_t pagemap_leaf_table(const struct pagemap *pm, uint64_t addr)
{
	uint32_t table = pm->root;

	for (unsigned level = top_level(pm); level > 0; level--) {
		struct entry e = word_decode(pm, word_read(pm, table, addr, level), level);

		if (e.kind != ENTRY_TABLE || !(e.rights & RIGHT_WRITE))
			return FRAME_NONE;
		table = entry_frame(pm, &e);
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

/* Frees the tables on the way to addr that hold nothing (a failed spot_make's). */
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
		pm->ntables--;
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

/* Replaces the large leaf at `spot` by a table of leaves one level down. Each of its frames has a
 * reference of its own, so none changes. */
static bool leaf_split(struct pagemap *pm, struct spot spot, struct entry leaf)
{
	unsigned below = spot.level - 1;
	uint64_t phys = leaf.phys, *words;
	uint32_t table = frame_alloc(pm->frames, 0);
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};

	if (table == FRAME_NONE)
		return false;
	words = table_words(pm, table);
	for (unsigned i = 0; i < format_entries(pm->format); i++) {
		leaf.phys = phys + i * format_span(pm->format, below);
		words[i] = pm->format->encode(&leaf, below);
	}
	pm->frames->frame[table].live = (uint16_t)format_entries(pm->format);
	e.phys = frame_phys(pm->frames, table);
	word_write(pm, spot.table, spot.word, pm->format->encode(&e, spot.level));
	pm->ntables++;
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
		struct entry e;

		if (!spot.word)
			return false;
		e = word_decode(pm, *spot.word, spot.level);
		if (e.kind != ENTRY_LEAF || spot.level == level)
			return true;
		if (!leaf_split(pm, spot, e))
			return false;
	}
}

static bool table_own_range(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                            uint64_t end)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);
		struct entry e = word_decode(pm, *word, level);

		next = min_u64(end, slot_limit(pm, addr, level));
		if (e.kind != ENTRY_TABLE)
			continue;
		if (!(e.rights & RIGHT_WRITE) && !table_own(pm, word, level))
			return false;
		e = word_decode(pm, *word, level);
		if (level > 1 && !table_own_range(pm, entry_frame(pm, &e), level - 1, addr, next))
			return false;
	}
	return true;
}

bool pagemap_own(struct pagemap *pm, uint64_t start, uint64_t end)
{
	return table_own_range(pm, pm->root, top_level(pm), start, end);
}

/* ---- Ranges --------------------------------------------------------------------------------- */

static void leaf_release(struct pagemap *pm, const struct entry *e, unsigned level,
                         struct tlb_gather *gather)
{
	uint32_t frame = entry_frame(pm, e), n = leaf_frames(pm, level);

	if (frame == pm->zero)
		return;
	for (uint32_t i = 0; i < n; i++)
		tlb_gather_put(gather, frame + i);
}

/* The tables of the tree below `table`, itself included. */
static uint64_t count_tables(const struct pagemap *pm, uint32_t table, unsigned level)
{
	uint64_t n = 1;

	for (unsigned i = 0; level > 0 && i < format_entries(pm->format); i++) {
		uint64_t word = __atomic_load_n(table_words(pm, table) + i, __ATOMIC_RELAXED);
		struct entry e = word_decode(pm, word, level);

		if (e.kind == ENTRY_TABLE)
			n += count_tables(pm, entry_frame(pm, &e), level - 1);
	}
	return n;
}

/* Lets go of a shared table and all below it. */
static bool table_drop(struct pagemap *pm, uint32_t table, unsigned level)
{
	uint64_t ntables = count_tables(pm, table, level);

	if (!table_leave(pm, table))
		return false;
	pm->ntables -= ntables;
	return true;
}

enum marks { KEEP_MARKS, CLEAR_MARKS };

static void table_clear(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end, enum marks marks, struct tlb_gather *gather)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);
		struct entry e;

		next = min_u64(end, slot_limit(pm, addr, level));
		if (*word == 0)
			continue;
		e = word_decode(pm, *word, level);
		if (e.kind == ENTRY_TABLE) {
			uint32_t below = entry_frame(pm, &e);

			if (!(e.rights & RIGHT_WRITE) && table_drop(pm, below, level - 1)) {
				vas_assert(next - addr == format_span(pm->format, level));
				tlb_gather_range(gather, addr, next);
				word_write(pm, table, word, 0);
				continue;
			}
			if (pm->frames->frame[below].live > 0)
				table_clear(pm, below, level - 1, addr, next, marks, gather);
			if (pm->frames->frame[below].live > 0)
				continue;
			tlb_gather_put(gather, below);
			pm->ntables--;
		} else if (e.kind == ENTRY_MARK && marks == KEEP_MARKS) {
			continue;
		} else {
			vas_assert(next - addr == format_span(pm->format, level));
			if (e.kind == ENTRY_LEAF)
				leaf_release(pm, &e, level, gather);
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

void pagemap_collapse(struct pagemap *pm, uint64_t addr, unsigned level, const struct entry *leaf,
                      struct tlb_gather *gather)
{
	struct spot spot = spot_find(pm, addr, level);
	struct entry e = word_decode(pm, *spot.word, level);

	vas_assert(e.kind == ENTRY_TABLE && (e.rights & RIGHT_WRITE));
	table_clear(pm, entry_frame(pm, &e), level - 1, addr, addr + format_span(pm->format, level),
	            CLEAR_MARKS, gather);
	tlb_gather_put(gather, entry_frame(pm, &e));
	tlb_gather_range(gather, addr, addr + format_span(pm->format, level));
	pm->ntables--;
	pm->large = true;
	*spot.word = pm->format->encode(leaf, level);
}

static void table_protect(struct pagemap *pm, uint32_t table, unsigned level, uint64_t start,
                          uint64_t end, unsigned rights, struct tlb_gather *gather)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(pm, table) + format_index(pm->format, addr, level);
		struct entry e;

		next = min_u64(end, slot_limit(pm, addr, level));
		if (*word == 0)
			continue;
		e = word_decode(pm, *word, level);
		if (e.kind == ENTRY_TABLE) {
			table_protect(pm, entry_frame(pm, &e), level - 1, addr, next, rights,
			              gather);
			continue;
		}
		if (e.kind != ENTRY_LEAF)
			continue;
		vas_assert(next - addr == format_span(pm->format, level));
		e.rights = rights & (e.rights | ~(unsigned)RIGHT_WRITE);
		*word = pm->format->encode(&e, level);
		tlb_gather_range(gather, addr, next);
	}
}

void pagemap_protect(struct pagemap *pm, uint64_t start, uint64_t end, unsigned rights,
                     struct tlb_gather *gather)
{
	table_protect(pm, pm->root, top_level(pm), start, end, rights, gather);
}

/* ---- Moving --------------------------------------------------------------------------------- */

/* The highest level at which one entry can go from `from` to `to` whole. */
static unsigned move_level(const struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	unsigned level = top_level(pm);

	while (level > 0 && (!is_aligned(from | to, format_span(pm->format, level)) ||
	                     len < format_span(pm->format, level)))
		level--;
	return level;
}

/* How many words go in one run from leaf table to leaf table. */
static unsigned run_words(const struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len)
{
	uint64_t n = len >> pm->format->page_shift;

	n = min_u64(n, format_entries(pm->format) - format_index(pm->format, from, 0));
	return (unsigned)min_u64(n, format_entries(pm->format) - format_index(pm->format, to, 0));
}

static unsigned live_words(const uint64_t *words, unsigned n)
{
	unsigned live = 0;

	for (unsigned i = 0; i < n; i++)
		live += words[i] != 0;
	return live;
}

/* One step of a move, at the level both addresses allow. */
struct move_step {
	struct spot source;
	unsigned level;
	unsigned nwords; /* of a run at level 0; else 1 */
	uint64_t len;
	bool empty; /* nothing to move in this step */
};

static struct move_step move_plan(const struct pagemap *pm, uint64_t from, uint64_t to,
                                  uint64_t len)
{
	struct move_step step = {.level = move_level(pm, from, to, len), .nwords = 1};

	step.source = spot_find(pm, from, step.level);
	if (*step.source.word == 0 && (step.source.level > 0 || step.level > 0)) {
		step.len = min_u64(len, slot_limit(pm, from, step.source.level) - from);
		step.empty = true;
	} else if (step.level > 0) {
		step.len = format_span(pm->format, step.level);
	} else {
		step.nwords = run_words(pm, from, to, len);
		step.len = (uint64_t)step.nwords << pm->format->page_shift;
		step.empty = step.source.level == 0 && !live_words(step.source.word, step.nwords);
	}
	return step;
}

bool pagemap_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len,
                          struct tlb_gather *gather)
{
	uint64_t done = 0;

	while (done < len) {
		struct move_step step = move_plan(pm, from + done, to + done, len - done);
		bool ok = true;

		if (!step.empty) {
			step.source = spot_own(pm, from + done, step.level);
			ok = step.source.word != NULL;
		}
		if (ok && !step.empty && step.source.level > step.level) {
			/* A large leaf that cannot go whole: split it and look again. */
			if (leaf_split(pm, step.source,
			               word_decode(pm, *step.source.word, step.source.level)))
				continue;
			ok = false;
		} else if (ok && !step.empty) {
			ok = spot_make(pm, to + done, step.level).word != NULL;
		}
		if (!ok) {
			pagemap_clear(pm, to, to + len, gather);
			return false;
		}
		done += step.len;
	}
	return true;
}

/* Moves the words of one leaf table's run to another's. */
static void move_run(struct pagemap *pm, struct spot from, struct spot to, unsigned n)
{
	unsigned live = live_words(from.word, n);

	memcpy(to.word, from.word, n * sizeof(uint64_t));
	memset(from.word, 0, n * sizeof(uint64_t));
	pm->frames->frame[from.table].live = (uint16_t)(pm->frames->frame[from.table].live - live);
	pm->frames->frame[to.table].live = (uint16_t)(pm->frames->frame[to.table].live + live);
}

/* Moves one entry of a higher level; an empty table may stand in its place. */
static void move_entry(struct pagemap *pm, struct spot from, struct spot to,
                       struct tlb_gather *gather)
{
	struct entry there = word_decode(pm, *to.word, to.level);

	if (there.kind == ENTRY_TABLE) {
		uint32_t table = entry_frame(pm, &there);

		vas_assert(pm->frames->frame[table].live == 0);
		tlb_gather_put(gather, table);
		pm->ntables--;
	}
	word_write(pm, to.table, to.word, *from.word);
	word_write(pm, from.table, from.word, 0);
}

void pagemap_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len,
                  struct tlb_gather *gather)
{
	uint64_t done = 0;

	while (done < len) {
		struct move_step step = move_plan(pm, from + done, to + done, len - done);

		if (!step.empty) {
			struct spot target = spot_make(pm, to + done, step.level);

			vas_assert(target.word && step.source.level == step.level);
			if (step.level == 0)
				move_run(pm, step.source, target, step.nwords);
			else
				move_entry(pm, step.source, target, gather);
			tlb_gather_range(gather, from + done, from + done + step.len);
		}
		done += step.len;
	}
	pagemap_clear(pm, from, from + len, gather); /* the tables left empty */
}

/* ---- Looking, copying, checking ------------------------------------------------------------- */

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
			go_on = table_walk(walk, entry_frame(pm, &e), level - 1, addr, next,
			                   writable & e.rights);
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

/* One entry of `from`, at addr and level, appears in `to` as well. */
static bool entry_share(struct pagemap *to, struct pagemap *from, uint64_t addr, struct spot source)
{
	struct spot target = spot_make(to, addr, source.level);
	uint64_t word;

	if (!target.word)
		return false;
	word = word_share(from, *source.word, source.level);
	*source.word = word;
	word_write(to, target.table, target.word, word);
	return true;
}

/* Whether the table below an entry can be shared: the hardware heeds the entry's rights, all of it
 * is wanted, and no mark in it would have to stay where the pages go. */
static bool table_is_shareable(const struct pagemap *pm, uint64_t len, unsigned level)
{
	return pm->format->tables_protect && !pm->marked && len == format_span(pm->format, level);
}

static bool table_share(struct pagemap *to, struct pagemap *from, uint32_t table, unsigned level,
                        uint64_t start, uint64_t end)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(from, table) + format_index(from->format, addr, level);
		struct entry e = word_decode(from, *word, level);
		struct spot source = {.word = word, .table = table, .level = level};

		next = min_u64(end, slot_limit(from, addr, level));
		if (e.kind == ENTRY_ABSENT)
			continue;
		if (e.kind == ENTRY_TABLE && !table_is_shareable(from, next - addr, level)) {
			if (!(e.rights & RIGHT_WRITE) && !table_own(from, word, level))
				return false;
			e = word_decode(from, *word, level);
			if (!table_share(to, from, entry_frame(from, &e), level - 1, addr, next))
				return false;
			continue;
		}
		if (!entry_share(to, from, addr, source))
			return false;
		if (e.kind == ENTRY_TABLE)
			to->ntables += count_tables(from, entry_frame(from, &e), level - 1);
	}
	return true;
}

bool pagemap_share(struct pagemap *to, struct pagemap *from, uint64_t start, uint64_t end,
                   struct tlb_gather *gather)
{
	to->marked |= from->marked;
	to->large |= from->large;
	tlb_gather_range(gather, start, end);
	return table_share(to, from, from->root, top_level(from), start, end);
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
		table = entry_frame(pm, &e);
	}
}

static void table_recount(const struct pagemap *pm, uint32_t table, unsigned level, uint32_t step)
{
	struct frame *f = &pm->frames->frame[table];
	uint32_t before = f->refs;

	/* What is in it counts once: at the last reference taken away, or the first given back. */
	f->refs += step;
	if (f->refs != 0 && before != 0)
		return;
	for (unsigned i = 0; i < format_entries(pm->format); i++) {
		struct entry e = word_decode(pm, table_words(pm, table)[i], level);
		uint32_t frame = entry_frame(pm, &e);

		if (e.kind == ENTRY_TABLE)
			table_recount(pm, frame, level - 1, step);
		for (uint32_t n = 0;
		     e.kind == ENTRY_LEAF && frame != pm->zero && n < leaf_frames(pm, level); n++)
			pm->frames->frame[frame + n].refs += step;
	}
}

void pagemap_recount(const struct pagemap *pm, uint32_t step)
{
	table_recount(pm, pm->root, top_level(pm), step);
}

/* Whether the tables below `table` are sound, and how many there are. */
struct table_census {
	const struct pagemap *pm;
	uint64_t ntables;
	const char *broken;
};

static void census_table(struct table_census *census, uint32_t table, unsigned level)
{
	const struct pagemap *pm = census->pm;
	const struct frame *f = &pm->frames->frame[table];

	census->ntables++;
	if (f->live != live_words(table_words(pm, table), format_entries(pm->format)))
		census->broken = "live is the number of a table's words that are not zero";
	if (f->live == 0 && table != pm->root)
		census->broken = "no table but the root is empty";
	if (f->refs == 0)
		census->broken = "a table holds a reference on its frame";
	for (unsigned i = 0; level > 0 && i < format_entries(pm->format); i++) {
		struct entry e = word_decode(pm, table_words(pm, table)[i], level);

		if (e.kind != ENTRY_TABLE)
			continue;
		if ((e.rights & RIGHT_WRITE) && pm->frames->frame[entry_frame(pm, &e)].refs > 1)
			census->broken =
				"an entry with the right to write points to a table of its own";
		census_table(census, entry_frame(pm, &e), level - 1);
	}
}

const char *pagemap_check(const struct pagemap *pm)
{
	struct table_census census = {.pm = pm};

	census_table(&census, pm->root, top_level(pm));
	if (!census.broken && census.ntables != pm->ntables)
		census.broken = "ntables is the number of tables";
	return census.broken;
}
