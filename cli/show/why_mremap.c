/* why_mremap.c - the causes of mremap's errors.
 *
 * SPDX-License-Identifier: MIT */
#include "show/why_internal.h"

#define SINCE(...) VAS_LINUX_PICK(__VA_ARGS__, 0, 0)
#define UNTIL(...) VAS_LINUX(__VA_ARGS__)

/* ---- The request ----------------------------------------------------------------------------- */

static uint64_t old_len(ASK)
{
	return why_round(q, ARG(1));
}

static uint64_t new_len(ASK)
{
	return why_round(q, ARG(2));
}

static bool asks(ASK, uint64_t flags)
{
	return ARG(3) & flags;
}

/* new_addr counts. */
static bool is_placed(ASK)
{
	return asks(q, VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP);
}

static bool is_fixed(ASK)
{
	return asks(q, VAS_MREMAP_FIXED);
}

static const struct vas_region *source(ASK)
{
	return why_region(q, ARG(0));
}

static bool source_is(ASK, uint64_t flags)
{
	const struct vas_region *region = source(q);
	return region && (region->flags & flags);
}

static uint64_t growth(ASK)
{
	return new_len(q) > old_len(q) ? new_len(q) - old_len(q) : 0;
}

static bool wraps(uint64_t addr, uint64_t len, uint64_t end)
{
	return addr > end || len > end - addr;
}

/* ---- EINVAL ---------------------------------------------------------------------------------- */

static bool has_unknown_flag(ASK)
{
	return ARG(3) & ~(uint64_t)(VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP);
}

static bool asks_dontunmap(ASK)
{
	return asks(q, VAS_MREMAP_DONTUNMAP);
}

static bool old_is_unaligned(ASK)
{
	return !why_is_aligned(q, ARG(0));
}

static bool new_len_is_zero(ASK)
{
	return new_len(q) == 0;
}

static bool new_len_is_absurd(ASK)
{
	return new_len(q) > why_task_size(q);
}

static bool wants_maymove(ASK)
{
	return is_placed(q) && !asks(q, VAS_MREMAP_MAYMOVE);
}

static bool new_is_unaligned(ASK)
{
	return is_placed(q) && !why_is_aligned(q, ARG(4));
}

static bool dontunmap_resizes(ASK)
{
	return asks_dontunmap(q) &&
	       (q->version < SINCE(6, 17) ? ARG(1) != ARG(2) : old_len(q) != new_len(q));
}

static bool new_range_passes_end(ASK)
{
	return is_placed(q) && wraps(ARG(4), new_len(q), why_task_size(q));
}

static bool overlaps(ASK)
{
	return is_placed(q) && ARG(0) + old_len(q) > ARG(4) && ARG(4) + new_len(q) > ARG(0);
}

static bool hint_overlaps(ASK)
{
	return overlaps(q) && !is_fixed(q);
}

static bool is_hugetlb(ASK)
{
	return source_is(q, VAS_VM_HUGETLB);
}

static bool hugetlb_is_left(ASK)
{
	return is_hugetlb(q) && asks_dontunmap(q) && why_is_huge_aligned(q, ARG(0) | ARG(4));
}

static bool hugetlb_new_is_unaligned(ASK)
{
	return is_hugetlb(q) && why_is_huge_aligned(q, ARG(0)) && !why_is_huge_aligned(q, ARG(4));
}

static bool hugetlb_grows(ASK)
{
	return is_hugetlb(q) && growth(q) && why_is_huge_aligned(q, ARG(0));
}

static bool range_has_hugetlb(ASK)
{
	return is_fixed(q) && why_has(q, ARG(0), ARG(0) + old_len(q), VAS_VM_HUGETLB);
}

static bool tail_passes_end(ASK)
{
	return old_len(q) > new_len(q) && wraps(ARG(0), old_len(q), why_task_size(q));
}

static bool duplicates_private(ASK)
{
	return old_len(q) == 0 && source(q) && !(source(q)->flags & VAS_VM_MAYSHARE);
}

static bool leaves_file(ASK)
{
	return asks_dontunmap(q) && source(q) &&
	       (why_mode(q, source(q)) || (source(q)->flags & VAS_VM_SHARED));
}

/* ---- EFAULT ---------------------------------------------------------------------------------- */

static bool nothing_is_mapped(ASK)
{
	return !source(q);
}

