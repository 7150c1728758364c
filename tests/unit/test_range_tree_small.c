/* The tree's tests again with the smallest nodes, where splitting and joining happen at every turn.
 *
 * SPDX-License-Identifier: MIT */
#define VAS_TREE_LEAF 3
#define VAS_TREE_FANOUT 4

#include "one.c"

#include "test_range_tree.c"
