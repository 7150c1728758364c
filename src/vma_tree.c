/* vma_tree.c - a B+tree of vmas by value, augmented with gaps.
 *
 * An inner node keeps, of each child, the range it spans and the largest gap between two of its
 * vmas; the gap between two children follows from their ranges. Changes go down a path, change one
 * leaf, and refresh the records on the way back up.
 *
 * SPDX-License-Identifier: MIT */
#include "vma_tree.h"
#include "slab.h"

/* What a vma has besides its range. */
struct vma_body {
	uint64_t flags, pgoff, anon;
	struct vas_file *file;
};

/* Ranges stand apart from the rest: a search reads two or three cache lines of a node. It compares
 * all slots without a branch, so the unused ones hold NO_ADDRESS. */
struct tree_node {
	uint16_t count;
	uint16_t level; /* 0: leaf */
	union {
		struct {
			uint64_t start[VAS_TREE_LEAF], end[VAS_TREE_LEAF];
			struct vma_body body[VAS_TREE_LEAF];
		} leaf;
		struct {
			uint64_t start[VAS_TREE_FANOUT], end[VAS_TREE_FANOUT], gap[VAS_TREE_FANOUT];
			struct tree_node *child[VAS_TREE_FANOUT];
		} inner;
	};
};

#define NO_ADDRESS (~(uint64_t)0)

_Static_assert(sizeof(struct tree_node) <= 496, "a tree node has outgrown its slab class");
_Static_assert(VAS_TREE_LEAF >= 3 && VAS_TREE_FANOUT >= 4, "nodes must be able to split");

static unsigned node_capacity(const struct tree_node *node)
{
	return node->level == 0 ? VAS_TREE_LEAF : VAS_TREE_FANOUT;
}

/* Below this a node that loses a record looks for a sibling to join. An inner node has two children
 * at least, so a child always has a sibling. */
static uint64_t node_least(const struct tree_node *node)
{
	return node->level == 0 ? (VAS_TREE_LEAF) / 3 : max_u64((VAS_TREE_FANOUT) / 3, 2);
}

static uint64_t *node_starts(struct tree_node *node)
{
	return node->level == 0 ? node->leaf.start : node->inner.start;
}

static uint64_t *node_ends(struct tree_node *node)
{
	return node->level == 0 ? node->leaf.end : node->inner.end;
}

static uint64_t slot_start(const struct tree_node *node, unsigned slot)
{
	return node->level == 0 ? node->leaf.start[slot] : node->inner.start[slot];
}

static uint64_t slot_end(const struct tree_node *node, unsigned slot)
{
	return node->level == 0 ? node->leaf.end[slot] : node->inner.end[slot];
}

/* The largest gap between two vmas below `node`. */
static uint64_t node_gap(const struct tree_node *node)
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

/* How many of `n` ordered keys are not above addr. */
static inline unsigned count_upto(const uint64_t *keys, unsigned n, uint64_t addr)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += keys[i] <= addr;
	return count;
}

/* The first slot that ends above addr, or count. */
static unsigned slot_above(const struct tree_node *node, uint64_t addr)
{
	return node->level == 0 ? count_upto(node->leaf.end, VAS_TREE_LEAF, addr)
	                        : count_upto(node->inner.end, VAS_TREE_FANOUT, addr);
}

/* The last slot that starts at or below addr, or 0. */
static unsigned slot_at(const struct tree_node *node, uint64_t addr)
{
	unsigned n = node->level == 0 ? count_upto(node->leaf.start, VAS_TREE_LEAF, addr)
	                              : count_upto(node->inner.start, VAS_TREE_FANOUT, addr);

	return n - (n > 0);
}

static void leaf_get(const struct tree_node *leaf, unsigned slot, struct vma *out)
{
	const struct vma_body *body = &leaf->leaf.body[slot];

	*out = (struct vma){
		.start = leaf->leaf.start[slot],
		.end = leaf->leaf.end[slot],
		.flags = body->flags,
		.pgoff = body->pgoff,
		.anon = body->anon,
		.file = body->file,
	};
}

