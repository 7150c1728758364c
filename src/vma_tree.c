/* vma_tree.c - a B+tree of vmas by value, augmented with gaps.
 *
 * An inner node keeps, of each child, the range it spans and the largest gap between two of its
 * vmas; the gap between two children follows from their ranges. Changes go down a path, change one
 * leaf, and refresh the records on the way back up.
 *
 * SPDX-License-Identifier: MIT */
#include "vma_tree.h"
#include "slab.h"

struct tree_node {
	uint16_t count;
	uint16_t level; /* 0: leaf */
	union {
		struct vma vma[VAS_TREE_LEAF];
		struct {
			uint64_t start[VAS_TREE_FANOUT], end[VAS_TREE_FANOUT], gap[VAS_TREE_FANOUT];
			struct tree_node *child[VAS_TREE_FANOUT];
		};
	};
};

_Static_assert(sizeof(struct tree_node) <= 512, "a tree node has outgrown its slab class");
_Static_assert(VAS_TREE_LEAF >= 3 && VAS_TREE_FANOUT >= 4, "nodes must be able to split");

/* The way from the root (step 0) to a leaf. */
struct path {
	struct tree_node *node[VAS_TREE_HEIGHT];
	unsigned slot[VAS_TREE_HEIGHT];
};

static unsigned node_capacity(const struct tree_node *node)
{
	return node->level == 0 ? VAS_TREE_LEAF : VAS_TREE_FANOUT;
}

/* An inner node has two children at least, so a child always has a sibling. */
static uint64_t node_least(const struct tree_node *node)
{
	return node->level == 0 ? (VAS_TREE_LEAF) / 3 : max_u64((VAS_TREE_FANOUT) / 3, 2);
}

static uint64_t slot_start(const struct tree_node *node, unsigned slot)
{
	return node->level == 0 ? node->vma[slot].start : node->start[slot];
}

static uint64_t slot_end(const struct tree_node *node, unsigned slot)
{
	return node->level == 0 ? node->vma[slot].end : node->end[slot];
}

/* The largest gap between two vmas below `node`. */
static uint64_t node_gap(const struct tree_node *node)
{
	uint64_t gap = node->level > 0 ? node->gap[0] : 0;

	for (unsigned i = 1; i < node->count; i++) {
		gap = max_u64(gap, slot_start(node, i) - slot_end(node, i - 1));
		if (node->level > 0)
			gap = max_u64(gap, node->gap[i]);
	}
	return gap;
}

/* The first slot that ends above addr, or count. */
static unsigned slot_above(const struct tree_node *node, uint64_t addr)
{
	unsigned slot = 0;

	while (slot < node->count && slot_end(node, slot) <= addr)
		slot++;
	return slot;
}

/* The last slot that starts at or below addr, or 0. */
static unsigned slot_at(const struct tree_node *node, uint64_t addr)
{
	unsigned slot = node->count;

	while (slot > 1 && slot_start(node, slot - 1) > addr)
		slot--;
	return slot - (slot > 0);
}

/* ---- Nodes ---------------------------------------------------------------------------------- */

bool vma_tree_reserve(struct vma_tree *tree, unsigned ninserts)
{
	/* An insertion splits each level at the most once and may add a root; the tree can grow
	 * while the reserve is used up. */
	unsigned need = ninserts * (tree->height + 2);

	while (tree->nspare < need) {
		struct tree_node *node = slab_alloc(tree->slab, sizeof(*node));

		if (!node)
			return false;
		node->child[0] = tree->spare;
		tree->spare = node;
		tree->nspare++;
	}
	return true;
}

static struct tree_node *node_new(struct vma_tree *tree, unsigned level)
{
	struct tree_node *node = tree->spare;

	vas_assert(node != NULL);
	tree->spare = node->child[0];
	tree->nspare--;
	node->count = 0;
	node->level = (uint16_t)level;
	return node;
}

static void node_free(struct vma_tree *tree, struct tree_node *node)
{
	slab_free(tree->slab, node);
}

