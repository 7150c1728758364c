/* one.c - the whole core as one translation unit, so that only the public names are left and the
 * compiler sees everything. libvas.a is built from this file.
 *
 * SPDX-License-Identifier: MIT */
#define VAS_INTERNAL static

#include "format/x86_64.c"
#include "frame.c"
#include "object.c"
#include "pagetable.c"
#include "slab.c"
#include "tlb.c"
#include "vma_tree.c"
