/* interval.c - an AVL tree of intervals, augmented with the highest end below each node.
 *
 * All recursion is as deep as the tree is high: 1.44 times the binary logarithm of its count.
 *
 * SPDX-License-Identifier: MIT */
#include "tree/interval.h"
#include "memory/slab.h"

/* ---- The stock ------------------------------------------------------------------------------ */

bool interval_stock_fill(struct interval_stock *stock, unsigned n)
{
	while (stock->nspare < n) {
		struct interval *interval = slab_alloc(stock->slab, sizeof(*interval));

		if (!interval)
			return false;
		interval->right = stock->spare;
		stock->spare = interval;
		stock->nspare++;
	}
	return true;
}

struct interval *interval_stock_take(struct interval_stock *stock)
{
	struct interval *interval = stock->spare;

	vas_assert(interval != NULL);
	stock->spare = interval->right;
	stock->nspare--;
	return interval;
}

void interval_stock_give(struct interval_stock *stock, struct interval *interval)
{
	if (stock->nspare >= INTERVAL_STOCK) {
		slab_free(stock->slab->frames, interval);
		return;
	}
	interval->right = stock->spare;
	stock->spare = interval;
	stock->nspare++;
}

void interval_stock_drain(struct interval_stock *stock)
{
	while (stock->nspare > 0)
		slab_free(stock->slab->frames, interval_stock_take(stock));
}

/* ---- Balance -------------------------------------------------------------------------------- */

static uint32_t height_of(const struct interval *at)
{
	return at ? at->height : 0;
}

static uint64_t highest_of(const struct interval *at)
{
	return at ? at->highest : 0;
}

/* Writes down what a node must know of those below it. */
static void refresh(struct interval *at)
{
	uint32_t left = height_of(at->left), right = height_of(at->right);

	at->height = 1 + (left > right ? left : right);
	at->highest = max_u64(at->last, max_u64(highest_of(at->left), highest_of(at->right)));
}

static struct interval *rotate_right(struct interval *at)
{
	struct interval *top = at->left;

	at->left = top->right;
	top->right = at;
	refresh(at);
	refresh(top);
	return top;
}

static struct interval *rotate_left(struct interval *at)
{
	struct interval *top = at->right;

	at->right = top->left;
	top->left = at;
	refresh(at);
	refresh(top);
	return top;
}

/* Puts right a node of which one side has become higher or lower by one: the new top. */
static struct interval *balance(struct interval *at)
{
	uint32_t left = height_of(at->left), right = height_of(at->right);

	if (left > right + 1) {
		if (height_of(at->left->left) < height_of(at->left->right))
			at->left = rotate_left(at->left);
		return rotate_right(at);
	}
	if (right > left + 1) {
		if (height_of(at->right->right) < height_of(at->right->left))
			at->right = rotate_right(at->right);
		return rotate_left(at);
	}
	refresh(at);
	return at;
}

/* ---- Changing and finding ------------------------------------------------------------------- */

/* Whether (group, first, id) comes before a node, is it, or comes behind it: -1, 0, 1. */
static int compare(uint64_t group, uint64_t first, uint64_t id, const struct interval *at)
{
	if (group != at->group)
		return group < at->group ? -1 : 1;
	if (first != at->first)
		return first < at->first ? -1 : 1;
	return id < at->id ? -1 : id > at->id;
}

static struct interval *insert_below(struct interval *at, struct interval *new)
{
	int side;

	if (!at)
		return new;
	side = compare(new->group, new->first, new->id, at);
	vas_assert(side != 0);
	if (side < 0)
		at->left = insert_below(at->left, new);
	else
		at->right = insert_below(at->right, new);
	return balance(at);
}

void interval_insert(struct interval_tree *tree, struct interval *interval)
{
	interval->left = interval->right = NULL;
	refresh(interval);
	tree->root = insert_below(tree->root, interval);
	tree->count++;
}

/* Takes out the first node of a tree that is not empty. */
static struct interval *take_first(struct interval *at, struct interval **taken)
{
	if (!at->left) {
		*taken = at;
		return at->right;
	}
	at->left = take_first(at->left, taken);
	return balance(at);
}