/* Makes room for one record at `slot`. */
static void node_open(struct tree_node *node, unsigned slot)
{
	size_t n = node->count - slot;

	if (node->level == 0) {
		memmove(&node->vma[slot + 1], &node->vma[slot], n * sizeof(node->vma[0]));
	} else {
		memmove(&node->start[slot + 1], &node->start[slot], n * sizeof(uint64_t));
		memmove(&node->end[slot + 1], &node->end[slot], n * sizeof(uint64_t));
		memmove(&node->gap[slot + 1], &node->gap[slot], n * sizeof(uint64_t));
		memmove(&node->child[slot + 1], &node->child[slot], n * sizeof(node->child[0]));
	}
	node->count++;
}

/* Removes the record at `slot`. */
static void node_close(struct tree_node *node, unsigned slot)
{
	size_t n = --node->count - slot;

	if (node->level == 0) {
		memmove(&node->vma[slot], &node->vma[slot + 1], n * sizeof(node->vma[0]));
	} else {
		memmove(&node->start[slot], &node->start[slot + 1], n * sizeof(uint64_t));
		memmove(&node->end[slot], &node->end[slot + 1], n * sizeof(uint64_t));
		memmove(&node->gap[slot], &node->gap[slot + 1], n * sizeof(uint64_t));
		memmove(&node->child[slot], &node->child[slot + 1], n * sizeof(node->child[0]));
	}
}

/* Copies the record at from[i] to to[j]; counts are the caller's. */
static void node_copy(struct tree_node *to, unsigned j, const struct tree_node *from, unsigned i)
{
	if (to->level == 0) {
		to->vma[j] = from->vma[i];
		return;
	}
	to->start[j] = from->start[i];
	to->end[j] = from->end[i];
	to->gap[j] = from->gap[i];
	to->child[j] = from->child[i];
}

/* Writes into `parent` what it must know of its child at `slot`. */
static void node_record(struct tree_node *parent, unsigned slot)
{
	const struct tree_node *child = parent->child[slot];

	parent->start[slot] = slot_start(child, 0);
	parent->end[slot] = slot_end(child, child->count - 1u);
	parent->gap[slot] = node_gap(child);
}

/* Refreshes the records above step `step` of the path. */
static void path_refresh(const struct path *path, unsigned step)
{
	while (step > 0) {
		step--;
		node_record(path->node[step], path->slot[step]);
	}
}

/* ---- Finding -------------------------------------------------------------------------------- */

bool vma_tree_find(const struct vma_tree *tree, uint64_t addr, struct vma *out)
{
	const struct tree_node *node = tree->root;

	while (node) {
		unsigned slot = slot_above(node, addr);

		if (slot == node->count)
			return false;
		if (node->level == 0) {
			*out = node->vma[slot];
			return true;
		}
		node = node->child[slot];
	}
	return false;
}

bool vma_tree_before(const struct vma_tree *tree, uint64_t addr, struct vma *out)
{
	const struct tree_node *node = tree->root;

	if (!node || addr == 0 || slot_start(node, 0) >= addr)
		return false;
	while (node->level > 0)
		node = node->child[slot_at(node, addr - 1)];
	*out = node->vma[slot_at(node, addr - 1)];
	return true;
}

/* The path to the leaf whose vmas begin nearest at or below `start`. */
static void path_to(const struct vma_tree *tree, uint64_t start, struct path *path)
{
	struct tree_node *node = tree->root;

	for (unsigned step = 0; step < tree->height; step++) {
		path->node[step] = node;
		path->slot[step] = slot_at(node, start);
		if (node->level > 0)
			node = node->child[path->slot[step]];
	}
}

/* ---- Changing ------------------------------------------------------------------------------- */

/* Moves the upper half of path->node[step] to a new right sibling; if the node is the root, a new
 * root is put above both. Afterwards the path leads to the half that holds `slot`. */
static void path_split(struct vma_tree *tree, struct path *path, unsigned *step)
{
	struct tree_node *left = path->node[*step];
	struct tree_node *right = node_new(tree, left->level);
	unsigned keep = (left->count + 1u) / 2;
	struct tree_node *parent;

	for (unsigned i = keep; i < left->count; i++)
		node_copy(right, i - keep, left, i);
	right->count = (uint16_t)(left->count - keep);
	left->count = (uint16_t)keep;

	if (*step == 0) {
		parent = node_new(tree, left->level + 1u);
		parent->count = 1;
		parent->child[0] = left;
		tree->root = parent;
		tree->height++;
		for (unsigned i = tree->height - 1; i > 0; i--) {
			path->node[i] = path->node[i - 1];
			path->slot[i] = path->slot[i - 1];
		}
		path->node[0] = parent;
		path->slot[0] = 0;
		*step = 1;
	}
	parent = path->node[*step - 1];
	node_record(parent, path->slot[*step - 1]);
	node_open(parent, path->slot[*step - 1] + 1);
	parent->child[path->slot[*step - 1] + 1] = right;
	node_record(parent, path->slot[*step - 1] + 1);
	if (path->slot[*step] >= keep) {
		path->slot[*step] -= keep;
		path->slot[*step - 1]++;
		path->node[*step] = right;
	}
}

