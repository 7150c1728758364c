/* range_check.c - the invariants of a tree of ranges, in the words of range_tree.h.
 *
 * Reads all of a tree and changes nothing; what the bodies mean is not known here either.
 *
 * SPDX-License-Identifier: MIT */
#include "tree/range_node.h"

static const char *check_leaf(const struct tree_node *node, uint64_t *last_end, uint64_t *count)
{
	for (unsigned i = 0; i < node->count; i++) {
		if (node->leaf.start[i] >= node->leaf.end[i])
			return "a range has start < end";
		if (node->leaf.start[i] < *last_end)
			return "ranges are ordered and do not overlap";
		*last_end = node->leaf.end[i];
	}
	*count += node->count;
	return NULL;
}

static const char *check_node(const struct range_tree *tree, const struct tree_node *node,
                              unsigned level, uint64_t *last_end, uint64_t *count)
{
	const char *broken = NULL;

	if (node->level != level)
		return "all leaves are at the same depth";
	if (node->count < (level > 0 ? 2 : 1) || node->count > node_capacity(node))
		return "a leaf is not empty, an inner node has two children at least";
	for (unsigned i = node->count; i < node_keys(node); i++) {
		if (slot_end(node, i) != NO_ADDRESS)
			return "ends that are not used hold no address";
	}
	if (level == 0)
		return check_leaf(node, last_end, count);
	for (unsigned i = 0; i < node->count && !broken; i++) {
		const struct tree_node *child = node->inner.child[i];

		broken = check_node(tree, child, level - 1, last_end, count);
		if (!broken && (node->inner.start[i] != slot_start(child, 0) ||
		                node->inner.end[i] != slot_end(child, child->count - 1u) ||
		                node->inner.gap[i] != node_gap(child)))
			broken = "a parent's record is its child's start, end and largest gap";
	}
	return broken;
}

/* The position, level by level. */
static bool path_is_sound(const struct range_tree *tree)
{
	const struct path *path = &tree->path;
	const struct tree_node *node = tree->root;
	uint64_t low = 0, from;

	if (!path->node[0])
		return path->from == path->to;
	for (unsigned level = tree->height - 1; level > 0; level--) {
		unsigned slot = path->slot[level];

		if (path->node[level] != node || slot >= node->count)
			return false;
		if (slot > 0)
			low = node->inner.end[slot - 1];
		node = node->inner.child[slot];
	}
	if (path->node[0] != node || path->low != low || path->slot[0] > node->count)
		return false;
	from = path->slot[0] > 0 ? node->leaf.end[path->slot[0] - 1] : low;
	return path->from == from &&
	       path->to == (path->slot[0] < node->count ? node->leaf.end[path->slot[0]] : from);
}

const char *range_tree_check(const struct range_tree *tree)
{
	uint64_t last_end = 0, count = 0;
	const char *broken = NULL;

	if ((tree->root == NULL) != (tree->height == 0))
		return "a tree has a height exactly if it has a root";
	if (tree->root)
		broken = check_node(tree, tree->root, tree->height - 1, &last_end, &count);
	if (!broken && count != tree->count)
		broken = "count is the number of ranges";
	if (!broken && !path_is_sound(tree))
		broken = "the position is a way to a slot, and knows which addresses belong there";
	return broken;
}