static void leaf_put(struct tree_node *leaf, unsigned slot, const struct vma *vma)
{
	leaf->leaf.start[slot] = vma->start;
	leaf->leaf.end[slot] = vma->end;
	leaf->leaf.body[slot] = (struct vma_body){vma->flags, vma->pgoff, vma->anon, vma->file};
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
		node->inner.child[0] = tree->spare;
		tree->spare = node;
		tree->nspare++;
	}
	return true;
}

static struct tree_node *node_new(struct vma_tree *tree, unsigned level)
{
	struct tree_node *node = tree->spare;

	vas_assert(node != NULL);
	tree->spare = node->inner.child[0];
	tree->nspare--;
	tree->path.valid = false;
	node->count = 0;
	node->level = (uint16_t)level;
	for (unsigned i = 0; i < node_capacity(node); i++)
		node_starts(node)[i] = node_ends(node)[i] = NO_ADDRESS;
	return node;
}

static void node_free(struct vma_tree *tree, struct tree_node *node)
{
	tree->path.valid = false;
	slab_free(tree->slab, node);
}

/* Moves the records from slot `from` on to slot `to`, over those that stand there. */
static void node_shift(struct tree_node *node, unsigned to, unsigned from)
{
	size_t n = node->count - from;

	memmove(&node_starts(node)[to], &node_starts(node)[from], n * sizeof(uint64_t));
	memmove(&node_ends(node)[to], &node_ends(node)[from], n * sizeof(uint64_t));
	if (node->level == 0) {
		memmove(&node->leaf.body[to], &node->leaf.body[from],
		        n * sizeof(node->leaf.body[0]));
	} else {
		memmove(&node->inner.gap[to], &node->inner.gap[from], n * sizeof(uint64_t));
		memmove(&node->inner.child[to], &node->inner.child[from],
		        n * sizeof(node->inner.child[0]));
	}
}

/* Makes room for one record at `slot`. */
static void node_open(struct tree_node *node, unsigned slot)
{
	node_shift(node, slot + 1, slot);
	node->count++;
}

/* Keeps only the first `count` records. */
static void node_truncate(struct tree_node *node, unsigned count)
{
	for (unsigned i = count; i < node->count; i++)
		node_starts(node)[i] = node_ends(node)[i] = NO_ADDRESS;
	node->count = (uint16_t)count;
}

/* Removes the record at `slot`. */
static void node_close(struct tree_node *node, unsigned slot)
{
	node_shift(node, slot, slot + 1);
	node_truncate(node, node->count - 1u);
}