static bool destroys_source(ASK)
{
	return is_fixed(q) && ARG(4) <= ARG(0) && ARG(0) - ARG(4) < new_len(q);
}

/* ---- EPERM ----------------------------------------------------------------------------------- */

static bool source_is_sealed(ASK)
{
	return source_is(q, VAS_VM_SEALED);
}

static bool target_is_low(ASK)
{
	return is_placed(q) && why_is_low(q, ARG(4)) &&
	       !why_has(q, ARG(4), ARG(4) + new_len(q), VAS_VM_SEALED);
}

static bool target_is_sealed(ASK)
{
	return is_fixed(q) && why_has(q, ARG(4), ARG(4) + new_len(q), VAS_VM_SEALED);
}

static bool tail_is_sealed(ASK)
{
	return old_len(q) > new_len(q) &&
	       why_has(q, ARG(0) + new_len(q), ARG(0) + old_len(q), VAS_VM_SEALED);
}

/* ---- EAGAIN and ENOMEM ----------------------------------------------------------------------- */

static bool duplicates_in_place(ASK)
{
	return old_len(q) == 0 && !asks(q, VAS_MREMAP_MAYMOVE);
}

static bool grows_over_size(ASK)
{
	return growth(q) && !why_size_fits(q, growth(q));
}

static bool grows_over_data(ASK)
{
	return growth(q) && source_is(q, VAS_VM_WRITE) && !source_is(q, VAS_VM_SHARED) &&
	       !why_data_fits(q, growth(q));
}

static bool leaves_over_size(ASK)
{
	return asks_dontunmap(q) && !why_size_fits(q, old_len(q));
}

static bool is_blocked(ASK)
{
	return growth(q) && !asks(q, VAS_MREMAP_MAYMOVE);
}

static bool every_form_is_full(ASK)
{
	return q->version >= SINCE(7, 1) && why_is_full(q, 4);
}

static bool is_full(ASK)
{
	return (is_placed(q) || growth(q)) && (every_form_is_full(q) || why_is_full(q, 5));
}

static bool has_no_place(ASK)
{
	return !is_fixed(q) && growth(q) && !why_has_hole(q, new_len(q));
}

/* ---- The table ------------------------------------------------------------------------------- */

