/* interval.h - intervals that may overlap, in groups: which of a group meet [first, last)?
 *
 * A balanced tree (AVL) whose nodes are records of their own. An insertion takes its record from a
 * stock, a removal puts it back, so that who has stocked up before a change cannot fail in it, and
 * taking away never needs memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_INTERVAL_H
#define VAS_INTERVAL_H

#include "base/base.h"

struct slab_cache;

struct interval {
	struct interval *left, *right;
	uint64_t group;
	uint64_t first, last; /* [first, last) */
	uint64_t id;          /* tells apart those of a group that begin alike */
	uint64_t highest;     /* the highest `last` below and here */
	uint32_t height;
};

/* Invariants (verified by interval_check):
 *   in order of group, first and id, no two alike
 *   the heights of two siblings differ by one at the most
 *   count is the number of intervals */
struct interval_tree {
	struct interval *root;
	uint64_t count;
};

struct interval_stock {
	struct slab_cache *slab;
	struct interval *spare; /* linked by `right` */
	unsigned nspare;
};

/* As many as are kept when they come back. */
#define INTERVAL_STOCK 8u

/* Takes the memory for n insertions. False: not to be had. */
VAS_INTERNAL RARELY bool interval_stock_fill(struct interval_stock *stock, unsigned n);
VAS_INTERNAL struct interval *interval_stock_take(struct interval_stock *stock);
VAS_INTERNAL void interval_stock_give(struct interval_stock *stock, struct interval *interval);
VAS_INTERNAL void interval_stock_drain(struct interval_stock *stock);

/* Adds a record whose group, first, last and id are set; there is none like it. */
VAS_INTERNAL void interval_insert(struct interval_tree *tree, struct interval *interval);

/* Takes out the record with this group, first and id; NULL: there is none. */
VAS_INTERNAL struct interval *interval_remove(struct interval_tree *tree, uint64_t group,
                                              uint64_t first, uint64_t id);

/* The record with this group, first and id, and the first of the group that begins at `first` or
 * above; NULL: there is none. */
VAS_INTERNAL const struct interval *interval_find(const struct interval_tree *tree, uint64_t group,
                                                  uint64_t first, uint64_t id);
VAS_INTERNAL const struct interval *interval_next(const struct interval_tree *tree, uint64_t group,
                                                  uint64_t first);

/* Calls visit for each of the group that meets [first, last), in order, until it answers false;
 * false then. It may not change the tree. */
typedef bool interval_visit(void *ctx, const struct interval *interval);
VAS_INTERNAL bool interval_each(const struct interval_tree *tree, uint64_t group, uint64_t first,
                                uint64_t last, interval_visit *visit, void *ctx);

/* NULL, or the words of the invariant that does not hold. */
VAS_INTERNAL const char *interval_check(const struct interval_tree *tree);

#endif
