/* pagetable.h - one radix tree of tables: its life, one entry of it, and what is done with ranges.
 *
 * The functions named as those of pagemap.h do the same within one tree. In software an address of
 * the tree is not the guest's: only what is noted for the gather is.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PAGETABLE_H
#define VAS_PAGETABLE_H

#include "pages/walk.h"

/* The addresses under the root that holds addr. */
static inline uint64_t block_start(const struct pagetable *pt, uint64_t addr)
{
	return align_down(addr, format_span(pt->format, pt->top + 1));
}

static inline uint64_t block_end(const struct pagetable *pt, uint64_t addr)
{
	return block_start(pt, addr) + format_span(pt->format, pt->top + 1);
}

/* Tells the gather that words over [start, end) have changed. */
static inline void pagetable_note(const struct pagetable *pt, uint64_t start, uint64_t end,
                                  unsigned level, unsigned what)
{
	gather_note(pt->gather, start - pt->shift, end - pt->shift, level, what);
}

/* ---- The whole tree, and ranges of it ---- */

/* An empty root. False: no memory. */
VAS_INTERNAL bool pagetable_init(struct pagetable *pt);
VAS_INTERNAL void pagetable_destroy(struct pagetable *pt);
VAS_INTERNAL void pagetable_set_upper(struct pagetable *pt, const uint64_t *words);

/* How many entries of `table` are ours. */
static inline unsigned table_entries(const struct pagetable *pt, uint32_t table)
{
	return pt->has_upper && table == pt->root ? format_user_entries(pt->format) :
						    format_entries(pt->format);
}

VAS_INTERNAL bool pagetable_is_empty(const struct pagetable *pt, uint64_t start, uint64_t end);
VAS_INTERNAL void pagetable_present(const struct pagetable *pt, uint64_t start, uint64_t end,
                                    uint8_t *present);
VAS_INTERNAL bool pagetable_set(struct pagetable *pt, uint64_t addr, unsigned level,
                                const struct entry *entry);
VAS_INTERNAL void pagetable_collapse(struct pagetable *pt, uint64_t addr, unsigned level,
                                     const struct entry *leaf);
VAS_INTERNAL bool pagetable_split_at(struct pagetable *pt, uint64_t addr);
VAS_INTERNAL bool pagetable_is_split_at(const struct pagetable *pt, uint64_t addr);
VAS_INTERNAL bool pagetable_unshare(struct pagetable *pt, uint64_t start, uint64_t end);

enum marks { KEEP_MARKS, CLEAR_MARKS };
VAS_INTERNAL void pagetable_clear(struct pagetable *pt, uint64_t start, uint64_t end,
                                  enum marks marks);
VAS_INTERNAL bool pagetable_prepare_marks(struct pagetable *pt, uint64_t start, uint64_t end);
VAS_INTERNAL void pagetable_mark(struct pagetable *pt, uint64_t start, uint64_t end,
                                 const struct entry *mark);
VAS_INTERNAL void pagetable_protect(struct pagetable *pt, uint64_t start, uint64_t end,
                                    unsigned rights);
VAS_INTERNAL bool pagetable_walk(const struct pagetable *pt, uint64_t start, uint64_t end,
                                 pagemap_visit *visit, void *ctx);
VAS_INTERNAL unsigned pagetable_trace(const struct pagetable *pt, uint64_t addr,
                                      struct spot *spots);

/* From one tree to another, or within one. */
VAS_INTERNAL bool pagetable_prepare_move(struct pagetable *source, struct pagetable *target,
                                         uint64_t from, uint64_t to, uint64_t len);
VAS_INTERNAL bool pagetable_stock_move(struct pagetable *pt, uint64_t from, uint64_t to,
                                       uint64_t len);
VAS_INTERNAL void pagetable_move(struct pagetable *source, struct pagetable *target, uint64_t from,
                                 uint64_t to, uint64_t len);

/* ---- Trees that software takes apart ---- */

/* What lies from addr on becomes a tree of its own: root FRAME_NONE if that is nothing. What is
 * left may be nothing too. False: no memory, nothing changed. */
VAS_INTERNAL bool pagetable_split(struct pagetable *pt, uint64_t addr, struct pagetable *other);

/* Splits the large leaves in [start, end) whose size does not divide `shift`. */
VAS_INTERNAL bool pagetable_split_leaves(struct pagetable *pt, uint64_t start, uint64_t end,
                                         uint64_t shift);

/* Makes the tree, below whose root addr is, as high as `top`. False: no memory, and not so high. */
VAS_INTERNAL bool pagetable_raise(struct pagetable *pt, uint64_t addr, unsigned top);

/* Makes it as low as what is in it allows, and tells where its addresses begin then. */
VAS_INTERNAL uint64_t pagetable_lower(struct pagetable *pt, uint64_t addr);

/* ---- Sharing and checking ---- */

/* Tables are shared only where all of them is wanted, and only if `whole_tables`. */
VAS_INTERNAL bool pagetable_share(struct pagetable *to, struct pagetable *from, uint64_t start,
                                  uint64_t end, bool whole_tables);

VAS_INTERNAL void pagetable_recount(const struct pagetable *pt, uint32_t step);
VAS_INTERNAL uint64_t pagetable_count_tables(const struct pagetable *pt);
VAS_INTERNAL const char *pagetable_check(const struct pagetable *pt);

/* ---- Parts for these ---- */

/* Lets go of the tables in [start, end) that hold nothing. */
VAS_INTERNAL void pagetable_trim(struct pagetable *pt, uint64_t start, uint64_t end);

/* Replaces the large leaf at `spot`, of addr, by a table of leaves one level down. False: no
 * memory. */
VAS_INTERNAL bool leaf_split(struct pagetable *pt, struct spot spot, uint64_t addr);

/* The table that the word at `spot`, of addr, leads to becomes this map's own. False: no memory. */
VAS_INTERNAL bool table_unshare(struct pagetable *pt, struct spot spot, uint64_t addr);

#endif