/* Copies the record at from[i] to to[j]; counts are the caller's. */
static void node_copy(struct tree_node *to, unsigned j, const struct tree_node *from, unsigned i)
{
	node_starts(to)[j] = slot_start(from, i);
	node_ends(to)[j] = slot_end(from, i);
	if (to->level == 0) {
		to->leaf.body[j] = from->leaf.body[i];
		return;
	}
	to->inner.gap[j] = from->inner.gap[i];
	to->inner.child[j] = from->inner.child[i];
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

/* Refreshes the records above step `step` of the path, as far up as they change. */
static void path_refresh(const struct path *path, unsigned step)
{
	while (step > 0 && node_record(path->node[step - 1], path->slot[step - 1]))
		step--;
}

/* ---- Finding -------------------------------------------------------------------------------- */

/* The leaf of the last change, if addr lies between its first and last vma. */
static const struct tree_node *recent_leaf(const struct vma_tree *tree, uint64_t addr)
{
	const struct tree_node *leaf;

	if (!tree->path.valid)
		return NULL;
	leaf = tree->path.node[tree->height - 1];
	if (leaf->count == 0 || addr < leaf->leaf.start[0] ||
	    addr >= leaf->leaf.end[leaf->count - 1])
		return NULL;
	return leaf;
}

bool vma_tree_find(const struct vma_tree *tree, uint64_t addr, struct vma *out)
{
	const struct tree_node *node = recent_leaf(tree, addr);
	unsigned slot;

	for (node = node ? node : tree->root; node; node = node->inner.child[slot]) {
		slot = slot_above(node, addr);
		if (slot >= node->count)
			return false;
		if (node->level == 0) {
			leaf_get(node, slot, out);
			return true;
		}
	}
	return false;
}

bool vma_tree_before(const struct vma_tree *tree, uint64_t addr, struct vma *out)
{
	const struct tree_node *node = addr > 0 ? recent_leaf(tree, addr - 1) : NULL;

	if (!node)
		node = tree->root;
	if (!node || addr == 0 || slot_start(node, 0) >= addr)
		return false;
	while (node->level > 0)
		node = node->inner.child[slot_at(node, addr - 1)];
	leaf_get(node, slot_at(node, addr - 1), out);
	return true;
}

/* The path to the leaf whose vmas begin nearest at or below `start`; the tree's own, which stays
 * good until a node comes or goes. */
static struct path *path_to(struct vma_tree *tree, uint64_t start)
{
	struct path *path = &tree->path;
	struct tree_node *node = tree->root;
	unsigned leaf = tree->height - 1;

	if (recent_leaf(tree, start)) {
		path->slot[leaf] = slot_at(path->node[leaf], start);
		return path;
	}
	for (unsigned step = 0; step < tree->height; step++) {
		path->node[step] = node;
		path->slot[step] = slot_at(node, start);
		if (node->level > 0)
			node = node->inner.child[path->slot[step]];
	}
	path->valid = true;
	return path;
}

/* ---- Changing ------------------------------------------------------------------------------- */

/* How many records stay when a node splits for one more at its end of the tree: memory is mostly
 * mapped upwards or downwards in order, and then full nodes are left behind. */
static unsigned split_keep(const struct path *path, unsigned step, uint64_t start)
{
	const struct tree_node *node = path->node[step];

	if (path->slot[step] == node->count - 1u && start > slot_start(node, path->slot[step]))
		return node->count - 1u;
	return path->slot[step] == 0 && start < slot_start(node, 0) ? 1 : (node->count + 1u) / 2;
}

/* Puts a new root above the old one, at the head of the path. */
static void path_grow(struct vma_tree *tree, struct path *path)
{
	struct tree_node *root = node_new(tree, tree->root->level + 1u);

	root->count = 1;
	root->inner.child[0] = tree->root;
	tree->root = root;
	tree->height++;
	for (unsigned i = tree->height - 1; i > 0; i--) {
		path->node[i] = path->node[i - 1];
		path->slot[i] = path->slot[i - 1];
	}
	path->node[0] = root;
	path->slot[0] = 0;
}

/* Splits path->node[step] to make room for a record that begins at `start`: the upper part goes to
 * a new right sibling; if the node is the root, a new root is put above both. Afterwards the path
 * leads to the part that holds its slot. */
static void path_split(struct vma_tree *tree, struct path *path, unsigned *step, uint64_t start)
{
	struct tree_node *left = path->node[*step];
	struct tree_node *right = node_new(tree, left->level);
	unsigned keep = split_keep(path, *step, start);
	struct tree_node *parent;

	for (unsigned i = keep; i < left->count; i++)
		node_copy(right, i - keep, left, i);
	right->count = (uint16_t)(left->count - keep);
	node_truncate(left, keep);

	if (*step == 0) {
		path_grow(tree, path);
		*step = 1;
	}
	parent = path->node[*step - 1];
	node_record(parent, path->slot[*step - 1]);
	node_open(parent, path->slot[*step - 1] + 1);
	parent->inner.child[path->slot[*step - 1] + 1] = right;
	node_record(parent, path->slot[*step - 1] + 1);
	if (path->slot[*step] >= keep) {
		path->slot[*step] -= keep;
		path->slot[*step - 1]++;
		path->node[*step] = right;
	}
}

/* Splits every full node from the leaf up to the first with room, topmost first, so that a parent
 * always has room for its child's new sibling. */
static void path_make_room(struct vma_tree *tree, struct path *path, uint64_t start)
{
	unsigned leaf = tree->height - 1, full = leaf + 1;

	while (full > 0 && path->node[full - 1]->count == node_capacity(path->node[full - 1]))
		full--;
	for (unsigned step = full; step <= leaf; step++) {
		unsigned height = tree->height;

		path_split(tree, path, &step, start);
		leaf += tree->height - height;
	}
}

void vma_tree_insert(struct vma_tree *tree, const struct vma *vma)
{
	struct path *path;
	unsigned leaf, slot;

	tree->count++;
	if (!tree->root) {
		tree->root = node_new(tree, 0);
		tree->height = 1;
		tree->root->count = 1;
		leaf_put(tree->root, 0, vma);
		return;
	}
	path = path_to(tree, vma->start);
	path_make_room(tree, path, vma->start);
	leaf = tree->height - 1;
	slot = path->slot[leaf];
	if (slot_start(path->node[leaf], slot) < vma->start)
		slot++;
	node_open(path->node[leaf], slot);
	leaf_put(path->node[leaf], slot, vma);
	path_refresh(path, leaf);
}

/* Brings path->node[step], which has become too empty, together with a sibling: one node if both
 * fit, else one record moves over. */
static void path_fill(struct vma_tree *tree, struct path *path, unsigned step)
{
	struct tree_node *parent = path->node[step - 1];
	unsigned at = path->slot[step - 1];
	unsigned l = at > 0 ? at - 1 : at;
	struct tree_node *left = parent->inner.child[l], *right = parent->inner.child[l + 1];

	path->valid = false;
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
		node_truncate(left, left->count - 1u);
		node_record(parent, l + 1);
	}
	node_record(parent, l);
}

