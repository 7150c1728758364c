/* pagetable_share.c - what two maps share after fork, and whose each table is.
 *
 *	parent  [ word ]--+--> [ table ]     an entry to a shared table has no right to write,
 *	child   [ word ]--+                  so it is copied before anything below is written
 *
 * Owns the counts of tables, and the equations that check them. Which vmas a fork shares, and why,
 * is not known here.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetable.h"

/* ---- Owning --------------------------------------------------------------------------------- */

/* Notes one more user of a large leaf's frames, and answers it without the right to write. */
static uint64_t share_large(const struct pagetable *pt, uint64_t word, unsigned level)
{
	uint32_t block = word_frame_of(pt, word);
	bool counted = !frame_is_zeros(pt->frames, block);

	for (uint32_t i = 0; counted && i < format_frames(pt->format, level); i++)
		frame_get(pt->frames, block + i);
	return word_readonly(pt->format, word);
}

/* Notes one more user of what n words of a table refer to, and writes them to another table too:
 * in both places without the right to write. Answers how many are not zero. What the loop needs
 * stands in variables of its own, since it is what fork and the first write after it cost. */
static inline unsigned share_words(const struct pagetable *pt, uint64_t *from, uint64_t *to,
                                   unsigned n, unsigned level)
{
	const struct vas_format *format = pt->format;
	const uint64_t frame_mask = format->frame_mask, phys_mask = format->phys_mask;
	const uint64_t kept = ~(level > 0 ? format->table_ro_mask : format->leaf_ro_mask);
	const uint64_t ro_bits = level > 0 ? format->table_ro_bits : format->leaf_ro_bits;
	const uint64_t first = pt->frames->phys >> format->page_shift;
	const unsigned shift = (unsigned)format->page_shift - format->phys_shift;
	struct frame *const frame = pt->frames->frame;
	const bool threads = pt->frames->port->threads;
	const uint32_t zero = pt->zero;
	unsigned live = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t word = from[i], shared = word;

		if (level > 0 && (word & frame_mask) && !word_is_table(format, word)) {
			shared = share_large(pt, word, level);
		} else if (word & frame_mask) {
			uint64_t index = ((word & phys_mask) >> shift) - first;

			shared = (word & kept) | ro_bits;
			if (index != zero)
				counter_add(&frame[index].refs, threads);
		}
		to[i] = shared;
		live += word != 0;
		/* Others may be reading; all they can lose is a right they do not have. */
		if (shared != word)
			__atomic_store_n(&from[i], shared, __ATOMIC_RELAXED);
	}
	return live;
}

/* Fills `copy` with what the shared table holds; from now on both hold it. */
static void copy_table(struct pagetable *pt, uint32_t copy, uint32_t shared, unsigned level)
{
	uint64_t *from = table_words(pt, shared), *to = table_words(pt, copy);
	unsigned n = format_entries(pt->format);

	/* The level said as a constant where speed counts. */
	pt->frames->frame[copy].live = (uint16_t)(level == 0 ? share_words(pt, from, to, n, 0)
	                                                     : share_words(pt, from, to, n, level));
}

/* Another table with the same in it: the others keep theirs. No translation changes, but who walks
 * on from the old word walks a table that is others'. */
static bool split_off(struct pagetable *pt, struct spot spot, uint64_t addr)
{
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};
	uint32_t shared = word_frame_of(pt, *spot.word), copy = table_alloc(pt->stock);
	struct frame *f = &pt->frames->frame[shared];

	if (copy == FRAME_NONE)
		return false;
	/* Others may be copying it too, and all take the right to write from what is in it. */
	spin_lock(pt->frames->port, &f->lock, LOCK_TABLE);
	copy_table(pt, copy, shared, spot.level - 1);
	spin_unlock(pt->frames->port, &f->lock);
	e.phys = frame_phys(pt->frames, copy);
	if (pt->format->break_before_make)
		*spot.word = 0;
	pagetable_note(pt, addr, addr + format_page_size(pt->format), spot.level,
	               GATHER_TABLES | GATHER_TAKEN);
	if (pt->format->break_before_make)
		gather_flush(pt->gather);
	*spot.word = pt->format->encode(&e, spot.level);
	gather_table(pt->gather, shared, spot.level - 1);
	return true;
}