#define ROW(number, since, until, fact, holds, cause) \
	{CALL_MREMAP, VAS_##number, since, until, fact, cause, holds}

const struct why why_mremap[] = {
	ROW(EINVAL, 0, UNTIL(2, 3), "V1.3", is_fixed,
	    "this Linux does not know MREMAP_FIXED"),
	ROW(EINVAL, 0, UNTIL(5, 6), "V5.7", asks_dontunmap,
	    "this Linux does not know MREMAP_DONTUNMAP"),
	ROW(EINVAL, 0, 0, "M1.1", has_unknown_flag,
	    "flags has a bit other than MREMAP_MAYMOVE, MREMAP_FIXED and MREMAP_DONTUNMAP"),
	ROW(EINVAL, 0, 0, "M1.2", old_is_unaligned, "old_address is not that of a page"),
	ROW(EINVAL, 0, 0, "M1.3", new_len_is_zero,
	    "new_size is zero, or becomes zero when rounded up to pages"),
	ROW(EINVAL, SINCE(6, 17), 0, "M1.4", new_len_is_absurd,
	    "new_size is larger than the address space"),
	ROW(EINVAL, 0, 0, "M1.5", wants_maymove,
	    "MREMAP_FIXED and MREMAP_DONTUNMAP need MREMAP_MAYMOVE with them"),
	ROW(EINVAL, 0, 0, "M1.6", new_is_unaligned, "new_address is not that of a page"),
	ROW(EINVAL, 0, 0, "M1.8", dontunmap_resizes,
	    "MREMAP_DONTUNMAP wants old_size and new_size to be equal"),
	ROW(EINVAL, 0, 0, "M1.7", new_range_passes_end,
	    "the new range passes the end of the address space"),
	ROW(EINVAL, 0, 0, "M1.11", hint_overlaps,
	    "the range at the hint of MREMAP_DONTUNMAP meets the old one"),
	ROW(EINVAL, 0, 0, "M1.9", overlaps, "the new range meets the old one"),
	ROW(EINVAL, 0, UNTIL(5, 15), "V5.16", is_hugetlb,
	    "memory of the huge page pool cannot be remapped"),
	ROW(EINVAL, SINCE(5, 16), 0, "N45", hugetlb_is_left,
	    "memory of the huge page pool cannot be left behind by MREMAP_DONTUNMAP"),
	ROW(EINVAL, SINCE(5, 16), 0, "M1.24", hugetlb_new_is_unaligned,
	    "new_address is not that of a huge page, which counts even where it is not used"),
	ROW(EINVAL, SINCE(5, 16), 0, "M1.26", hugetlb_grows,
	    "memory of the huge page pool cannot grow"),
	ROW(EINVAL, SINCE(5, 16), 0, "M1.23", is_hugetlb,
	    "old_address is not that of a huge page of this size"),
	ROW(EINVAL, SINCE(6, 17), 0, "N46", range_has_hugetlb,
	    "huge pages among the mappings that are moved would not lie on their borders"),
	ROW(EINVAL, 0, 0, "M2.9", tail_passes_end,
	    "what would be unmapped behind new_size passes the end of the address space"),
	ROW(EINVAL, SINCE(4, 14), 0, "M1.18", duplicates_private,
	    "old_size is zero, and the mapping is private: only shared ones are duplicated"),
	ROW(EINVAL, SINCE(5, 7), UNTIL(5, 12), "V5.13", leaves_file,
	    "MREMAP_DONTUNMAP leaves only private anonymous memory behind"),
	ROW(EFAULT, 0, 0, "M1.15", nothing_is_mapped, "nothing is mapped at old_address"),
	ROW(EFAULT, 0, 0, "M1.13", destroys_source,
	    "making room at new_address has unmapped what should be moved"),
	ROW(EFAULT, 0, 0, "M1.20", NULL,
	    "the old range is not one mapping: it passes the end of the first"),
	ROW(EPERM, SINCE(6, 10), 0, "M1.16", source_is_sealed, "the mapping is sealed"),
	ROW(EPERM, SINCE(6, 10), 0, "M2.1", target_is_sealed,
	    "a mapping at new_address is sealed and cannot be unmapped to make room"),
	ROW(EPERM, SINCE(6, 10), 0, "M2.10", tail_is_sealed,
	    "what would be unmapped behind new_size is sealed"),
	ROW(EPERM, 0, 0, "M2.6", target_is_low,
	    "new_address is below vm.mmap_min_addr, without CAP_SYS_RAWIO"),
	ROW(EPERM, SINCE(6, 17), 0, "M8.4", NULL,
	    "a mapping in the range that is moved, or one behind it, is sealed"),
	ROW(EAGAIN, 0, UNTIL(2, 5), "V2.6", NULL, "the mapping is locked, so it cannot grow"),
	ROW(EAGAIN, SINCE(2, 6), 0, "M1.31", NULL,
	    "the mapping is locked, and would grow over RLIMIT_MEMLOCK"),
	ROW(ENOMEM, 0, 0, "M1.38", is_full,
	    "the process would come too near to vm.max_map_count"),
	ROW(ENOMEM, SINCE(7, 1), 0, "V7.1", every_form_is_full,
	    "every form wants room for four mappings below vm.max_map_count"),
	ROW(ENOMEM, 0, 0, "M1.19", duplicates_in_place,
	    "old_size is zero, which duplicates, and the duplicate may not be elsewhere: "
	    "MREMAP_MAYMOVE is missing"),
	ROW(ENOMEM, 0, 0, "M1.35", grows_over_size, "the process would grow over RLIMIT_AS"),
	ROW(ENOMEM, 0, 0, "M2.7", leaves_over_size,
	    "with what MREMAP_DONTUNMAP leaves behind, the process would grow over RLIMIT_AS"),
	ROW(ENOMEM, 0, 0, "M1.36", grows_over_data, "the process would grow over RLIMIT_DATA"),
	ROW(ENOMEM, 0, 0, "MAN17", is_blocked,
	    "there is no room to grow in place, and no leave to move: MREMAP_MAYMOVE is missing"),
	ROW(ENOMEM, 0, 0, "M1.4b", has_no_place,
	    "no hole of the address space is as large as new_size"),
	ROW(ENOMEM, 0, 0, "M1.37", NULL,
	    "so much more memory would not be committed (vm.overcommit_memory)"),
	{0},
};
