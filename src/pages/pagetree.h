/* pagetree.h - the records of the software page map: which tree holds which addresses.
 *
 * Where no hardware walks the tables, pages can hang off a record instead of off the address. A
 * record says that the pages of [start, end) are in a tree of its own, in order from `key` on, an
 * address in that tree; moving it is to write down another start. Nobody tells the map which vmas
 * there are: a page joins the record below it, so records come from moving alone.
 *
 * Moves of less than a leaf table go entry by entry, as on hardware: a record of its own, with a
 * table, would cost more.
 *
 * Invariants (verified by tree_check):
 *   records do not overlap; each has its own tree, which is not empty
 *   a tree holds nothing but what its record says, and all of that lies below its root
 *   a large leaf is aligned by its address as by its place in the tree
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PAGETREE_H
#define VAS_PAGETREE_H

#include "pages/pagetable.h"

/* What one tree holds of a range; on hardware there is one tree. */
struct piece {
	struct pagetable *table; /* the hardware's, or `of_record` */
	struct pagetable of_record;
	uint64_t start, end;   /* the guest's addresses */
	uint64_t key, key_end; /* the same in the tree */
	bool first, last;      /* of its tree: nothing is in it below, or above */
};

/* The first piece of [addr, end). False: no tree holds any of it. */
VAS_INTERNAL bool tree_piece(const struct pagemap *pm, uint64_t addr, uint64_t end,
                             struct piece *piece);

/* Removes the record of a piece if its tree has become empty. */
VAS_INTERNAL void tree_drop(struct pagemap *pm, const struct piece *piece);

/* The functions of pagemap.h that are not the same for every piece. */
VAS_INTERNAL bool tree_set(struct pagemap *pm, uint64_t addr, unsigned level,
                           const struct entry *entry);
VAS_INTERNAL bool tree_align(struct pagemap *pm, uint64_t addr, unsigned level);
VAS_INTERNAL bool tree_prepare_marks(struct pagemap *pm, uint64_t start, uint64_t end);
VAS_INTERNAL bool tree_prepare_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len);
VAS_INTERNAL void tree_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len);
VAS_INTERNAL bool tree_stock_move(struct pagemap *pm, uint64_t from, uint64_t to, uint64_t len);
VAS_INTERNAL bool tree_share(struct pagemap *to, struct piece *piece, bool whole_tables);
VAS_INTERNAL const char *tree_check(const struct pagemap *pm);

#endif
