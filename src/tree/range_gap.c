/* range_gap.c - holes between ranges: the highest or the lowest that is large enough.
 *
 * A subtree whose largest gap is too small is passed by, so a search goes down one way, or two
 * along the border of what is asked for.
 *
 * SPDX-License-Identifier: MIT */
#include "tree/range_node.h"

/* What is looked for, and found. */
struct search {
	uint64_t low, high, len;
	bool highest;
	uint64_t start, end;
};

/* Takes the hole [start, end) if enough of it lies in [low, high). */
static bool take_hole(struct search *s, uint64_t start, uint64_t end)
{
	start = max_u64(start, s->low);
	end = min_u64(end, s->high);
	if (end <= start || end - start < s->len)
		return false;
	s->start = start;
	s->end = end;
	return true;
}

/* The first hole between two ranges below `node` that will do, in the direction asked for. */
static bool search_node(struct search *s, const struct tree_node *node)
{
	for (unsigned i = 0; i < node->count; i++) {
		unsigned slot = s->highest ? node->count - 1u - i : i;
		unsigned other = s->highest ? slot + 1 : slot - 1; /* the one just passed */

		if (i > 0) {
			unsigned l = min_u64(slot, other), r = l + 1;

			if (take_hole(s, slot_end(node, l), slot_start(node, r)))
				return true;
		}
		if (node->level > 0 && node->inner.gap[slot] >= s->len &&
		    node->inner.start[slot] < s->high && node->inner.end[slot] > s->low &&
		    search_node(s, node->inner.child[slot]))
			return true;
	}
	return false;
}

bool range_tree_gap(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t len,
                    bool highest, uint64_t *gap_start, uint64_t *gap_end)
{
	struct search s = {.low = low, .high = high, .len = len, .highest = highest};
	const struct tree_node *root = tree->root;
	uint64_t first = root ? slot_start(root, 0) : ~(uint64_t)0;
	uint64_t last = root ? slot_end(root, root->count - 1u) : ~(uint64_t)0;
	bool found;

	if (highest)
		found = take_hole(&s, last, ~(uint64_t)0) || (root && search_node(&s, root)) ||
		        take_hole(&s, 0, first);
	else
		found = take_hole(&s, 0, first) || (root && search_node(&s, root)) ||
		        take_hole(&s, last, ~(uint64_t)0);
	*gap_start = s.start;
	*gap_end = s.end;
	return found;
}
