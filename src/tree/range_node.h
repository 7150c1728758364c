/* range_node.h - the nodes of a tree of ranges, for the files that find, change and check them.
 *
 *	 inner  | child 0        | child 1 | ...      of each: first start, last end, largest gap
 *	          |                |
 *	 leaf   |AA|  |BB||CC|   |DDDD|               starts, ends, bodies
 *
 * Nobody else includes this.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_RANGE_NODE_H
#define VAS_RANGE_NODE_H

#include "tree/range_tree.h"

/* A search takes every fourth key first, then the three before the next fourth. */
#define STRIDE 4u
#define NKEYS(n) (((n) + STRIDE) / STRIDE * STRIDE - 1)

/* Ranges stand apart from the rest: a search reads two or three cache lines of a node. It compares
 * without a branch, so what is not used of the ends holds NO_ADDRESS. */
struct tree_node {
	uint16_t count;
	uint16_t level; /* 0: leaf */
	union {
		struct {
			uint64_t end[NKEYS(VAS_TREE_LEAF)], start[VAS_TREE_LEAF];
			struct range_body body[VAS_TREE_LEAF];
		} leaf;
		struct {
			uint64_t end[NKEYS(VAS_TREE_FANOUT)], start[VAS_TREE_FANOUT];
			uint64_t gap[VAS_TREE_FANOUT];
			struct tree_node *child[VAS_TREE_FANOUT];
		} inner;
	};
};

#define NO_ADDRESS (~(uint64_t)0)

_Static_assert(sizeof(struct tree_node) <= 496, "a tree node has outgrown its slab class");
_Static_assert(VAS_TREE_LEAF >= 3 && VAS_TREE_FANOUT >= 4, "nodes must be able to split");

static inline unsigned node_capacity(const struct tree_node *node)
{
	return node->level == 0 ? VAS_TREE_LEAF : VAS_TREE_FANOUT;
}

/* Below this a node that loses a record looks for a sibling to join. An inner node has two children
 * at least, so a child always has a sibling. */
static inline uint64_t node_least(const struct tree_node *node)
{
	return node->level == 0 ? (VAS_TREE_LEAF) / 3 : max_u64((VAS_TREE_FANOUT) / 3, 2);
}

static inline unsigned node_keys(const struct tree_node *node)
{
	return node->level == 0 ? NKEYS(VAS_TREE_LEAF) : NKEYS(VAS_TREE_FANOUT);
}

static inline uint64_t *node_ends(struct tree_node *node)
{
	return node->level == 0 ? node->leaf.end : node->inner.end;
}

static inline uint64_t slot_start(const struct tree_node *node, unsigned slot)
{
	return node->level == 0 ? node->leaf.start[slot] : node->inner.start[slot];
}

static inline uint64_t slot_end(const struct tree_node *node, unsigned slot)
{
	return node->level == 0 ? node->leaf.end[slot] : node->inner.end[slot];
}

/* The largest gap between two ranges below `node`. */
static inline uint64_t node_gap(const struct tree_node *node)
{
	const uint64_t *start = node->level == 0 ? node->leaf.start : node->inner.start;
	const uint64_t *end = node->level == 0 ? node->leaf.end : node->inner.end;
	uint64_t gap = 0;

	for (unsigned i = 1; i < node->count; i++)
		gap = max_u64(gap, start[i] - end[i - 1]);
	for (unsigned i = 0; node->level > 0 && i < node->count; i++)
		gap = max_u64(gap, node->inner.gap[i]);
	return gap;
}

/* How many of the ordered keys, NKEYS(n) of them, are not above addr. */
static inline unsigned count_upto(const uint64_t *keys, unsigned nkeys, uint64_t addr)
{
	unsigned strides = 0;

	for (unsigned i = STRIDE - 1; i < nkeys; i += STRIDE)
		strides += keys[i] <= addr;
	keys += strides * STRIDE;
	return strides * STRIDE + (keys[0] <= addr) + (keys[1] <= addr) + (keys[2] <= addr);
}

/* The first slot that ends above addr; count or more: none. */
static inline unsigned leaf_above(const struct tree_node *leaf, uint64_t addr)
{
	return count_upto(leaf->leaf.end, NKEYS(VAS_TREE_LEAF), addr);
}

static inline unsigned inner_above(const struct tree_node *inner, uint64_t addr)
{
	return count_upto(inner->inner.end, NKEYS(VAS_TREE_FANOUT), addr);
}

static inline void leaf_get(const struct tree_node *leaf, unsigned slot, struct range *out)
{
	out->start = leaf->leaf.start[slot];
	out->end = leaf->leaf.end[slot];
	out->body = leaf->leaf.body[slot];
}

/* ---- The position ---- */

/* Whether addr belongs to the slot of the position; and whether to its leaf. */
static inline bool is_here(const struct path *path, uint64_t addr)
{
	return addr - path->from < path->to - path->from;
}

static inline bool is_near(const struct path *path, uint64_t addr)
{
	const struct tree_node *leaf = path->node[0];

	return leaf && addr >= path->low && addr < leaf->leaf.end[leaf->count - 1u];
}

/* Puts the position on a slot of its leaf; if that is past the last, no address belongs there. */
static inline void path_stand(struct path *path, unsigned slot)
{
	const struct tree_node *leaf = path->node[0];

	path->slot[0] = slot;
	path->from = slot > 0 ? leaf->leaf.end[slot - 1] : path->low;
	path->to = slot < leaf->count ? leaf->leaf.end[slot] : path->from;
}

/* Brings the position to the leaf of addr, or to the last, and there to its slot. */
VAS_INTERNAL void path_go(struct range_tree *tree, uint64_t addr);

/* Brings the position to addr: to the first range that ends above it, or behind the last. */
static inline struct path *path_to(struct range_tree *tree, uint64_t addr)
{
	if (!is_here(&tree->path, addr))
		path_go(tree, addr);
	return &tree->path;
}

#endif
