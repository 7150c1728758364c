/* pagemap.h - the one question: which frame is behind this page, with what rights?
 *
 * The calls see only this interface. It owns the tables and the references that leaves hold on
 * frames; it knows nothing of vmas. Addresses and lengths are page aligned and below the end of
 * the format's addresses. What can run out of memory says so and is done before anything else is
 * changed; the rest cannot fail.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PAGEMAP_H
#define VAS_PAGEMAP_H

#include "format/format.h"
#include "memory/frame.h"
#include "pages/gather.h"
#include "pages/stock.h"
#include "tree/range_tree.h"

/* One radix tree of tables: all there is on hardware, the pages of one record in software.
 *
 * After fork, two maps share tables: a table's count is the number of entries that point to it, and
 * what it holds (references on frames and tables) it holds once. An entry that points to a table
 * which is or was shared has no right to write, so neither has anything below it; a map that wants
 * to change something below such an entry first owns the table: copies it, or, if it has become
 * the only user, gives the right back.
 *
 * Invariants (verified by pagetable_check):
 *   a table's frame has live == its words that are not zero; only the root may have live == 0
 *   every leaf but those of zeros (the zero frame, frame_is_zeros) holds a reference on each of
 *     its frames
 *   an entry with the right to write points to a table that nobody shares
 *   nobody shares a root */
struct pagetable {
	const struct vas_format *format;
	struct frame_pool *frames;
	struct gather *gather; /* told of every change of a present word */
	uint64_t shift;        /* from the guest's addresses to the tree's: 0 on hardware */
	uint32_t zero;         /* the shared frame of zeros: never counted, never written */
	struct table_stock *stock; /* of the map: where its tables come from */
	uint32_t root;
	unsigned top;    /* the root's level */
	bool has_upper;  /* the root's words beyond the user's addresses are the embedder's */
};

/* A space's pages: in the tables that an MMU walks, or in software trees (pagetree.c). */
struct pagemap {
	struct pagetable table;  /* of the hardware; without a root in software */
	struct table_stock stock;
	bool software;           /* then the pages are in `records` */
	bool large;              /* a leaf above level 0 was set in it once */
	bool marked;             /* a mark was set in it once: its tables are not shared */
	struct range_tree records; /* see pagetree.c */
};

/* A position in the tables: one word, the table it stands in, its level. */
struct spot {
	uint64_t *word;
	uint32_t table;
	unsigned level;
};

/* An empty map, in tables of the gather's format. Whatever changes it hands over to the gather what
 * it lets go of; closing that is up to the caller. */
VAS_INTERNAL bool pagemap_init(struct pagemap *pm, struct gather *gather, struct slab_cache *slab,
                               bool software);

/* The embedder's words of the root, those beyond the user's addresses: vas never looks at them. */
VAS_INTERNAL void pagemap_set_upper(struct pagemap *pm, const uint64_t *words);

/* Hands over all that is in the map, and its roots. */
VAS_INTERNAL void pagemap_destroy(struct pagemap *pm);

/* The entry that decides over addr, and its level: a leaf, a mark, or absent. */
VAS_INTERNAL struct entry pagemap_lookup(const struct pagemap *pm, uint64_t addr, unsigned *level);

/* Whether nothing, no leaf and no mark, is in [start, end). */
VAS_INTERNAL bool pagemap_is_empty(const struct pagemap *pm, uint64_t start, uint64_t end);

/* Writes 1 to `present` for each page of [start, end) that a leaf maps, and nothing for others. */
VAS_INTERNAL void pagemap_present(const struct pagemap *pm, uint64_t start, uint64_t end,
                                  uint8_t *present);

/* For faults that share the space's lock. The leaf word of addr, if there is one and the tables on
 * the way are this map's own: such words are written under their table's lock. word NULL: none. */
VAS_INTERNAL struct spot pagemap_find_own(const struct pagemap *pm, uint64_t addr);

/* Puts a leaf there, if nothing is. False: something is. */
VAS_INTERNAL bool pagemap_set_quick(struct pagemap *pm, struct spot spot,
                                    const struct entry *leaf);

/* Puts a leaf or mark at addr; takes over the reference the caller holds on its frames, if it is
 * not the leaf that is there already with other rights. Another leaf that is there, in a table of
 * this map's own, goes: flushed first. False: no memory, nothing changed (never where one is). */
VAS_INTERNAL bool pagemap_set(struct pagemap *pm, uint64_t addr, unsigned level,
                              const struct entry *entry);

/* Puts a large leaf where leaves one level down are, in tables of this map's own, and copies their
 * bytes into its frames once nobody writes them any more. No mark is there. False: no memory,
 * nothing changed. */
