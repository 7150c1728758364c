/* pagetable_share.c - what two maps share after fork, and whose each table is.
 *
 * SPDX-License-Identifier: MIT */
#include "pagetable.h"

/* ---- Owning --------------------------------------------------------------------------------- */

/* Notes one more user of what a word refers to, and answers it without the right to write. */
static uint64_t word_share(const struct pagetable *pt, uint64_t word, unsigned level)
{
	bool table = leads_on(pt, word, level);
	uint32_t frame, n;

	if (!word_has_frame(pt->format, word))
		return word;
	frame = word_frame_of(pt, word);
	n = table ? 1 : format_frames(pt->format, level);
	for (uint32_t i = 0; i < n && frame != pt->zero; i++)
		frame_get(pt->frames, frame + i);
	return word_readonly(pt->format, word, table);
}

/* Fills `copy` with what the shared table holds; from now on both hold it. */
static void table_copy(struct pagetable *pt, uint32_t copy, uint32_t shared, unsigned level)
{
	uint64_t *from = table_words(pt, shared), *to = table_words(pt, copy);

	for (unsigned i = 0; i < format_entries(pt->format); i++) {
		to[i] = word_share(pt, from[i], level);
		/* Others may be reading; all they can lose is a right they do not have. */
		__atomic_store_n(&from[i], to[i], __ATOMIC_RELAXED);
	}
	pt->frames->frame[copy].live = pt->frames->frame[shared].live;
}

bool table_leave(struct pagetable *pt, uint32_t table)
{
	struct frame *f = &pt->frames->frame[table];
	bool others;

	spin_lock(pt->frames->port, &f->lock);
	others = frame_refs(pt->frames, table) > 1;
	if (others)
		frame_put(pt->frames, table);
	spin_unlock(pt->frames->port, &f->lock);
	return others;
}

/* It is copied, or found to be this map's alone. Nothing in it could be written, and nothing
 * becomes writable that was not before it was shared, so no translation grows stale. */
bool table_own(struct pagetable *pt, uint64_t *word, unsigned level)
{
	struct entry e = word_decode(pt, *word, level);
	uint32_t shared = word_frame_of(pt, *word), copy = FRAME_NONE;
	struct frame *f = &pt->frames->frame[shared];
	bool owned = true;

	/* Its lock orders those who let go of it: the last has it for itself. */
	spin_lock(pt->frames->port, &f->lock);
	if (frame_refs(pt->frames, shared) > 1) {
		copy = frame_alloc(pt->frames, 0);
		owned = copy != FRAME_NONE;
		if (owned) {
			table_copy(pt, copy, shared, level - 1);
			frame_put(pt->frames, shared);
			e.phys = frame_phys(pt->frames, copy);
		}
	}
	spin_unlock(pt->frames->port, &f->lock);
	if (!owned)
		return false;
	e.rights = RIGHT_WRITE;
	*word = pt->format->encode(&e, level);
	return true;
}

/* ---- Sharing -------------------------------------------------------------------------------- */

/* One entry of `from`, at addr and level, appears in `to` as well. */
static bool entry_share(struct pagetable *to, struct pagetable *from, uint64_t addr,
                        struct spot source)
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

/* A table is shared if all of it is wanted, and nothing else is in its place. */
static bool table_share(struct pagetable *to, struct pagetable *from, uint32_t table,
                        unsigned level, uint64_t start, uint64_t end, bool whole_tables)
{
	uint64_t next;

	for (uint64_t addr = start; addr < end; addr = next) {
		uint64_t *word = table_words(from, table) + format_index(from->format, addr, level);
		struct spot source = {.word = word, .table = table, .level = level};
		bool whole;

		next = min_u64(end, slot_limit(from, addr, level));
		if (*word == 0)
			continue;
		whole = whole_tables && next - addr == format_span(from->format, level) &&
		        *spot_find(to, addr, level).word == 0;
		if (leads_on(from, *word, level) && !whole) {
			if (!word_writable(from, *word) && !table_own(from, word, level))
				return false;
			if (!table_share(to, from, word_frame_of(from, *word), level - 1, addr,
			                 next, whole_tables))
				return false;
		} else if (!entry_share(to, from, addr, source)) {
			return false;
		}
	}
	return true;
}

bool pagetable_share(struct pagetable *to, struct pagetable *from, uint64_t start, uint64_t end,
                     bool whole_tables)
{
	return table_share(to, from, from->root, from->top, start, end,
	                   whole_tables && from->format->tables_protect);
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
	for (unsigned i = 0; i < format_entries(pt->format); i++) {
		uint64_t word = table_words(pt, table)[i];
		uint32_t frame = word_frame_of(pt, word);

		if (leads_on(pt, word, level))
			table_recount(pt, frame, level - 1, step);
		else if (word_has_frame(pt->format, word) && frame != pt->zero)
			leaf_recount(pt, frame, level, step);
	}
}

void pagetable_recount(const struct pagetable *pt, uint32_t step)
{
	table_recount(pt, pt->root, pt->top, step);
}

/* Whether the tables below `table` are sound, and how many there are. */
struct table_census {
	const struct pagetable *pt;
	uint64_t ntables; /* but for those of the format's top level */
	const char *broken;
};

static void census_table(struct table_census *census, uint32_t table, unsigned level)
{
	const struct pagetable *pt = census->pt;
	const struct frame *f = &pt->frames->frame[table];

	census->ntables += level < pt->format->levels - 1u;
	if (f->live != live_words(table_words(pt, table), format_entries(pt->format)))
		census->broken = "live is the number of a table's words that are not zero";
	if (f->live == 0 && table != pt->root)
		census->broken = "no table but the root is empty";
	if (f->refs == 0)
		census->broken = "a table holds a reference on its frame";
	if (f->refs > 1 && table == pt->root)
		census->broken = "nobody shares a root";
	for (unsigned i = 0; level > 0 && i < format_entries(pt->format); i++) {
		uint64_t word = table_words(pt, table)[i];

		if (!leads_on(pt, word, level))
			continue;
		if (word_writable(pt, word) && frame_refs(pt->frames, word_frame_of(pt, word)) > 1)
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

uint64_t pagetable_count_tables(const struct pagetable *pt)
{
	struct table_census census = {.pt = pt};

	census_table(&census, pt->root, pt->top);
	return census.ntables;
}