/* Whoever else had it has flushed before he let go of it: if nobody has, it is this map's alone.
 * Nothing in it could be written, and nothing becomes writable that was not before. */
bool table_unshare(struct pagetable *pt, struct spot spot, uint64_t addr)
{
	struct entry e = word_decode(pt, *spot.word, spot.level);

	if (frame_refs(pt->frames, word_frame_of(pt, *spot.word)) > 1)
		return split_off(pt, spot, addr);
	e.rights = RIGHT_WRITE;
	*spot.word = pt->format->encode(&e, spot.level);
	pagetable_note(pt, addr, addr + format_page_size(pt->format), spot.level,
	               GATHER_TABLES | GATHER_GIVEN);
	return true;
}

/* ---- Sharing -------------------------------------------------------------------------------- */

struct sharing {
	struct pagetable *to, *from;
	bool whole_tables;
};

/* How many words from this entry on can stand in both trees as they are, `to` being their places if
 * there is a table there: leaves and marks can, and tables of leaves that are wanted whole, with
 * nothing in their places. Higher tables are copied, so that the first write after it copies one
 * table and not several. */
static unsigned run_length(const struct sharing *sharing, const struct slots *s, const uint64_t *to)
{
	unsigned level = s->spot.level;
	unsigned n = (unsigned)((s->limit - s->start) >>
	                        format_shift(sharing->from->format, level));
	bool all = level == 0 || (level == 1 && sharing->whole_tables);

	if (all && !to)
		return n;
	for (unsigned i = 0; i < n; i++) {
		if ((to && to[i] != 0) || (!all && is_table(sharing->from, s->spot.word[i], level)))
			return i;
	}
	return n;
}

static bool share_extent(const struct sharing *sharing, struct extent extent);

/* What is below an entry that leads to a table is shared entry by entry. */
static bool share_below(const struct sharing *sharing, const struct slots *s)
{
	if (!word_is_writable(sharing->from, *s->spot.word) &&
	    !table_unshare(sharing->from, s->spot, s->start))
		return false;
	return share_extent(sharing, slots_below(sharing->from, s));
}

/* The words of a table of `to` at this level, NULL if there is none. */
static uint64_t *words_there(const struct sharing *s, uint64_t addr, unsigned level)
{
	struct spot spot = spot_find(s->to, addr, level);

	return spot.level == level ? table_words(s->to, spot.table) : NULL;
}

/* n words from this entry on go as they are, and cannot be written any more. False: no memory. */
static bool share_run(const struct sharing *sharing, const struct slots *s, unsigned n)
{
	unsigned level = s->spot.level;
	struct spot target = spot_make(sharing->to, s->start, level);
	struct frame *f = &sharing->to->frames->frame[target.table];

	if (!target.word)
		return false;
	if (level > 0 && !(stock_keep(sharing->to->stock) && stock_keep(sharing->from->stock)))
		return false;
	f->live = (uint16_t)(f->live +
	                     share_words(sharing->from, s->spot.word, target.word, n, level));
	pagetable_note(sharing->from, s->start, s->start + n * s->span, 0,
	               GATHER_LEAVES | (level > 0 ? GATHER_TABLES : 0));
	return true;
}

static bool share_extent(const struct sharing *sharing, struct extent extent)
{
	const uint64_t *to = words_there(sharing, extent.start, extent.level);
	const uint64_t *first = table_words(sharing->from, extent.table);
	unsigned n, run;

	for (struct slots s = slots_of(sharing->from, &extent); slots_more(&s); slots_skip(&s, n)) {
		n = 1;
		if (*s.spot.word == 0)
			continue;
		run = 0;
		if (is_aligned(s.start, s.span))
			run = run_length(sharing, &s, to ? to + (s.spot.word - first) : NULL);
		if (run > 0 ? !share_run(sharing, &s, run) : !share_below(sharing, &s))
			return false;
		n = run > 0 ? run : 1;
		to = words_there(sharing, extent.start, extent.level);
	}
	return true;
}

