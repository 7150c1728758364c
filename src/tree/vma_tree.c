/* vma_tree.c - a B+tree of vmas by value, augmented with gaps.
 *
 * An inner node keeps, of each child, the range it spans and the largest gap between two of its
 * vmas; the gap between two children follows from their ranges. Changes go down a path, change one
 * leaf, and refresh the records on the way back up. An address belongs to the leaf of the first vma
 * that ends above it.
 *
 * SPDX-License-Identifier: MIT */
#include "tree/vma_tree.h"
#include "memory/slab.h"

/* What a vma has besides its range. */
struct vma_body {
	uint64_t flags, pgoff, anon;
	struct vas_file *file;
};

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
			struct vma_body body[VAS_TREE_LEAF];
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

static unsigned node_keys(const struct tree_node *node)
{
	return node->level == 0 ? NKEYS(VAS_TREE_LEAF) : NKEYS(VAS_TREE_FANOUT);
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
	node->count = 0;
	node->level = (uint16_t)level;
	for (unsigned i = 0; i < node_keys(node); i++)
		node_ends(node)[i] = NO_ADDRESS;
	return node;
}

static void node_free(struct vma_tree *tree, struct tree_node *node)
{
	slab_free(tree->slab->frames, node);
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
	for (unsigned i = node->count; node->level == 0 && i > slot; i--)
		leaf_copy(node, i - 1 + n, node, i - 1);
	for (unsigned i = node->count; node->level > 0 && i > slot; i--)
		inner_copy(node, i - 1 + n, node, i - 1);
	node->count = (uint16_t)(node->count + n);
}

/* Keeps only the first `count` records. */
static void node_truncate(struct tree_node *node, unsigned count)
{
	for (unsigned i = count; i < node->count; i++)
		node_ends(node)[i] = NO_ADDRESS;
	node->count = (uint16_t)count;
}

/* Removes n records at `slot`. */
static void node_close(struct tree_node *node, unsigned slot, unsigned n)
{
	for (unsigned i = slot + n; node->level == 0 && i < node->count; i++)
		leaf_copy(node, i - n, node, i);
	for (unsigned i = slot + n; node->level > 0 && i < node->count; i++)
		inner_copy(node, i - n, node, i);
	node_truncate(node, node->count - n);
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
static void path_refresh(const struct vma_tree *tree, unsigned level)
{
	const struct path *path = &tree->path;

	while (++level < tree->height && node_record(path->node[level], path->slot[level]))
		;
}

/* ---- Finding -------------------------------------------------------------------------------- */

/* Asks for all of a node at once: among a million vmas the lower levels are in no cache, and each
 * look at one would wait anew. */
static inline struct tree_node *node_enter(struct tree_node *node)
{
	for (size_t at = 0; at < sizeof(*node); at += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)node + at);
	return node;
}

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

/* Whether it belongs to the slot behind that of the position: where one looks for a neighbour, and
 * where loops go on. */
static inline bool is_next(const struct path *path, uint64_t addr)
{
	const struct tree_node *leaf = path->node[0];
	unsigned next = path->slot[0] + 1;

	return leaf && next < leaf->count && addr >= path->to && addr < leaf->leaf.end[next];
}

/* The leaf that addr belongs to, and the slot; NULL: all vmas end below. */
static inline const struct tree_node *leaf_of(const struct vma_tree *tree, uint64_t addr,
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
			node = node_enter(node->inner.child[inner_above(node, addr)]);
	}
	*slot = leaf_above(node, addr);
	return node;
}

bool vma_tree_find(const struct vma_tree *tree, uint64_t addr, struct vma *out)
{
	unsigned slot;
	const struct tree_node *leaf = leaf_of(tree, addr, &slot);

	if (!leaf)
		return false;
	leaf_get(leaf, slot, out);
	return true;
}

bool vma_tree_starting(const struct vma_tree *tree, uint64_t addr, struct vma *out)
{
	unsigned slot;
	const struct tree_node *leaf = leaf_of(tree, addr, &slot);

	if (!leaf || leaf->leaf.start[slot] != addr)
		return false;
	leaf_get(leaf, slot, out);
	return true;
}

bool vma_tree_before(const struct vma_tree *tree, uint64_t addr, struct vma *out)
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

bool vma_tree_ending(const struct vma_tree *tree, uint64_t addr, struct vma *out)
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
	return vma_tree_before(tree, addr, out) && out->end == addr;
}

/* Puts the position on a slot of its leaf; if that is past the last, no address belongs there. */
static inline void path_stand(struct path *path, unsigned slot)
{
	const struct tree_node *leaf = path->node[0];

	path->slot[0] = slot;
	path->from = slot > 0 ? leaf->leaf.end[slot - 1] : path->low;
	path->to = slot < leaf->count ? leaf->leaf.end[slot] : path->from;
}

/* Brings the position to the leaf of addr, or to the last. */
static void path_descend(struct vma_tree *tree, uint64_t addr)
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
		node = node_enter(node->inner.child[slot]);
	}
	path->node[0] = node;
}