/* What stands in the place of a node that goes: the next in order, if both sides are there. */
static struct interval *without_top(struct interval *at)
{
	struct interval *top, *right;

	if (!at->left || !at->right)
		return at->left ? at->left : at->right;
	right = take_first(at->right, &top);
	top->left = at->left;
	top->right = right;
	return balance(top);
}

static struct interval *remove_below(struct interval *at, uint64_t group, uint64_t first,
                                     uint64_t id, struct interval **removed)
{
	int side;

	if (!at)
		return NULL;
	side = compare(group, first, id, at);
	if (side == 0) {
		*removed = at;
		return without_top(at);
	}
	if (side < 0)
		at->left = remove_below(at->left, group, first, id, removed);
	else
		at->right = remove_below(at->right, group, first, id, removed);
	return balance(at);
}

struct interval *interval_remove(struct interval_tree *tree, uint64_t group, uint64_t first,
                                 uint64_t id)
{
	struct interval *removed = NULL;

	tree->root = remove_below(tree->root, group, first, id, &removed);
	tree->count -= removed != NULL;
	return removed;
}

/* The first node that does not come before (group, first, id). */
static const struct interval *from(const struct interval_tree *tree, uint64_t group, uint64_t first,
                                   uint64_t id)
{
	const struct interval *at = tree->root, *best = NULL;

	while (at) {
		if (compare(group, first, id, at) <= 0) {
			best = at;
			at = at->left;
		} else {
			at = at->right;
		}
	}
	return best;
}

const struct interval *interval_find(const struct interval_tree *tree, uint64_t group,
                                     uint64_t first, uint64_t id)
{
	const struct interval *at = from(tree, group, first, id);

	return at && compare(group, first, id, at) == 0 ? at : NULL;
}

const struct interval *interval_next(const struct interval_tree *tree, uint64_t group,
                                     uint64_t first)
{
	const struct interval *at = from(tree, group, first, 0);

	return at && at->group == group ? at : NULL;
}

struct search_below {
	uint64_t group, first, last;
	interval_visit *visit;
	void *ctx;
};

/* Nodes of other groups are met only along the two borders of the group's own. */
static bool each_below(const struct search_below *s, const struct interval *at)
{
	if (!at || at->highest <= s->first)
		return true;
	if (at->group >= s->group && !each_below(s, at->left))
		return false;
	if (at->group == s->group && at->first < s->last && at->last > s->first &&
	    !s->visit(s->ctx, at))
		return false;
	if (at->group > s->group || (at->group == s->group && at->first >= s->last))
		return true;
	return each_below(s, at->right);
}

bool interval_each(const struct interval_tree *tree, uint64_t group, uint64_t first, uint64_t last,
                   interval_visit *visit, void *ctx)
{
	const struct search_below search = {group, first, last, visit, ctx};

	return each_below(&search, tree->root);
}

/* ---- Checking ------------------------------------------------------------------------------- */

static const char *check_below(const struct interval *at, const struct interval **before,
                               uint64_t *count)
{
	uint32_t left, right;
	const char *broken;

	if (!at)
		return NULL;
	broken = check_below(at->left, before, count);
	if (broken)
		return broken;
	if (*before && compare(at->group, at->first, at->id, *before) <= 0)
		return "intervals are in order of group, first and id, no two alike";
	*before = at;
	++*count;
	left = height_of(at->left);
	right = height_of(at->right);
	if (left > right + 1 || right > left + 1 || at->height != 1 + (left > right ? left : right))
		return "the heights of two siblings differ by one at the most";
	if (at->highest != max_u64(at->last, max_u64(highest_of(at->left), highest_of(at->right))))
		return "a node knows the highest end below it";
	return check_below(at->right, before, count);
}

const char *interval_check(const struct interval_tree *tree)
{
	const struct interval *before = NULL;
	uint64_t count = 0;
	const char *broken = check_below(tree->root, &before, &count);

	return !broken && count != tree->count ? "count is the number of intervals" : broken;
}
