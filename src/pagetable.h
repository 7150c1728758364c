/* pagetable.h - what the files of the hardware page map share: words, tables, positions.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PAGETABLE_H
#define VAS_PAGETABLE_H

#include "pagemap.h"

static inline uint64_t *table_words(const struct pagemap *pm, uint32_t table)
{
	return frame_host(pm->frames, table);
}

static inline struct entry word_decode(const struct pagemap *pm, uint64_t word, unsigned level)
{
	return pm->format->decode(word, level);
}

/* Whether a word of this level leads to a table; and the first frame of a table or leaf. */
static inline bool leads_on(const struct pagemap *pm, uint64_t word, unsigned level)
{
	return level > 0 && word_is_table(pm->format, word);
}

static inline uint32_t word_frame_of(const struct pagemap *pm, uint64_t word)
{
	return frame_of_phys(pm->frames, word_phys(pm->format, word));
}

static inline bool word_writable(const struct pagemap *pm, uint64_t word)
{
	return word_table_writable(pm->format, word);
}

static inline unsigned top_level(const struct pagemap *pm)
{
	return pm->format->levels - 1u;
}

/* Where the entry that covers addr at `level` ends. */
static inline uint64_t slot_limit(const struct pagemap *pm, uint64_t addr, unsigned level)
{
	uint64_t span = format_span(pm->format, level);

	return align_down(addr, span) + span;
}

static inline void word_write(struct pagemap *pm, uint32_t table, uint64_t *word, uint64_t value)
{
	struct frame *f = &pm->frames->frame[table];

	f->live = (uint16_t)(f->live + (value != 0) - (*word != 0));
	*word = value;
}

static inline unsigned live_words(const uint64_t *words, unsigned n)
{
	unsigned live = 0;

	for (unsigned i = 0; i < n; i++)
		live += words[i] != 0;
	return live;
}

/* A position in the tables: one word, the table it stands in, its level. */
struct spot {
	uint64_t *word;
	uint32_t table;
	unsigned level;
};

/* Descends to the entry of addr at `level`; stops above it where no table leads on. */
VAS_INTERNAL struct spot spot_find(const struct pagemap *pm, uint64_t addr, unsigned level);

/* As spot_find, but owns the tables on the way. word NULL: no memory. */
VAS_INTERNAL struct spot spot_own(struct pagemap *pm, uint64_t addr, unsigned level);

/* As spot_own, but makes the tables that are missing. word NULL: no memory; tables made on the way
 * then stay, empty, for the caller to clear. */
VAS_INTERNAL struct spot spot_make(struct pagemap *pm, uint64_t addr, unsigned level);

/* Frees the tables in [start, end) that hold nothing. */
VAS_INTERNAL void pagemap_trim(struct pagemap *pm, uint64_t start, uint64_t end,
                               struct tlb_gather *gather);

/* Replaces the large leaf at `spot` by a table of leaves one level down. False: no memory. */
VAS_INTERNAL bool leaf_split(struct pagemap *pm, struct spot spot);

/* The table below *word, a word of `level`, becomes this map's own. False: no memory. */
VAS_INTERNAL bool table_own(struct pagemap *pm, uint64_t *word, unsigned level);

/* Lets go of a table if others have it too; they keep what is in it. */
VAS_INTERNAL bool table_leave(struct pagemap *pm, uint32_t table);

#endif
