/* pagetable_share.c - what two maps share after fork, and whose each table is.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/pagetable.h"

/* ---- Owning --------------------------------------------------------------------------------- */

/* Notes one more user of a large leaf's frames, and answers it without the right to write. */
static uint64_t large_share(const struct pagetable *pt, uint64_t word, unsigned level)
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
static inline unsigned words_share(const struct pagetable *pt, uint64_t *from, uint64_t *to,
                                   unsigned n, unsigned level)
{
	const struct vas_format *format = pt->format;
	const uint64_t frame_mask = format->frame_mask, phys_mask = format->phys_mask;
	const uint64_t ro_mask = level > 0 ? format->table_ro_mask : format->leaf_ro_mask;
	const uint64_t ro_bits = level > 0 ? format->table_ro_bits : format->leaf_ro_bits;
	const uint64_t base = pt->frames->phys;
	const unsigned phys_shift = format->phys_shift, page_shift = format->page_shift;
	struct frame *const frame = pt->frames->frame;
	const bool threads = pt->frames->port->threads;
	const uint32_t zero = pt->zero;
	unsigned live = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t word = from[i], shared = word;

		if (level > 0 && (word & frame_mask) && !word_is_table(format, word)) {
			shared = large_share(pt, word, level);
		} else if (word & frame_mask) {
			uint64_t index = (((word & phys_mask) << phys_shift) - base) >> page_shift;

			shared = (word & ~ro_mask) | ro_bits;
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
static void table_copy(struct pagetable *pt, uint32_t copy, uint32_t shared, unsigned level)
{
	uint64_t *from = table_words(pt, shared), *to = table_words(pt, copy);
	unsigned n = format_entries(pt->format);

	/* The level said as a constant where speed counts. */
	pt->frames->frame[copy].live = (uint16_t)(level == 0 ? words_share(pt, from, to, n, 0)
	                                                     : words_share(pt, from, to, n, level));
}

/* Another table with the same in it: the others keep theirs. No translation changes, but who walks
 * on from the old word walks a table that is others'. */
static bool table_split_off(struct pagetable *pt, struct spot spot, uint64_t addr)
{
	struct entry e = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE};
	uint32_t shared = word_frame_of(pt, *spot.word),
		 copy = frame_alloc(pt->frames, pt->payer, 0);
	struct frame *f = &pt->frames->frame[shared];

	if (copy == FRAME_NONE)
		return false;
	/* Others may be copying it too, and all take the right to write from what is in it. */
	spin_lock(pt->frames->port, &f->lock, LOCK_TABLE);
	table_copy(pt, copy, shared, spot.level - 1);
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
		return table_split_off(pt, spot, addr);
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

/* How many words from `words` on can stand in both trees as they are, `to` being their places if
 * there is a table there: leaves and marks can, and tables of leaves that are wanted whole, with
 * nothing in their places. Higher tables are copied, so that the first write after it copies one
 * table and not several. */
static unsigned run_length(const struct sharing *s, const uint64_t *words, const uint64_t *to,
                           unsigned level, unsigned n)
{
	bool all = level == 0 || (level == 1 && s->whole_tables);

	if (all && !to)
		return n;
	for (unsigned i = 0; i < n; i++) {
		if ((to && to[i] != 0) || (!all && is_table(s->from, words[i], level)))
			return i;
	}
	return n;
}

static bool table_share(const struct sharing *s, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end);

/* What is below a word that leads to a table is shared entry by entry. */
static bool below_share(const struct sharing *s, struct spot spot, uint64_t start, uint64_t end)
{
	if (!word_is_writable(s->from, *spot.word) && !table_unshare(s->from, spot, start))
		return false;
	return table_share(s, word_frame_of(s->from, *spot.word), spot.level - 1, start, end);
}

/* The words of a table of `to` at this level, NULL if there is none. */
static uint64_t *words_there(const struct sharing *s, uint64_t addr, unsigned level)
{
	struct spot spot = spot_find(s->to, addr, level);

	return spot.level == level ? table_words(s->to, spot.table) : NULL;
}

/* n words from addr on go as they are, and cannot be written any more. False: no memory. */
static bool run_share(const struct sharing *s, uint64_t *words, uint64_t addr, unsigned level,
                      unsigned n)
{
	struct spot target = spot_make(s->to, addr, level);
	struct frame *f = &s->to->frames->frame[target.table];

	if (!target.word)
		return false;
	f->live = (uint16_t)(f->live + words_share(s->from, words, target.word, n, level));
	pagetable_note(s->from, addr, addr + ((uint64_t)n << format_shift(s->from->format, level)),
	               0, GATHER_LEAVES | (level > 0 ? GATHER_TABLES : 0));
	return true;
}

static bool table_share(const struct sharing *s, uint32_t table, unsigned level, uint64_t start,
                        uint64_t end)
{
	uint64_t *words = table_words(s->from, table), *to = words_there(s, start, level), next;
	uint64_t span = format_span(s->from->format, level);

	for (uint64_t addr = start; addr < end; addr = next) {
		unsigned index = format_index(s->from->format, addr, level), n = 0;
		struct spot spot = {.word = words + index, .table = table, .level = level};
		uint64_t limit = min_u64(end, slot_limit(s->from, addr, level + 1));

		next = min_u64(end, slot_limit(s->from, addr, level));
		if (words[index] == 0)
			continue;
		if (is_aligned(addr, span))
			n = run_length(
				s, words + index, to ? to + index : NULL, level,
				(unsigned)((limit - addr) >> format_shift(s->from->format, level)));
		if (n > 0)
			next = addr + n * span;
		if (n > 0 ? !run_share(s, words + index, addr, level, n)
		          : !below_share(s, spot, addr, next))
			return false;
		to = words_there(s, start, level);
	}
	return true;
}

bool pagetable_share(struct pagetable *to, struct pagetable *from, uint64_t start, uint64_t end,
                     bool whole_tables)
{
	struct sharing sharing = {to, from, whole_tables && from->format->tables_protect};

	return table_share(&sharing, from->root, from->top, start, end);
}

/* ---- Counting and checking ------------------------------------------------------------------ */

static void leaf_recount(const struct pagetable *pt, uint32_t frame, unsigned level, uint32_t step)
{
	for (uint32_t i = 0; i < format_frames(pt->format, level); i++)
		pt->frames->frame[frame + i].refs += step;
}

static void table_recount(const struct pagetable *pt, uint32_t table, unsigned level, uint32_t step)
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
			table_recount(pt, frame, level - 1, step);
		else if (word_has_frame(pt->format, word) && frame != pt->zero &&
		         !frame_is_zeros(pt->frames, frame))
			leaf_recount(pt, frame, level, step);
	}
}