bool pagetable_share(struct pagetable *to, struct pagetable *from, uint64_t start, uint64_t end,
                     bool whole_tables)
{
	struct sharing sharing = {to, from, whole_tables && from->format->tables_protect};

	return share_extent(&sharing, extent_of(from, start, end));
}

/* ---- Counting and checking ------------------------------------------------------------------ */

static void recount_leaf(const struct pagetable *pt, uint32_t frame, unsigned level, uint32_t step)
{
	for (uint32_t i = 0; i < format_frames(pt->format, level); i++)
		pt->frames->frame[frame + i].refs += step;
}

static void recount_table(const struct pagetable *pt, uint32_t table, unsigned level, uint32_t step)
{
	struct frame *f = &pt->frames->frame[table];
	uint32_t before = f->refs;

	/* What is in it counts once: at the last reference taken away, or the first given back. */
	f->refs += step;
	if (f->refs != 0 && before != 0)
		return;
	for (unsigned i = 0; i < table_entries(pt, table); i++) {
		uint64_t word = table_words(pt, table)[i];
		uint32_t frame = word_frame_of(pt, word);

		if (is_table(pt, word, level))
			recount_table(pt, frame, level - 1, step);
		else if (word_has_frame(pt->format, word) && frame != pt->zero &&
		         !frame_is_zeros(pt->frames, frame))
			recount_leaf(pt, frame, level, step);
	}
}

void pagetable_recount(const struct pagetable *pt, uint32_t step)
{
	recount_table(pt, pt->root, pt->top, step);
}

/* Whether the tables below `table` are sound. */
struct table_census {
	const struct pagetable *pt;
	const char *broken;
};

static void check_table(struct table_census *census, uint32_t table, unsigned level)
{
	const struct pagetable *pt = census->pt;
	const uint64_t *words = table_words(pt, table);
	unsigned live = 0, counted = pt->frames->frame[table].live;
	uint32_t refs = frame_refs(pt->frames, table);

	for (unsigned i = 0; i < table_entries(pt, table); i++)
		live += word_look(&words[i]) != 0;
	if (counted != live)
		census->broken = "live is the number of a table's words that are not zero";
	if (live == 0 && table != pt->root)
		census->broken = "no table but the root is empty";
	if (refs == 0)
		census->broken = "a table holds a reference on its frame";
	if (refs > 1 && table == pt->root)
		census->broken = "nobody shares a root";
	for (unsigned i = 0; level > 0 && i < table_entries(pt, table); i++) {
		uint64_t word = words[i];

		if (!is_table(pt, word, level))
			continue;
		if (word_is_writable(pt, word) &&
		    frame_refs(pt->frames, word_frame_of(pt, word)) > 1)
			census->broken =
				"an entry with the right to write points to a table of its own";
		check_table(census, word_frame_of(pt, word), level - 1);
	}
}

const char *pagetable_check(const struct pagetable *pt)
{
	struct table_census census = {.pt = pt};

	check_table(&census, pt->root, pt->top);
	return census.broken;
}

/* Leaf tables are counted without a look at what is in them. */
static uint64_t tables_below(const struct pagetable *pt, uint32_t table, unsigned level)
{
	uint64_t n = 0;

	for (unsigned i = 0; level > 0 && i < table_entries(pt, table); i++) {
		uint64_t word = table_words(pt, table)[i];

		if (is_table(pt, word, level))
			n += 1 + tables_below(pt, word_frame_of(pt, word), level - 1);
	}
	return n;
}

uint64_t pagetable_count_tables(const struct pagetable *pt)
{
	return tables_below(pt, pt->root, pt->top) + (pt->top < pt->format->levels - 1u);
}