static void path_go(struct vma_tree *tree, uint64_t addr)
{
	struct path *path = &tree->path;

	if (!is_near(path, addr))
		path_descend(tree, addr);
	path_stand(path, leaf_above(path->node[0], addr));
}

/* Brings the position to addr: to the first vma that ends above it, or behind the last. */
static inline struct path *path_to(struct vma_tree *tree, uint64_t addr)
{
	if (!is_here(&tree->path, addr))
		path_go(tree, addr);
	return &tree->path;
}

bool vma_tree_seek(struct vma_tree *tree, uint64_t addr, struct vma *out)
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
static void path_grow(struct vma_tree *tree)
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
static void path_split(struct vma_tree *tree, unsigned level, uint64_t start)
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
static void path_make_room(struct vma_tree *tree, uint64_t start)
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

/* Adds a vma where the leaf may have to be split. */
static void record_insert(struct vma_tree *tree, const struct vma *vma)
{
	struct path *path = &tree->path;

	tree->count++;
	if (!tree->root) {
		tree->root = node_new(tree, 0);
		tree->height = 1;
		tree->root->count = 1;
		leaf_put(tree->root, 0, vma);
		return;
	}
	path_to(tree, vma->start);
	path_make_room(tree, vma->start);
	node_open(path->node[0], path->slot[0], 1);
	leaf_put(path->node[0], path->slot[0], vma);
	path_refresh(tree, 0);
	path_lose(path);
}

/* Brings the node of the path at `level`, which has become too empty, together with a sibling: one
 * node if both fit, else one record moves over. */
static void path_fill(struct vma_tree *tree, unsigned level)
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

/* Removes the first vma that ends above addr, where nodes may have to be joined. */
static void record_remove(struct vma_tree *tree, uint64_t addr)
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

/* Whether there is no hole between the vmas in n slots of a leaf. */
static bool is_solid(const struct tree_node *leaf, unsigned slot, unsigned n)
{
	for (unsigned i = slot + 1; i < slot + n; i++) {
		if (leaf->leaf.start[i] != leaf->leaf.end[i - 1])
			return false;
	}
	return true;
}

/* Splices within one leaf, if no node needs to be split or joined for it. */
static bool leaf_splice(struct vma_tree *tree, uint64_t addr, unsigned nold, const struct vma *new,
                        unsigned nnew)
{
	struct path *path = path_to(tree, addr);
	struct tree_node *leaf = path->node[0];
	unsigned slot = path->slot[0], count = leaf->count - nold + nnew;
	bool same_holes;

	if (slot + nold > leaf->count || count > VAS_TREE_LEAF ||
	    (nold > nnew && count < node_least(leaf)))
		return false;
	same_holes = nold > 0 && nnew > 0 && leaf->leaf.start[slot] == new[0].start &&
	             leaf->leaf.end[slot + nold - 1] == new[nnew - 1].end &&
	             is_solid(leaf, slot, nold);
	if (nnew > nold)
		node_open(leaf, slot + nold, nnew - nold);
	else if (nnew < nold)
		node_close(leaf, slot + nnew, nold - nnew);
	for (unsigned i = 0; i < nnew; i++)
		leaf_put(leaf, slot + i, &new[i]);
	tree->count = tree->count - nold + nnew;
	path_stand(path, slot);
	if (!same_holes || !is_solid(leaf, slot, nnew))
		path_refresh(tree, 0);
	return true;
}

void vma_tree_splice(struct vma_tree *tree, uint64_t addr, unsigned nold, const struct vma *new,
                     unsigned nnew)
{
	unsigned kept = 0;

	if (tree->root && leaf_splice(tree, addr, nold, new, nnew))
		return;
	/* A vma that is split stays where it is, as its first part: only the others need room. */
	kept = nold == 1 && nnew > 1 && leaf_splice(tree, addr, 1, new, 1);
	nold -= kept;
	/* What goes for good goes first: one vma in the place of several needs no node. */
	for (; nold > nnew && nnew > 0; nold--)
		record_remove(tree, addr);
	if (tree->root && nold == nnew && leaf_splice(tree, addr, nold, new, nnew))
		return;
	for (; nold > 0; nold--)
		record_remove(tree, addr);
	for (unsigned i = kept; i < nnew; i++)
		record_insert(tree, &new[i]);
}

void vma_tree_insert(struct vma_tree *tree, const struct vma *vma)
{
	vma_tree_splice(tree, vma->start, 0, vma, 1);
}

void vma_tree_replace(struct vma_tree *tree, uint64_t start, const struct vma *vma)
{
	vma_tree_splice(tree, start, 1, vma, 1);
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
	for (struct tree_node *node; (node = tree->spare) != NULL; node_free(tree, node))
		tree->spare = node->inner.child[0];
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
	for (unsigned i = node->count; i < node_keys(node); i++) {
		if (slot_end(node, i) != NO_ADDRESS)
			return "ends that are not used hold no address";
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

/* The position, level by level. */
static bool path_is_sound(const struct vma_tree *tree)
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
	if (!broken && !path_is_sound(tree))
		broken = "the position is a way to a slot, and knows which addresses belong there";
	return broken;
}
