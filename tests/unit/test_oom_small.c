/* Running out of memory with the smallest nodes, where every call needs some for the tree of vmas.
 *
 * SPDX-License-Identifier: MIT */
#define VAS_TREE_LEAF 3
#define VAS_TREE_FANOUT 4

#include "one.c"

#include "test_oom.c"
