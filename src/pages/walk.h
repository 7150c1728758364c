/* walk.h - through the tables: words, the one way down, and the one loop over a range.
 *
 * An address has a field for each level, which says the word of a table there, and below them the
 * offset in the page. Geometry is data (format.h); this is x86-64 with four levels:
 *
 *	 63       48 47      39 38      30 29      21 20      12 11        0
 *	| as bit 47 | level 3  | level 2  | level 1  | level 0  |  offset   |
 *	                 |          |          |          |
 *	        root: [ word ] -> [ word ] -> [ word ] -> [ word ] -> frame
 *	    covers    512 GiB      1 GiB      2 MiB      4 KiB           (format_span)
 *
 * A word leads to the table one level down, or is a leaf that ends the way early, or a mark, or
 * nothing. What is done with the entries that are met here, and whose they are, is not known here.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_WALK_H
#define VAS_WALK_H

#include "pages/pagemap.h"

/* ---- Words ---- */

static inline uint64_t *table_words(const struct pagetable *pt, uint32_t table)
{
	return frame_host(pt->frames, table);
}

/* A word that others may be writing: faults that share the space's lock, one at a time, and in a
 * table that is shared those who take rights from it. */
static inline uint64_t word_look(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline struct entry word_decode(const struct pagetable *pt, uint64_t word, unsigned level)
{
	return pt->format->decode(word, level);
}

/* Whether a word of this level leads to a table; and the first frame of a table or leaf. */
static inline bool is_table(const struct pagetable *pt, uint64_t word, unsigned level)
{
	return level > 0 && word_is_table(pt->format, word);
}

static inline uint32_t word_frame_of(const struct pagetable *pt, uint64_t word)
{
	return frame_of_phys(pt->frames, word_phys(pt->format, word));
}

static inline bool word_is_writable(const struct pagetable *pt, uint64_t word)
{
	return word_is_writable_table(pt->format, word);
}

static inline void word_write(struct pagetable *pt, uint32_t table, uint64_t *word, uint64_t value)
{
	struct frame *f = &pt->frames->frame[table];

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

/* ---- One way down: to the entry of addr at `level`, or as far towards it as tables lead ---- */

/* Looks only. */
VAS_INTERNAL struct spot spot_find(const struct pagetable *pt, uint64_t addr, unsigned level);

/* Looks only, and stops at a table that others have too: what is below is not this map's to change.
 * For faults that share the space's lock. */
VAS_INTERNAL struct spot spot_find_own(const struct pagetable *pt, uint64_t addr, unsigned level);

/* Unshares the tables on the way. word NULL: no memory. */
VAS_INTERNAL struct spot spot_unshare(struct pagetable *pt, uint64_t addr, unsigned level);

/* And makes those that are missing. word NULL: no memory; tables made on the way then stay, empty,
 * for the caller to clear. */
VAS_INTERNAL struct spot spot_make(struct pagetable *pt, uint64_t addr, unsigned level);

/* The entry that decides over addr, with the rights that the tables above leave it. */
VAS_INTERNAL struct entry pagetable_lookup(const struct pagetable *pt, uint64_t addr,
                                           unsigned *level);

/* ---- One loop over a range: for (struct slots s = slots_of(...); slots_more(&s); slots_next(&s)),
 * and slots_below for the table that an entry leads to ---- */

/* The part of a table that covers [start, end), and no more than that is asked of it. */
struct extent {
	uint32_t table;
	unsigned level;
	uint64_t start, end;
};

/* The entries of an extent, one at a time. */
struct slots {
	struct spot spot;    /* the entry, */
	uint64_t start, end; /* and what it covers of the extent */
	uint64_t limit;      /* the extent's end */
	uint64_t span;       /* what a whole entry covers */
};

static inline struct extent extent_of(const struct pagetable *pt, uint64_t start, uint64_t end)
{
	return (struct extent){pt->root, pt->top, start, end};
}

static inline struct slots slots_of(const struct pagetable *pt, const struct extent *extent)
{
	uint64_t span = format_span(pt->format, extent->level);
	unsigned index = format_index(pt->format, extent->start, extent->level);

	return (struct slots){
		.spot = {table_words(pt, extent->table) + index, extent->table, extent->level},
		.start = extent->start,
		.end = min_u64(extent->end, align_down(extent->start, span) + span),
		.limit = extent->end,
		.span = span,
	};
}

static inline bool slots_more(const struct slots *s)
{
	return s->start < s->limit;
}

static inline void slots_next(struct slots *s)
{
	s->spot.word++;
	s->start = s->end;
	s->end = min_u64(s->limit, s->end + s->span);
}

/* Passes by n entries, of which this is the first. */
static inline void slots_skip(struct slots *s, unsigned n)
{
	s->spot.word += n;
	s->start = align_down(s->start, s->span) + n * s->span;
	s->end = min_u64(s->limit, s->start + s->span);
}

/* Whether the extent has all of this entry. */
static inline bool slots_is_whole(const struct slots *s)
{
	return s->end - s->start == s->span;
}

static inline struct extent slots_below(const struct pagetable *pt, const struct slots *s)
{
	return (struct extent){word_frame_of(pt, *s->spot.word), s->spot.level - 1, s->start,
		               s->end};
}

#endif