void vma_tree_insert(struct vma_tree *tree, const struct vma *vma)
{
	struct path path;
	unsigned leaf, slot;

	tree->count++;
	if (!tree->root) {
		tree->root = node_new(tree, 0);
		tree->height = 1;
		tree->root->count = 1;
		tree->root->vma[0] = *vma;
		return;
	}
	path_to(tree, vma->start, &path);

	/* Split every full node from the leaf up to the first with room, topmost first, so that
	 * a parent always has room for its child's new sibling. */
	leaf = tree->height - 1;
	unsigned full = leaf + 1;
	while (full > 0 && path.node[full - 1]->count == node_capacity(path.node[full - 1]))
		full--;
	for (unsigned step = full; step <= leaf; step++) {
		unsigned height = tree->height;

		path_split(tree, &path, &step);
		leaf += tree->height - height;
	}
	slot = path.slot[leaf];
	if (path.node[leaf]->vma[slot].start < vma->start)
		slot++;
	node_open(path.node[leaf], slot);
	path.node[leaf]->vma[slot] = *vma;
	path_refresh(&path, leaf);
}

/* Brings path->node[step], which has become too empty, together with a sibling: one node if both
 * fit, else one record moves over. */
static void path_fill(struct vma_tree *tree, struct path *path, unsigned step)
{
	struct tree_node *parent = path->node[step - 1];
	unsigned at = path->slot[step - 1];
	unsigned l = at > 0 ? at - 1 : at;
	struct tree_node *left = parent->child[l], *right = parent->child[l + 1];

	if (left->count + right->count <= node_capacity(left)) {
		for (unsigned i = 0; i < right->count; i++)
			node_copy(left, left->count + i, right, i);
		left->count = (uint16_t)(left->count + right->count);
		node_free(tree, right);
		node_close(parent, l + 1);
	} else if (left->count < right->count) {
		node_copy(left, left->count, right, 0);
		left->count++;
		node_close(right, 0);
		node_record(parent, l + 1);
	} else {
		node_open(right, 0);
		node_copy(right, 0, left, left->count - 1u);
		left->count--;
		node_record(parent, l + 1);
	}
	node_record(parent, l);
}

void vma_tree_remove(struct vma_tree *tree, uint64_t start)
{
	struct path path;
	unsigned step = tree->height - 1;

	path_to(tree, start, &path);
	vas_assert(path.node[step]->vma[path.slot[step]].start == start);
	node_close(path.node[step], path.slot[step]);
	tree->count--;

	while (step > 0) {
		if (path.node[step]->count < node_least(path.node[step]))
			path_fill(tree, &path, step);
		else
			node_record(path.node[step - 1], path.slot[step - 1]);
		step--;
	}
	while (tree->root &&
	       (tree->root->count == 0 || (tree->root->level > 0 && tree->root->count == 1))) {
		struct tree_node *root = tree->root;

		tree->root = root->level > 0 ? root->child[0] : NULL;
		tree->height--;
		node_free(tree, root);
	}
}

void vma_tree_replace(struct vma_tree *tree, uint64_t start, const struct vma *vma)
{
	unsigned leaf = tree->height - 1;
	struct path path;

	path_to(tree, start, &path);
	vas_assert(path.node[leaf]->vma[path.slot[leaf]].start == start);
	path.node[leaf]->vma[path.slot[leaf]] = *vma;
	path_refresh(&path, leaf);
}

static void subtree_free(struct vma_tree *tree, struct tree_node *node)
{
	/* As deep as the tree is high. */
	if (node->level > 0) {
		for (unsigned i = 0; i < node->count; i++)
			subtree_free(tree, node->child[i]);
	}
	node_free(tree, node);
}

