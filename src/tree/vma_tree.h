/* vma_tree.h - the ordered tree of vmas, with the largest gap below each node.
 *
 * A B+tree that keeps vmas by value in its leaves: no pointer to a vma exists outside it, so none
 * can dangle; callers work on copies and write them back. It knows ranges and order, nothing of
 * what the other fields mean.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_VMA_TREE_H
#define VAS_VMA_TREE_H

#include "base/base.h"

struct slab_cache;
struct vas_file;

/* A virtual memory area: one line of maps. */
struct vma {
	uint64_t start, end;   /* page aligned, start < end */
	uint64_t flags;        /* VAS_VM_* */
	uint64_t pgoff;        /* page offset in the file; of anonymous memory see vma.h */
	uint64_t anon;         /* anonymous identity, 0: untouched; see vma.h */
	struct vas_file *file; /* what it maps, or NULL; the tree's copy holds one reference */
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
 * leaf those from `low` on, to the slot those in [from, to), from the end of the vma before to that
 * of its own. */
struct path {
	struct tree_node *node[VAS_TREE_HEIGHT]; /* node[0]: the leaf; NULL: it leads nowhere */
	unsigned slot[VAS_TREE_HEIGHT];
	uint64_t low, from, to; /* from == to: none */
};

/* A tree has a position: where vma_tree_seek found what it looked for, or where the last change
 * was. Questions and changes near it need no search from the root.
 *
 * Invariants (verified by vma_tree_check):
 *   vmas are ordered and do not overlap; count is their number
 *   all leaves are at the same depth; a leaf is not empty, an inner node has two children at least
 *   ends that are not used hold no address
 *   a parent's record of a child is the child's first start, last end and largest gap between
 *   the position is a way from the root to a slot, and knows which addresses belong there */
struct vma_tree {
	struct tree_node *root; /* NULL: empty */
	unsigned height;        /* levels; 0: empty */
	uint64_t count;
	struct slab_cache *slab;
	struct tree_node *spare; /* nodes in reserve, linked */
	unsigned nspare;
	struct path path; /* to the position */
};

/* Takes the memory that `ninserts` insertions can need at the most. False: not to be had. */
VAS_INTERNAL bool vma_tree_reserve(struct vma_tree *tree, unsigned ninserts);

/* The vma that holds addr or is the first above it: false if there is none. */
VAS_INTERNAL bool vma_tree_find(const struct vma_tree *tree, uint64_t addr, struct vma *out);

/* The same for those who may change the tree: the position goes there. */
VAS_INTERNAL bool vma_tree_seek(struct vma_tree *tree, uint64_t addr, struct vma *out);

/* The vma that starts at addr, and the one that ends there. */
VAS_INTERNAL bool vma_tree_starting(const struct vma_tree *tree, uint64_t addr, struct vma *out);
VAS_INTERNAL bool vma_tree_ending(const struct vma_tree *tree, uint64_t addr, struct vma *out);

/* The last vma that starts below addr. */
VAS_INTERNAL bool vma_tree_before(const struct vma_tree *tree, uint64_t addr, struct vma *out);

/* Puts `nnew` vmas, in order, in the place of the `nold` that follow each other from addr on: all
 * lies between the neighbours of those, or where nothing is. The memory for nnew insertions has
 * been reserved; one in the place of several needs none, the parts of one that is split (the first
 * begins where it does) one less than there are parts. */
VAS_INTERNAL void vma_tree_splice(struct vma_tree *tree, uint64_t addr, unsigned nold,
                                  const struct vma *new, unsigned nnew);

/* Adds a vma where nothing is. The memory has been reserved. */
VAS_INTERNAL void vma_tree_insert(struct vma_tree *tree, const struct vma *vma);

/* Writes `vma` over the one that starts at `start`; it may not reach over a neighbour. */
VAS_INTERNAL void vma_tree_replace(struct vma_tree *tree, uint64_t start, const struct vma *vma);

/* A hole of at least `len` bytes in [low, high): the highest, or the lowest. False: none. */
VAS_INTERNAL bool vma_tree_gap(const struct vma_tree *tree, uint64_t low, uint64_t high,
                               uint64_t len, bool highest, uint64_t *gap_start, uint64_t *gap_end);

/* Frees all nodes, the spare ones too. */
VAS_INTERNAL void vma_tree_destroy(struct vma_tree *tree);

/* NULL, or the words of the invariant that does not hold. */
VAS_INTERNAL const char *vma_tree_check(const struct vma_tree *tree);

#endif