void vma_tree_remove(struct vma_tree *tree, uint64_t start)
{
	struct path *path = path_to(tree, start);
	unsigned step = tree->height - 1;

	vas_assert(slot_start(path->node[step], path->slot[step]) == start);
	node_close(path->node[step], path->slot[step]);
	tree->count--;

	while (step > 0) {
		if (path->node[step]->count < node_least(path->node[step]))
			path_fill(tree, path, step);
		else if (!node_record(path->node[step - 1], path->slot[step - 1]))
			break;
		step--;
	}
	while (tree->root &&
	       (tree->root->count == 0 || (tree->root->level > 0 && tree->root->count == 1))) {
		struct tree_node *root = tree->root;

		tree->root = root->level > 0 ? root->inner.child[0] : NULL;
		tree->height--;
		node_free(tree, root);
	}
}

void vma_tree_replace(struct vma_tree *tree, uint64_t start, const struct vma *vma)
{
	struct path *path = path_to(tree, start);
	unsigned leaf = tree->height - 1;

	vas_assert(slot_start(path->node[leaf], path->slot[leaf]) == start);
	leaf_put(path->node[leaf], path->slot[leaf], vma);
	path_refresh(path, leaf);
}

static void subtree_free(struct vma_tree *tree, struct tree_node *node)
{
	/* As deep as the tree is high. */
	for (unsigned i = 0; node->level > 0 && i < node->count; i++)
		subtree_free(tree, node->inner.child[i]);
	node_free(tree, node);
}

void vma_tree_destroy(struct vma_tree *tree)
{
	if (tree->root)
		subtree_free(tree, tree->root);
	while (tree->spare) {
		struct tree_node *node = tree->spare;

		tree->spare = node->inner.child[0];
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
		if (node->level > 0 && node->inner.gap[slot] >= s->len &&
		    node->inner.start[slot] < s->high && node->inner.end[slot] > s->low &&
		    search_node(s, node->inner.child[slot]))
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
		if (node->leaf.start[i] >= node->leaf.end[i])
			return "a vma has start < end";
		if (node->leaf.start[i] < *last_end)
			return "vmas are ordered and do not overlap";
		*last_end = node->leaf.end[i];
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
	if (node->count < (level > 0 ? 2 : 1) || node->count > node_capacity(node))
		return "a leaf is not empty, an inner node has two children at least";
	for (unsigned i = node->count; i < node_capacity(node); i++) {
		if (slot_start(node, i) != NO_ADDRESS || slot_end(node, i) != NO_ADDRESS)
			return "unused slots hold no address";
	}
	if (level == 0)
		return leaf_check(node, last_end, count);
	for (unsigned i = 0; i < node->count && !broken; i++) {
		const struct tree_node *child = node->inner.child[i];

		broken = node_check(tree, child, level - 1, last_end, count);
		if (!broken && (node->inner.start[i] != slot_start(child, 0) ||
		                node->inner.end[i] != slot_end(child, child->count - 1u) ||
		                node->inner.gap[i] != node_gap(child)))
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