VAS_INTERNAL bool pagemap_collapse(struct pagemap *pm, uint64_t addr, unsigned level,
                                   const struct entry *leaf);

/* Splits large leaves and owns shared tables, so that none has something on both sides of addr.
 * False: no memory. */
VAS_INTERNAL bool pagemap_split_at(struct pagemap *pm, uint64_t addr);

/* Whether there can be any. */
static inline bool pagemap_can_cross(const struct pagemap *pm)
{
	return pm->stock.keep > 0;
}

/* Whether there is none at addr. */
VAS_INTERNAL bool pagemap_is_split_at(const struct pagemap *pm, uint64_t addr);

/* Owns all tables of [start, end), so that every entry can be changed. False: no memory. */
VAS_INTERNAL bool pagemap_unshare(struct pagemap *pm, uint64_t start, uint64_t end);

/* Removes all leaves and marks of [start, end), with their frames and the tables left empty. No
 * leaf and no shared table crosses a border (pagemap_split_at). pagemap_zap leaves the marks. */
VAS_INTERNAL void pagemap_clear(struct pagemap *pm, uint64_t start, uint64_t end);
VAS_INTERNAL void pagemap_zap(struct pagemap *pm, uint64_t start, uint64_t end);

/* Puts a mark on every page of [start, end), in the place of what is there. Preparing makes the
 * tables that it takes, empty; giving up lets go of such. False: no memory, and tables are left. */
VAS_INTERNAL bool pagemap_prepare_marks(struct pagemap *pm, uint64_t start, uint64_t end);
VAS_INTERNAL void pagemap_give_up_marks(struct pagemap *pm, uint64_t start, uint64_t end);
VAS_INTERNAL void pagemap_mark(struct pagemap *pm, uint64_t start, uint64_t end,
                               const struct entry *mark);

/* Gives the leaves of [start, end), whose tables are owned and which had no other rights than those
 * of `before`, these rights, but lets no leaf become writable that is not: the next write faults
 * and decides. */
VAS_INTERNAL void pagemap_protect(struct pagemap *pm, uint64_t start, uint64_t end, unsigned before,
                                  unsigned rights);

/* Makes the tables that moving [from, from + len) to `to` will need. Nothing is mapped at the
 * target; the ranges do not overlap. False: no memory, nothing changed.
 *
 * pagemap_stock_move before it, while something is still mapped at the target, stocks up for that:
 * with the stock open it cannot fail then. False: no memory. What is left of it, and is more than
 * is kept, is the caller's to trim. */
VAS_INTERNAL bool pagemap_stock_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len);
VAS_INTERNAL bool pagemap_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to,
                                       uint64_t len);

/* Moves all leaves and marks; a frame's bytes and references are not touched. */
VAS_INTERNAL void pagemap_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len);

/* Calls `visit` for each leaf and mark that begins in [start, end), in order, until it returns
 * false; false then. It may change or zap the entry it is shown, nothing else. */
typedef bool pagemap_visit(void *ctx, uint64_t addr, unsigned level, const struct entry *entry);
VAS_INTERNAL bool pagemap_walk(const struct pagemap *pm, uint64_t start, uint64_t end,
                               pagemap_visit *visit, void *ctx);

/* Makes `to`, empty in [start, end), show the same pages there as `from`; afterwards neither may
 * write to them before it has faulted. No leaf crosses a border. Whole tables are shared, if
 * `whole_tables`, the rest is copied. False: no memory; what was done stays, and is right. */
VAS_INTERNAL bool pagemap_share(struct pagemap *to, struct pagemap *from, uint64_t start,
                                uint64_t end, bool whole_tables);

/* The word of addr at each level from the top; how many levels there were, at least one on
 * hardware. They are good as long as the space is locked. */
VAS_INTERNAL unsigned pagemap_trace(const struct pagemap *pm, uint64_t addr, struct spot *spots);

/* How many entries besides this map's own point to the tables over addr: at the least so many other
 * maps share them, and 0 says that nobody does. *end: up to where that is the answer. */
VAS_INTERNAL uint32_t pagemap_sharers(const struct pagemap *pm, uint64_t addr, uint64_t *end);

/* Adds `step` (1 or -1) to the count of each frame the map refers to, once for each reference; a
 * shared table's own references are counted once, so all maps that share it must be visited. */
VAS_INTERNAL void pagemap_recount(const struct pagemap *pm, uint32_t step);

/* The tables of the map, shared ones included, but for those of the format's top level. */
VAS_INTERNAL uint64_t pagemap_count_tables(const struct pagemap *pm);

/* NULL, or the words of the invariant that does not hold. */
VAS_INTERNAL const char *pagemap_check(const struct pagemap *pm);

#endif
