/* range_tree.c - a B+tree of ranges by value, augmented with gaps: how it changes.
 *
 * An inner node keeps, of each child, the range it spans and the largest gap between two of its
 * ranges; the gap between two children follows from their spans. Changes go down a path, change one
 * leaf, and refresh the records on the way back up. What the ranges are, and what their bodies
 * mean, is unknown here.
 *
 * SPDX-License-Identifier: MIT */
#include "tree/range_node.h"
#include "memory/slab.h"

/* ---- Nodes ---------------------------------------------------------------------------------- */

bool range_tree_reserve(struct range_tree *tree, unsigned ninserts)
{
	while (!range_tree_has_reserve(tree, ninserts)) {
		struct tree_node *node = slab_alloc(tree->slab, sizeof(*node));

		if (!node)
			return false;
		node->inner.child[0] = tree->spare;
		tree->spare = node;
		tree->nspare++;
	}
	return true;
}

static struct tree_node *node_new(struct range_tree *tree, unsigned level)
{
	struct tree_node *node = tree->spare;

	vas_assert(node != NULL);
	tree->spare = node->inner.child[0];
	tree->nspare--;
	node->count = 0;
	node->level = (uint16_t)level;
	for (unsigned i = 0; i < node_keys(node); i++)
		node_ends(node)[i] = NO_ADDRESS;
	return node;
}

static void node_free(struct range_tree *tree, struct tree_node *node)
{
	slab_free(tree->slab->frames, node);
}

static void leaf_set(struct tree_node *leaf, unsigned slot, const struct range *range)
{
	leaf->leaf.start[slot] = range->start;
	leaf->leaf.end[slot] = range->end;
	leaf->leaf.body[slot] = range->body;
}

/* Copies the record at from[i] to to[j]; counts are the caller's. */
static inline void leaf_copy(struct tree_node *to, unsigned j, const struct tree_node *from,
                             unsigned i)
{
	to->leaf.start[j] = from->leaf.start[i];
	to->leaf.end[j] = from->leaf.end[i];
	to->leaf.body[j] = from->leaf.body[i];
}

static inline void inner_copy(struct tree_node *to, unsigned j, const struct tree_node *from,
                              unsigned i)
{
	to->inner.start[j] = from->inner.start[i];
	to->inner.end[j] = from->inner.end[i];
	to->inner.gap[j] = from->inner.gap[i];
	to->inner.child[j] = from->inner.child[i];
}

static void node_copy(struct tree_node *to, unsigned j, const struct tree_node *from, unsigned i)
{
	if (to->level == 0)
		leaf_copy(to, j, from, i);
	else
		inner_copy(to, j, from, i);
}

/* Makes room for n records at `slot`. */
static void node_open(struct tree_node *node, unsigned slot, unsigned n)
{
	if (node->level == 0) {
		for (unsigned i = node->count; i-- > slot;)
			leaf_copy(node, i + n, node, i);
	} else {
		for (unsigned i = node->count; i-- > slot;)
			inner_copy(node, i + n, node, i);
	}
	node->count = (uint16_t)(node->count + n);
}

/* Keeps only the first `count` records. */
static void node_truncate(struct tree_node *node, unsigned count)
{
	uint64_t *end = node_ends(node);

	for (unsigned i = count, n = node->count; i < n; i++)
		end[i] = NO_ADDRESS;
	node->count = (uint16_t)count;
}

/* Removes n records at `slot`. */
static void node_close(struct tree_node *node, unsigned slot, unsigned n)
{
	const unsigned count = node->count - n;

	if (node->level == 0) {
		for (unsigned i = slot; i < count; i++)
			leaf_copy(node, i, node, i + n);
	} else {
		for (unsigned i = slot; i < count; i++)
			inner_copy(node, i, node, i + n);
	}
	node_truncate(node, count);
}

/* Writes into `parent` what it must know of its child at `slot`. False: it knew that. */
static bool node_record(struct tree_node *parent, unsigned slot)
{
	const struct tree_node *child = parent->inner.child[slot];
	uint64_t start = slot_start(child, 0), end = slot_end(child, child->count - 1u);
	uint64_t gap = node_gap(child);

	if (parent->inner.start[slot] == start && parent->inner.end[slot] == end &&
	    parent->inner.gap[slot] == gap)
		return false;
	parent->inner.start[slot] = start;
	parent->inner.end[slot] = end;
	parent->inner.gap[slot] = gap;
	return true;
}

/* Refreshes the records of path->node[level] and those above, as far up as they change. */
static void path_refresh(const struct range_tree *tree, unsigned level)
{
	const struct path *path = &tree->path;

	while (++level < tree->height && node_record(path->node[level], path->slot[level]))
		;
}

/* ---- Changing ------------------------------------------------------------------------------- */

/* How many records stay when a node splits for one more at its end of the tree: memory is mostly
 * mapped upwards or downwards in order, and then full nodes are left behind. */
static unsigned split_keep(const struct tree_node *node, uint64_t start)
{
	if (start >= slot_end(node, node->count - 1u))
		return node->count - 1u;
	return start < slot_start(node, 0) ? 1 : (node->count + 1u) / 2;
}