void vma_tree_destroy(struct vma_tree *tree)
{
	if (tree->root)
		subtree_free(tree, tree->root);
	while (tree->spare) {
		struct tree_node *node = tree->spare;

		tree->spare = node->child[0];
		node_free(tree, node);
	}
	*tree = (struct vma_tree){.slab = tree->slab};
}

/* ---- Gaps ----------------------------------------------------------------------------------- */

/* What is looked for, and found. */
struct search {
	uint64_t low, high, len;
	bool highest;
	uint64_t start, end;
};

/* Takes the hole [start, end) if enough of it lies in [low, high). */
static bool search_take(struct search *s, uint64_t start, uint64_t end)
{
	start = max_u64(start, s->low);
	end = min_u64(end, s->high);
	if (end <= start || end - start < s->len)
		return false;
	s->start = start;
	s->end = end;
	return true;
}

/* The first hole between two vmas below `node` that will do, in the direction asked for. */
static bool search_node(struct search *s, const struct tree_node *node)
{
	for (unsigned i = 0; i < node->count; i++) {
		unsigned slot = s->highest ? node->count - 1u - i : i;
		unsigned other = s->highest ? slot + 1 : slot - 1; /* the one just passed */

		if (i > 0) {
			unsigned l = min_u64(slot, other), r = l + 1;

			if (search_take(s, slot_end(node, l), slot_start(node, r)))
				return true;
		}
		if (node->level > 0 && node->gap[slot] >= s->len && node->start[slot] < s->high &&
		    node->end[slot] > s->low && search_node(s, node->child[slot]))
			return true;
	}
	return false;
}

bool vma_tree_gap(const struct vma_tree *tree, uint64_t low, uint64_t high, uint64_t len,
                  bool highest, uint64_t *gap_start, uint64_t *gap_end)
{
	struct search s = {.low = low, .high = high, .len = len, .highest = highest};
	const struct tree_node *root = tree->root;
	uint64_t first = root ? slot_start(root, 0) : ~(uint64_t)0;
	uint64_t last = root ? slot_end(root, root->count - 1u) : ~(uint64_t)0;
	bool found;

	if (highest)
		found = search_take(&s, last, ~(uint64_t)0) || (root && search_node(&s, root)) ||
		        search_take(&s, 0, first);
	else
		found = search_take(&s, 0, first) || (root && search_node(&s, root)) ||
		        search_take(&s, last, ~(uint64_t)0);
	*gap_start = s.start;
	*gap_end = s.end;
	return found;
}

/* ---- Checking ------------------------------------------------------------------------------- */

static const char *leaf_check(const struct tree_node *node, uint64_t *last_end, uint64_t *count)
{
	for (unsigned i = 0; i < node->count; i++) {
		if (node->vma[i].start >= node->vma[i].end)
			return "a vma has start < end";
		if (node->vma[i].start < *last_end)
			return "vmas are ordered and do not overlap";
		*last_end = node->vma[i].end;
	}
	*count += node->count;
	return NULL;
}

static const char *node_check(const struct vma_tree *tree, const struct tree_node *node,
                              unsigned level, uint64_t *last_end, uint64_t *count)
{
	const char *broken = NULL;

	if (node->level != level)
		return "all leaves are at the same depth";
	if (node->count < 1 || node->count > node_capacity(node) ||
	    (node != tree->root && node->count < node_least(node)))
		return "a node other than the root is at least a third full";
	if (level == 0)
		return leaf_check(node, last_end, count);
	for (unsigned i = 0; i < node->count && !broken; i++) {
		const struct tree_node *child = node->child[i];

		broken = node_check(tree, child, level - 1, last_end, count);
		if (!broken && (node->start[i] != slot_start(child, 0) ||
		                node->end[i] != slot_end(child, child->count - 1u) ||
		                node->gap[i] != node_gap(child)))
			broken = "a parent's record is its child's start, end and largest gap";
	}
	return broken;
}

const char *vma_tree_check(const struct vma_tree *tree)
{
	uint64_t last_end = 0, count = 0;
	const char *broken = NULL;

	if ((tree->root == NULL) != (tree->height == 0))
		return "a tree has a height exactly if it has a root";
	if (tree->root)
		broken = node_check(tree, tree->root, tree->height - 1, &last_end, &count);
	if (!broken && count != tree->count)
		broken = "count is the number of vmas";
	return broken;
}
