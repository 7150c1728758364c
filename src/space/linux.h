/* linux.h - what differs between the versions of Linux: one named predicate for each difference.
 *
 * The version is a parameter of a system; nothing else in vas compares version numbers. A version
 * newer than the newest known one answers as that. Each predicate has a case for both of its sides,
 * mostly under tests/cases/version: tests/sides turns each, and counts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_LINUX_H
#define VAS_LINUX_H

#include "space/space.h"

static inline bool linux_since(const struct vas *space, unsigned major, unsigned minor)
{
	return space->system->version >= VAS_LINUX(major, minor, 0);
}

static inline bool linux_between(const struct vas *space, unsigned major, unsigned minor,
                                 unsigned until_major, unsigned until_minor)
{
	return linux_since(space, major, minor) &&
	       space->system->version <= VAS_LINUX(until_major, until_minor);
}

/* From this stable update of one series on; later series are another question. */
static inline bool linux_updated(const struct vas *space, unsigned major, unsigned minor,
                                 unsigned level)
{
	return space->system->version >= VAS_LINUX(major, minor, level) &&
	       space->system->version <= VAS_LINUX(major, minor);
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

/* One call moves several vmas; every check that needs no change comes before the target is
 * unmapped; sizes are rounded before they are compared; the size is checked in every form. */
static inline bool linux_mremap_moves_many(const struct vas *space)
{
	return linux_since(space, 6, 17);
}

/* What lies at the old address is looked at before the new address is. Before: last of all, when
 * the target is unmapped and the tail cut; staying as large or shrinking looks at nothing. */
static inline bool linux_mremap_looks_first(const struct vas *space)
{
	return linux_since(space, 5, 16);
}

/* All that can be said without looking at the space is said first. */
static inline bool linux_mremap_checks_first(const struct vas *space)
{
	return !linux_mremap_looks_first(space) || linux_mremap_moves_many(space);
}

/* Among it that the new address is aligned, always since then. */
static inline bool linux_mremap_aligns_first(const struct vas *space)
{
	return linux_mremap_checks_first(space) || linux_since(space, 6, 15);
}

/* A mapping that grows in place until it meets the next one may merge with it. */
static inline bool linux_growth_merges(const struct vas *space)
{
	return linux_since(space, 6, 0);
}

/* DONTUNMAP of locked memory counts its pages twice for ever (struct vas_settings leak_locked).
 * Before: the counter stays, though more than has moved is not locked any more. */
static inline bool linux_dontunmap_leaks_locked(const struct vas *space)
{
	return linux_since(space, 6, 15);
}

/* DONTUNMAP takes locks off what moved only, which splits it from the rest of its vma; and a source
 * that is a whole vma is as if it were unmapped and mapped anew. */
static inline bool linux_dontunmap_renews(const struct vas *space)
{
	return linux_since(space, 7, 2) || linux_updated(space, 6, 12, 91) ||
	       linux_updated(space, 6, 1, 192);
}

/* Beside its source, what DONTUNMAP moves joins its other neighbour; before, neither. */
static inline bool linux_dontunmap_joins_others(const struct vas *space)
{
	return linux_since(space, 6, 12); /* between 6.1 and 6.12 */
}

/* DONTUNMAP of a whole vma leaves it as if it was never written. */
static inline bool linux_dontunmap_forgets(const struct vas *space)
{
	return linux_since(space, 5, 13) && !linux_between(space, 6, 15, 6, 16);
}

/* DONTUNMAP takes the charge of what it leaves behind along. */
static inline bool linux_dontunmap_takes_charge(const struct vas *space)
{
	return linux_between(space, 6, 15, 6, 16);
}

/* The limit of vmas: every form wants room for four more, a move for two. Before: a placed one for
 * five, a move for three. */
static inline bool linux_mremap_wants_four(const struct vas *space)
{
	return linux_since(space, 7, 1);
}

/* Before: a shrinking move is charged for what it has cut off, and keeps the charge. */
static inline bool linux_shrinking_move_is_free(const struct vas *space)
{
	return linux_since(space, 7, 3);
}

/* ---- Merging ---- */

/* A neighbour that was never written takes in one that was. */
static inline bool linux_untouched_joins_touched(const struct vas *space)
{
	return linux_since(space, 6, 16);
}

/* What was inherited through fork joins untouched memory where it is moved to. */
static inline bool linux_moved_forked_joins(const struct vas *space)
{
	return linux_since(space, 6, 16) && space->system->version < VAS_LINUX(6, 18, 9);
}

/* ... and where it grows up to it. */
static inline bool linux_grown_forked_joins(const struct vas *space)
{
	return linux_since(space, 6, 16);
}

/* Where a new mapping fits both neighbours, and they do not fit each other, the upper takes it. */
static inline bool linux_upper_neighbour_wins(const struct vas *space)
{
	return linux_between(space, 6, 1, 6, 11);
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
	return linux_since(space, 6, 12);
}

/* A hole that the guard gap of a vma spoils has the search go on below the guard gap; before: below
 * the hole. */
static inline bool linux_guard_hides_more(const struct vas *space)
{
	return linux_since(space, 6, 1);
}

/* A hint for huge pages of the pool is rounded up; before: down. */
static inline bool linux_hugetlb_hint_rounds_up(const struct vas *space)
{
	return linux_since(space, 6, 13);
}

/* ---- mmap ---- */

/* The limits are tested, and the charge is made, before what is replaced is unmapped. */
static inline bool linux_mmap_admits_first(const struct vas *space)
{
	return linux_since(space, 6, 12);
}

/* mlockall(MCL_FUTURE) leaves droppable memory unlocked. */
static inline bool linux_droppable_stays_unlocked(const struct vas *space)
{
	return linux_since(space, 7, 0) || linux_updated(space, 6, 18, 44) ||
	       linux_updated(space, 6, 12, 90);
}

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

/* DONTNEED of all that a page table maps frees the table too. */
static inline bool linux_dontneed_frees_tables(const struct vas *space)
{
	return linux_since(space, 6, 14);
}

/* A write to a huge page of zeros takes another huge page; before: a small one among zeros. It
 * shows in smaps alone, which has no case. */
static inline bool linux_zeros_become_huge(const struct vas *space)
{
	return linux_since(space, 6, 13);
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

/* ---- mprotect ---- */

/* Private memory that was never written and becomes read-only is not charged any more. */
static inline bool linux_mprotect_uncharges(const struct vas *space)
{
	return linux_since(space, 6, 7); /* between 6.1 and 6.12 */
}

/* ---- brk ---- */

/* RISC-V alone: who may write may read, and maps says so. */
static inline bool linux_riscv_write_reads(const struct vas *space)
{
	return linux_since(space, 7, 2); /* between 6.12 and 7.2 */
}

/* Lowering the break wants something mapped there. */
static inline bool linux_brk_wants_heap(const struct vas *space)
{
	return linux_since(space, 6, 1); /* after 5.10 */
}

/* An empty heap has no name to give to what lies there. */
static inline bool linux_heap_is_not_empty(const struct vas *space)
{
	return linux_since(space, 6, 6); /* between 6.1 and 6.12 */
}

/* ---- mlock, mseal ---- */

static inline bool linux_mlock2(const struct vas *space)
{
	return linux_since(space, 4, 4);
}

/* mlock2(ONFAULT) says nothing of memory that cannot be accessed. */
static inline bool linux_onfault_looks_at_nothing(const struct vas *space)
{
	return linux_since(space, 5, 18); /* between 5.10 and 6.1 */
}

static inline bool linux_mseal(const struct vas *space)
{
	return linux_since(space, 6, 10);
}

/* ---- prctl ---- */

static inline bool linux_mdwe(const struct vas *space)
{
	return linux_since(space, 6, 3);
}

static inline bool linux_memory_merge(const struct vas *space)
{
	return linux_since(space, 6, 4);
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
	return linux_since(space, 6, 19) || linux_updated(space, 6, 18, 44);
}

/* Advice that would exceed max_map_count by a split is EAGAIN; before: ENOMEM. */
static inline bool linux_madv_split_is_eagain(const struct vas *space)
{
	return linux_since(space, 5, 17); /* between 5.10 and 6.1 */
}

/* DONTNEED of pages of the huge page pool. */
static inline bool linux_madv_dontneed_hugetlb(const struct vas *space)
{
	return linux_since(space, 5, 18);
}

/* POPULATE_READ and POPULATE_WRITE stop at a gap; before: they go on behind it. */
static inline bool linux_populate_stops_at_gap(const struct vas *space)
{
	return linux_since(space, 6, 9); /* between 6.1 and 6.12 */
}

/* COLLAPSE of pages none of which may be written. */
static inline bool linux_collapse_read_only(const struct vas *space)
{
	return linux_since(space, 6, 18);
}

/* COLLAPSE of a range inside a block does nothing; before, EINVAL if rounding turned it round. */
static inline bool linux_collapse_takes_less(const struct vas *space)
{
	return linux_since(space, 7, 2);
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