/* Puts a new root above the old one, and on the path. */
static void path_grow(struct range_tree *tree)
{
	struct tree_node *root = node_new(tree, tree->height);

	root->count = 1;
	root->inner.child[0] = tree->root;
	tree->root = root;
	tree->path.node[tree->height] = root;
	tree->path.slot[tree->height] = 0;
	tree->height++;
}

/* Splits the node of the path at `level` to make room for a record that begins at `start`: the
 * upper part goes to a new right sibling. Afterwards the path leads to the part that holds its
 * slot. */
static void path_split(struct range_tree *tree, unsigned level, uint64_t start)
{
	struct path *path = &tree->path;
	struct tree_node *left = path->node[level], *right = node_new(tree, level), *parent;
	unsigned keep = split_keep(left, start);

	for (unsigned i = keep; i < left->count; i++)
		node_copy(right, i - keep, left, i);
	right->count = (uint16_t)(left->count - keep);
	node_truncate(left, keep);

	if (left == tree->root)
		path_grow(tree);
	parent = path->node[level + 1];
	node_open(parent, path->slot[level + 1] + 1, 1);
	parent->inner.child[path->slot[level + 1] + 1] = right;
	node_record(parent, path->slot[level + 1]);
	node_record(parent, path->slot[level + 1] + 1);
	if (path->slot[level] >= keep) {
		path->slot[level] -= keep;
		path->slot[level + 1]++;
		path->node[level] = right;
	}
}

/* Splits every full node from the leaf up to the first with room, topmost first, so that a parent
 * always has room for its child's new sibling. */
static void path_make_room(struct range_tree *tree, uint64_t start)
{
	const struct path *path = &tree->path;
	unsigned level = 0;

	while (level < tree->height && path->node[level]->count == node_capacity(path->node[level]))
		level++;
	while (level-- > 0)
		path_split(tree, level, start);
}

/* Makes the position lead nowhere: nodes may come and go now. */
static void path_lose(struct path *path)
{
	path->node[0] = NULL;
	path->from = path->to = 0;
}

/* Adds a range where the leaf may have to be split. */
static void record_insert(struct range_tree *tree, const struct range *range)
{
	struct path *path = &tree->path;

	tree->count++;
	if (!tree->root) {
		tree->root = node_new(tree, 0);
		tree->height = 1;
		tree->root->count = 1;
		leaf_set(tree->root, 0, range);
		return;
	}
	path_to(tree, range->start);
	path_make_room(tree, range->start);
	node_open(path->node[0], path->slot[0], 1);
	leaf_set(path->node[0], path->slot[0], range);
	path_refresh(tree, 0);
	path_lose(path);
}

/* Brings the node of the path at `level`, which has become too empty, together with a sibling: one
 * node if both fit, else one record moves over. */
static void path_fill(struct range_tree *tree, unsigned level)
{
	struct tree_node *parent = tree->path.node[level + 1];
	unsigned at = tree->path.slot[level + 1];
	unsigned l = at > 0 ? at - 1 : at;
	struct tree_node *left = parent->inner.child[l], *right = parent->inner.child[l + 1];

	if (left->count + right->count <= node_capacity(left)) {
		for (unsigned i = 0; i < right->count; i++)
			node_copy(left, left->count + i, right, i);
		left->count = (uint16_t)(left->count + right->count);
		node_free(tree, right);
		node_close(parent, l + 1, 1);
	} else if (left->count < right->count) {
		node_copy(left, left->count, right, 0);
		left->count++;
		node_close(right, 0, 1);
		node_record(parent, l + 1);
	} else {
		node_open(right, 0, 1);
		node_copy(right, 0, left, left->count - 1u);
		node_truncate(left, left->count - 1u);
		node_record(parent, l + 1);
	}
	node_record(parent, l);
}

/* Removes the first range that ends above addr, where nodes may have to be joined. */
static void record_remove(struct range_tree *tree, uint64_t addr)
{
	struct path *path = path_to(tree, addr);

	node_close(path->node[0], path->slot[0], 1);
	tree->count--;
	for (unsigned level = 0; level + 1 < tree->height; level++) {
		if (path->node[level]->count < node_least(path->node[level]))
			path_fill(tree, level);
		else if (!node_record(path->node[level + 1], path->slot[level + 1]))
			break;
	}
	while (tree->root &&
	       (tree->root->count == 0 || (tree->root->level > 0 && tree->root->count == 1))) {
		struct tree_node *root = tree->root;

		tree->root = root->level > 0 ? root->inner.child[0] : NULL;
		tree->height--;
		node_free(tree, root);
	}
	path_lose(path);
}

/* Whether there is no hole between the ranges in n slots of a leaf. */
static bool is_solid(const struct tree_node *leaf, unsigned slot, unsigned n)
{
	for (unsigned i = slot + 1; i < slot + n; i++) {
		if (leaf->leaf.start[i] != leaf->leaf.end[i - 1])
			return false;
	}
	return true;
}

/* The larger of the holes beside n ranges, one or none, which have others in the leaf on both
 * sides. */
