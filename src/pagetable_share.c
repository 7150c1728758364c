/* pagetable_share.c - what two maps share after fork, and whose each table is.
 *
 * SPDX-License-Identifier: MIT */
#include "pagetable.h"

/* ---- Owning --------------------------------------------------------------------------------- */

/* Notes one more user of what a word refers to, and answers it without the right to write. */
static uint64_t word_share(const struct pagemap *pm, uint64_t word, unsigned level)
{
	bool table = leads_on(pm, word, level);
	uint32_t frame, n;

	if (!word_has_frame(pm->format, word))
		return word;
	frame = word_frame_of(pm, word);
	n = table ? 1 : format_frames(pm->format, level);
	for (uint32_t i = 0; i < n && frame != pm->zero; i++)
		frame_get(pm->frames, frame + i);
	return word_readonly(pm->format, word, table);
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

bool table_leave(struct pagemap *pm, uint32_t table)
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

/* It is copied, or found to be this map's alone. Nothing in it could be written, and nothing
 * becomes writable that was not before it was shared, so no translation grows stale. */
bool table_own(struct pagemap *pm, uint64_t *word, unsigned level)
{
	struct entry e = word_decode(pm, *word, level);
	uint32_t shared = word_frame_of(pm, *word), copy = FRAME_NONE;
	struct frame *f = &pm->frames->frame[shared];
	bool owned = true;

	/* Its lock orders those who let go of it: the last has it for itself. */
	spin_lock(pm->frames->port, &f->lock);
	if (frame_refs(pm->frames, shared) > 1) {
		copy = frame_alloc(pm->frames, 0);
		owned = copy != FRAME_NONE;
		if (owned) {
			table_copy(pm, copy, shared, level - 1);
			frame_put(pm->frames, shared);
			e.phys = frame_phys(pm->frames, copy);
		}
	}
	spin_unlock(pm->frames->port, &f->lock);
	if (!owned)
		return false;
	e.rights = RIGHT_WRITE;
	*word = pm->format->encode(&e, level);
	return true;
}

/* ---- Sharing -------------------------------------------------------------------------------- */

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
		struct spot source = {.word = word, .table = table, .level = level};

		next = min_u64(end, slot_limit(from, addr, level));
		if (*word == 0)
			continue;
		if (leads_on(from, *word, level) && !table_is_shareable(from, next - addr, level)) {
			if (!word_writable(from, *word) && !table_own(from, word, level))
				return false;
			if (!table_share(to, from, word_frame_of(from, *word), level - 1, addr,
			                 next))
				return false;
		} else if (!entry_share(to, from, addr, source)) {
			return false;
		}
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

/* ---- Counting and checking ------------------------------------------------------------------ */

static void leaf_recount(const struct pagemap *pm, uint32_t frame, unsigned level, uint32_t step)
{
	for (uint32_t i = 0; i < format_frames(pm->format, level); i++)
		pm->frames->frame[frame + i].refs += step;
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
		uint64_t word = table_words(pm, table)[i];
		uint32_t frame = word_frame_of(pm, word);

		if (leads_on(pm, word, level))
			table_recount(pm, frame, level - 1, step);
		else if (word_has_frame(pm->format, word) && frame != pm->zero)
			leaf_recount(pm, frame, level, step);
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
		uint64_t word = table_words(pm, table)[i];

		if (!leads_on(pm, word, level))
			continue;
		if (word_writable(pm, word) && frame_refs(pm->frames, word_frame_of(pm, word)) > 1)
			census->broken =
				"an entry with the right to write points to a table of its own";
		census_table(census, word_frame_of(pm, word), level - 1);
	}
}

const char *pagemap_check(const struct pagemap *pm)
{
	struct table_census census = {.pm = pm};

	census_table(&census, pm->root, top_level(pm));
	return census.broken;
}

uint64_t pagemap_count_tables(const struct pagemap *pm)
{
	struct table_census census = {.pm = pm};

	census_table(&census, pm->root, top_level(pm));
	return census.ntables;
}