void pagetable_recount(const struct pagetable *pt, uint32_t step)
{
	table_recount(pt, pt->root, pt->top, step);
}

/* Whether the tables below `table` are sound. */
struct table_census {
	const struct pagetable *pt;
	const char *broken;
};

static void census_table(struct table_census *census, uint32_t table, unsigned level)
{
	const struct pagetable *pt = census->pt;
	const struct frame *f = &pt->frames->frame[table];

	if (f->live != live_words(table_words(pt, table), table_entries(pt, table)))
		census->broken = "live is the number of a table's words that are not zero";
	if (f->live == 0 && table != pt->root)
		census->broken = "no table but the root is empty";
	if (f->refs == 0)
		census->broken = "a table holds a reference on its frame";
	if (f->refs > 1 && table == pt->root)
		census->broken = "nobody shares a root";
	for (unsigned i = 0; level > 0 && i < table_entries(pt, table); i++) {
		uint64_t word = table_words(pt, table)[i];

		if (!is_table(pt, word, level))
			continue;
		if (word_is_writable(pt, word) &&
		    frame_refs(pt->frames, word_frame_of(pt, word)) > 1)
			census->broken =
				"an entry with the right to write points to a table of its own";
		census_table(census, word_frame_of(pt, word), level - 1);
	}
}

const char *pagetable_check(const struct pagetable *pt)
{
	struct table_census census = {.pt = pt};

	census_table(&census, pt->root, pt->top);
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