static inline uint64_t hole_beside(const struct tree_node *leaf, unsigned slot, unsigned n)
{
	uint64_t below = leaf->leaf.start[slot] - leaf->leaf.end[slot - 1];

	return n == 0 ? below : max_u64(below, leaf->leaf.start[slot + 1] - leaf->leaf.end[slot]);
}

static bool has_hole(const struct tree_node *leaf, uint64_t len)
{
	for (unsigned i = 1; i < leaf->count; i++) {
		if (leaf->leaf.start[i] - leaf->leaf.end[i - 1] == len)
			return true;
	}
	return false;
}

/* One hole has become another, and the leaf's first start and last end are what they were. Then
 * only a hole that was the largest, and has become smaller, has to be looked for.
 *
 *	|AA|    before    |BB|    ->    |AA| |new|  after  |BB|  */
static void path_refresh_hole(const struct range_tree *tree, uint64_t before, uint64_t after)
{
	const struct path *path = &tree->path;

	if (after < before) {
		if (before == path->node[1]->inner.gap[path->slot[1]] &&
		    !has_hole(path->node[0], before))
			path_refresh(tree, 0);
		return;
	}
	for (unsigned level = 1; level < tree->height; level++) {
		uint64_t *gap = &path->node[level]->inner.gap[path->slot[level]];

		if (*gap >= after)
			return;
		*gap = after;
	}
}

/* Splices within one leaf, if no node needs to be split or joined for it. */
static bool leaf_splice(struct range_tree *tree, uint64_t addr, unsigned nold,
                        const struct range *new, unsigned nnew)
{
	struct path *path = path_to(tree, addr);
	struct tree_node *leaf = path->node[0];
	unsigned slot = path->slot[0], count = leaf->count - nold + nnew;
	bool one_hole = nold <= 1 && nnew <= 1 && slot > 0 && slot + nold < leaf->count &&
	                tree->height > 1;
	uint64_t before = 0;
	bool same_holes;

	if (slot + nold > leaf->count || count > VAS_TREE_LEAF ||
	    (nold > nnew && count < node_least(leaf)))
		return false;
	same_holes = nold > 0 && nnew > 0 && leaf->leaf.start[slot] == new[0].start &&
	             leaf->leaf.end[slot + nold - 1] == new[nnew - 1].end &&
	             is_solid(leaf, slot, nold);
	if (one_hole)
		before = hole_beside(leaf, slot, nold);
	if (nnew > nold)
		node_open(leaf, slot + nold, nnew - nold);
	else if (nnew < nold)
		node_close(leaf, slot + nnew, nold - nnew);
	for (unsigned i = 0; i < nnew; i++)
		leaf_set(leaf, slot + i, &new[i]);
	tree->count = tree->count - nold + nnew;
	path_stand(path, slot);
	if (one_hole)
		path_refresh_hole(tree, before, hole_beside(leaf, slot, nnew));
	else if (!same_holes || !is_solid(leaf, slot, nnew))
		path_refresh(tree, 0);
	return true;
}

/* Where nodes have to be split or joined. */
static __attribute__((noinline)) void nodes_splice(struct range_tree *tree, uint64_t addr,
                                                   unsigned nold, const struct range *new,
                                                   unsigned nnew)
{
	unsigned kept = 0;

	/* A range that is split stays where it is, as its first part: only the others need room. */
	kept = tree->root && nold == 1 && nnew > 1 && leaf_splice(tree, addr, 1, new, 1);
	nold -= kept;
	/* What goes for good goes first: one range in the place of several needs no node. */
	for (; nold > nnew && nnew > 0; nold--)
		record_remove(tree, addr);
	if (tree->root && nold == nnew && leaf_splice(tree, addr, nold, new, nnew))
		return;
	for (; nold > 0; nold--)
		record_remove(tree, addr);
	for (unsigned i = kept; i < nnew; i++)
		record_insert(tree, &new[i]);
}

void range_tree_splice(struct range_tree *tree, uint64_t addr, unsigned nold,
                       const struct range *new, unsigned nnew)
{
	if (!tree->root || !leaf_splice(tree, addr, nold, new, nnew))
		nodes_splice(tree, addr, nold, new, nnew);
}

void range_tree_insert(struct range_tree *tree, const struct range *range)
{
	range_tree_splice(tree, range->start, 0, range, 1);
}

void range_tree_replace(struct range_tree *tree, uint64_t start, const struct range *range)
{
	range_tree_splice(tree, start, 1, range, 1);
}

static void subtree_free(struct range_tree *tree, struct tree_node *node)
{
	/* As deep as the tree is high. */
	for (unsigned i = 0; node->level > 0 && i < node->count; i++)
		subtree_free(tree, node->inner.child[i]);
	node_free(tree, node);
}

void range_tree_destroy(struct range_tree *tree)
{
	if (tree->root)
		subtree_free(tree, tree->root);
	for (struct tree_node *node; (node = tree->spare) != NULL; node_free(tree, node))
		tree->spare = node->inner.child[0];
	*tree = (struct range_tree){.slab = tree->slab};
}
