/* range_find.c - looking for ranges by address, from the root or from the tree's position.
 *
 * Owns the ways down; changes nothing but the position. An address belongs to the leaf, and there
 * to the slot, of the first range that ends above it.
 *
 * SPDX-License-Identifier: MIT */
#include "tree/range_node.h"

/* Asks for all of a node at once: among a million ranges the lower levels are in no cache, and each
 * look at one would wait anew. */
static inline struct tree_node *enter_node(struct tree_node *node)
{
	for (size_t at = 0; at < sizeof(*node); at += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)node + at);
	return node;
}

/* Whether it belongs to the slot behind that of the position: where one looks for a neighbour, and
 * where loops go on. */
static inline bool is_next(const struct path *path, uint64_t addr)
{
	const struct tree_node *leaf = path->node[0];
	unsigned next = path->slot[0] + 1;

	return leaf && next < leaf->count && addr >= path->to && addr < leaf->leaf.end[next];
}

/* The leaf that addr belongs to, and the slot; NULL: all ranges end below. */
static inline const struct tree_node *leaf_of(const struct range_tree *tree, uint64_t addr,
                                              unsigned *slot)
{
	const struct path *path = &tree->path;
	const struct tree_node *node = path->node[0];

	if (is_here(path, addr) || is_next(path, addr)) {
		*slot = path->slot[0] + (addr >= path->to);
		return node;
	}
	if (!is_near(path, addr)) {
		node = tree->root;
		if (!node || addr >= slot_end(node, node->count - 1u))
			return NULL;
		while (node->level > 0)
			node = enter_node(node->inner.child[inner_above(node, addr)]);
	}
	*slot = leaf_above(node, addr);
	return node;
}

bool range_tree_find(const struct range_tree *tree, uint64_t addr, struct range *out)
{
	unsigned slot;
	const struct tree_node *leaf = leaf_of(tree, addr, &slot);

	if (!leaf)
		return false;
	leaf_get(leaf, slot, out);
	return true;
}

bool range_tree_starting(const struct range_tree *tree, uint64_t addr, struct range *out)
{
	unsigned slot;
	const struct tree_node *leaf = leaf_of(tree, addr, &slot);

	if (!leaf || leaf->leaf.start[slot] != addr)
		return false;
	leaf_get(leaf, slot, out);
	return true;
}

bool range_tree_before(const struct range_tree *tree, uint64_t addr, struct range *out)
{
	const struct tree_node *node = tree->root;
	unsigned slot;

	if (!node || slot_start(node, 0) >= addr)
		return false;
	for (;; node = node->inner.child[slot]) {
		slot = node->count - 1u;
		while (slot_start(node, slot) >= addr)
			slot--;
		if (node->level == 0)
			break;
	}
	leaf_get(node, slot, out);
	return true;
}

bool range_tree_ending(const struct range_tree *tree, uint64_t addr, struct range *out)
{
	const struct path *path = &tree->path;
	unsigned slot = path->slot[0];

	if (is_here(path, addr)) {
		if (path->from != addr)
			return false;
		if (slot > 0) {
			leaf_get(path->node[0], slot - 1, out);
			return true;
		}
	}
	return range_tree_before(tree, addr, out) && out->end == addr;
}

/* Brings the position to the leaf of addr, or to the last. */
static void descend_to(struct range_tree *tree, uint64_t addr)
{
	struct path *path = &tree->path;
	struct tree_node *node = tree->root;

	path->low = 0;
	while (node->level > 0) {
		unsigned slot = inner_above(node, addr);

		if (slot >= node->count)
			slot = node->count - 1u;
		if (slot > 0)
			path->low = node->inner.end[slot - 1];
		path->node[node->level] = node;
		path->slot[node->level] = slot;
		node = enter_node(node->inner.child[slot]);
	}
	path->node[0] = node;
}

void path_go(struct range_tree *tree, uint64_t addr)
{
	struct path *path = &tree->path;

	if (!is_near(path, addr))
		descend_to(tree, addr);
	path_stand(path, leaf_above(path->node[0], addr));
}

bool range_tree_seek(struct range_tree *tree, uint64_t addr, struct range *out)
{
	const struct path *path;

	if (!tree->root)
		return false;
	path = path_to(tree, addr);
	if (path->slot[0] >= path->node[0]->count)
		return false;
	leaf_get(path->node[0], path->slot[0], out);
	return true;
}
