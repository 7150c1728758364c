/* range_tree.h - an ordered tree of ranges, with the largest gap below each node.
 *
 * A B+tree that keeps ranges by value in its leaves: no pointer to one exists outside it, so none
 * can dangle; callers work on copies and write them back. It knows ranges and order, and carries a
 * body of a few words whose meaning is its users' own: those are the vmas of a space (space/vma.h)
 * and the records of its software trees (pages/pagetree.c).
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_RANGE_TREE_H
#define VAS_RANGE_TREE_H

#include "base/base.h"

struct slab_cache;

struct range_body {
	uint64_t word[4];
};

struct range {
	uint64_t start, end; /* start < end */
	struct range_body body;
};

/* Small values make rare paths frequent: tests build with the smallest. */
#ifndef VAS_TREE_LEAF
#define VAS_TREE_LEAF 10
#endif
#ifndef VAS_TREE_FANOUT
#define VAS_TREE_FANOUT 15
#endif
#define VAS_TREE_HEIGHT 20

struct tree_node;

/* The way from the root to a slot of a leaf, by level, and the addresses that belong there: to the
 * leaf those from `low` on, to the slot those in [from, to), from the end of the range before to
 * that of its own. */
struct path {
	struct tree_node *node[VAS_TREE_HEIGHT]; /* node[0]: the leaf; NULL: it leads nowhere */
	unsigned slot[VAS_TREE_HEIGHT];
	uint64_t low, from, to; /* from == to: none */
};

/* A tree has a position: where range_tree_seek found what it looked for, or where the last change
 * was. Questions and changes near it need no search from the root.
 *
 * Invariants (verified by range_tree_check):
 *   ranges are ordered and do not overlap; count is their number
 *   all leaves are at the same depth; a leaf is not empty, an inner node has two children at least
 *   ends that are not used hold no address
 *   a parent's record of a child is the child's first start, last end and largest gap between
 *   the position is a way from the root to a slot, and knows which addresses belong there */
struct range_tree {
	struct tree_node *root; /* NULL: empty */
	unsigned height;        /* levels; 0: empty */
	uint64_t count;
	struct slab_cache *slab;
	struct tree_node *spare; /* nodes in reserve, linked */
	unsigned nspare;
	struct path path; /* to the position */
};

/* The nodes that `ninserts` insertions can need at the most: each splits every level once and may
 * add a root; the tree can grow while the reserve is used up. */
static inline unsigned range_tree_needs(const struct range_tree *tree, unsigned ninserts)
{
	return ninserts * (tree->height + 2);
}

static inline bool range_tree_has_reserve(const struct range_tree *tree, unsigned ninserts)
{
	return tree->nspare >= range_tree_needs(tree, ninserts);
}

/* Takes the memory for them. False: not to be had. */
VAS_INTERNAL bool range_tree_reserve(struct range_tree *tree, unsigned ninserts);

/* The range that holds addr or is the first above it: false if there is none. */
VAS_INTERNAL bool range_tree_find(const struct range_tree *tree, uint64_t addr, struct range *out);

/* The same for those who may change the tree: the position goes there. */
VAS_INTERNAL bool range_tree_seek(struct range_tree *tree, uint64_t addr, struct range *out);

/* The range that starts at addr, and the one that ends there. */
VAS_INTERNAL bool range_tree_starting(const struct range_tree *tree, uint64_t addr,
                                      struct range *out);
VAS_INTERNAL bool range_tree_ending(const struct range_tree *tree, uint64_t addr,
                                    struct range *out);

/* The last range that starts below addr. */
VAS_INTERNAL bool range_tree_before(const struct range_tree *tree, uint64_t addr,
                                    struct range *out);

/* Puts `nnew` ranges, in order, in the place of the `nold` that follow each other from addr on: all
 * lies between the neighbours of those, or where nothing is. The memory for nnew insertions has
 * been reserved; one in the place of several needs none, the parts of one that is split (the first
 * begins where it does) one less than there are parts. */
VAS_INTERNAL void range_tree_splice(struct range_tree *tree, uint64_t addr, unsigned nold,
                                  const struct range *new, unsigned nnew);

/* Adds a range where nothing is. The memory has been reserved. */
VAS_INTERNAL void range_tree_insert(struct range_tree *tree, const struct range *range);

/* Writes `range` over the one that starts at `start`; it may not reach over a neighbour. */
VAS_INTERNAL void range_tree_replace(struct range_tree *tree, uint64_t start,
                                     const struct range *range);

/* A hole of at least `len` bytes in [low, high): the highest, or the lowest. False: none. */
VAS_INTERNAL bool range_tree_gap(const struct range_tree *tree, uint64_t low, uint64_t high,
                               uint64_t len, bool highest, uint64_t *gap_start, uint64_t *gap_end);

/* Frees all nodes, the spare ones too. */
VAS_INTERNAL void range_tree_destroy(struct range_tree *tree);

/* NULL, or the words of the invariant that does not hold. */
VAS_INTERNAL const char *range_tree_check(const struct range_tree *tree);

#endif
