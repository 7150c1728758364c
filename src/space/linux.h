/* linux.h - what differs between the versions of Linux: one named predicate for each difference.
 *
 * The version is a parameter of a system; nothing else in vas compares version numbers. A version
 * newer than the newest known one answers as that. Each predicate has a case under
 * tests/cases/version for both of its sides.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_LINUX_H
#define VAS_LINUX_H

#include "space/space.h"

static inline bool linux_since(const struct vas *space, unsigned major, unsigned minor)
{
	return space->system->version >= VAS_LINUX(major, minor, 0);
}

/* ---- mremap ---- */

static inline bool linux_mremap_fixed(const struct vas *space)
{
	return linux_since(space, 2, 4);
}

/* Before: a locked mapping does not grow, whatever the limit. */
static inline bool linux_locked_memory_grows(const struct vas *space)
{
	return linux_since(space, 2, 6);
}

/* Before: old_size 0 of a private mapping makes a fresh one of the same kind. */
static inline bool linux_duplicates_only_shared(const struct vas *space)
{
	return linux_since(space, 4, 14);
}

/* The limit of vmas is looked at before a placed mremap changes anything. */
static inline bool linux_mremap_counts_first(const struct vas *space)
{
	return linux_since(space, 5, 1);
}

static inline bool linux_mremap_dontunmap(const struct vas *space)
{
	return linux_since(space, 5, 7);
}

/* Before: of private anonymous memory only. */
static inline bool linux_dontunmap_files(const struct vas *space)
{
	return linux_since(space, 5, 13);
}

/* Memory of the huge page pool can be moved and shrunk. */
static inline bool linux_mremap_hugetlb(const struct vas *space)
{
	return linux_since(space, 5, 16);
}

/* A mapping that grows in place until it meets the next one may merge with it. */
static inline bool linux_growth_merges(const struct vas *space)
{
	return linux_since(space, 6, 0);
}

/* DONTUNMAP of locked memory counts its pages twice for ever (struct vas_settings leak_locked). */
static inline bool linux_dontunmap_leaks_locked(const struct vas *space)
{
	return linux_since(space, 6, 15);
}

/* One call moves several vmas; every check that needs no change comes before the target is
 * unmapped; sizes are rounded before they are compared; the size is checked in every form. */
static inline bool linux_mremap_moves_many(const struct vas *space)
{
	return linux_since(space, 6, 17);
}

/* ---- Merging ---- */

/* A neighbour that was never written takes in one that was. */
static inline bool linux_untouched_joins_touched(const struct vas *space)
{
	return linux_since(space, 6, 16);
}

/* What was inherited through fork stays apart from untouched memory where it is moved to. */
static inline bool linux_moved_forked_stays_apart(const struct vas *space)
{
	return linux_since(space, 6, 18);
}

/* ---- Choice of address ---- */

/* Anonymous memory of 2 MiB and more is aligned for huge pages. */
static inline bool linux_aligns_anonymous(const struct vas *space)
{
	return linux_since(space, 6, 7);
}

/* ... but only if its length is a multiple of 2 MiB. */
static inline bool linux_aligns_multiples_only(const struct vas *space)
{
	return linux_since(space, 6, 13);
}

/* ---- mmap ---- */

static inline bool linux_map_shared_validate(const struct vas *space)
{
	return linux_since(space, 4, 15);
}

static inline bool linux_map_fixed_noreplace(const struct vas *space)
{
	return linux_since(space, 4, 17);
}

static inline bool linux_map_above4g(const struct vas *space)
{
	return linux_since(space, 6, 6);
}

/* MAP_STACK keeps huge pages away. */
static inline bool linux_map_stack_nohugepage(const struct vas *space)
{
	return linux_since(space, 6, 7);
}

static inline bool linux_map_droppable(const struct vas *space)
{
	return linux_since(space, 6, 11);
}

/* ---- mlock, mseal ---- */

static inline bool linux_mlock2(const struct vas *space)
{
	return linux_since(space, 4, 4);
}

static inline bool linux_mseal(const struct vas *space)
{
	return linux_since(space, 6, 10);
}

/* ---- madvise ---- */

static inline bool linux_madv_free(const struct vas *space)
{
	return linux_since(space, 4, 5);
}

static inline bool linux_madv_wipeonfork(const struct vas *space)
{
	return linux_since(space, 4, 14);
}

static inline bool linux_madv_reclaim(const struct vas *space)
{
	return linux_since(space, 5, 4);
}

static inline bool linux_madv_populate(const struct vas *space)
{
	return linux_since(space, 5, 14);
}

static inline bool linux_madv_dontneed_locked(const struct vas *space)
{
	return linux_since(space, 5, 18);
}

static inline bool linux_madv_collapse(const struct vas *space)
{
	return linux_since(space, 6, 1);
}

static inline bool linux_madv_guard(const struct vas *space)
{
	return linux_since(space, 6, 13);
}

/* A vma remembers that guards were installed in it (VmFlags gu). */
static inline bool linux_notes_guards(const struct vas *space)
{
	return linux_since(space, 6, 18);
}

/* pagemap tells guards from swapped pages. */
static inline bool linux_pagemap_guard(const struct vas *space)
{
	return linux_since(space, 6, 15);
}

/* Guards of file mappings and shared memory too. */
static inline bool linux_guards_files(const struct vas *space)
{
	return linux_since(space, 6, 15);
}

#endif
