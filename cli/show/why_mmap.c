/* why_mmap.c - the causes of mmap's errors.
 *
 * SPDX-License-Identifier: MIT */
#include "show/why_internal.h"

#include <stddef.h>

#define SINCE(...) VAS_LINUX_PICK(__VA_ARGS__, 0, 0)
#define UNTIL(...) VAS_LINUX(__VA_ARGS__)

static bool asks(ASK, uint64_t flags)
{
	return ARG(3) & flags;
}

static bool is_type(ASK, uint64_t type)
{
	return (ARG(3) & VAS_MAP_TYPE) == type;
}

static bool is_hugetlb(ASK)
{
	return asks(q, VAS_MAP_HUGETLB);
}

static uint64_t len_of(ASK)
{
	return why_round(q, ARG(1));
}

static bool is_anonymous(ASK)
{
	return asks(q, VAS_MAP_ANONYMOUS);
}

static bool is_placed(ASK)
{
	return asks(q, VAS_MAP_FIXED) ||
	       (asks(q, VAS_MAP_FIXED_NOREPLACE) && q->version >= SINCE(4, 17));
}

static uint32_t file_mode(ASK)
{
	const struct vas_file_info *file =
		is_anonymous(q) ? NULL : target_vas_file(q->vas, call_process(q->call), ARG(4));
	return file ? file->mode : 0;
}

/* ---- EINVAL ---------------------------------------------------------------------------------- */

static bool offset_is_unaligned(ASK)
{
	return !why_is_aligned(q, ARG(5));
}

static bool huge_size_is_unknown(ASK)
{
	uint64_t shift = ARG(3) >> VAS_MAP_HUGE_SHIFT & VAS_MAP_HUGE_MASK;
	return is_hugetlb(q) && (!is_anonymous(q) || (shift && shift != 21 && shift != 30));
}

static bool len_is_zero(ASK)
{
	return ARG(1) == 0;
}

static bool address_is_unaligned(ASK)
{
	return is_placed(q) && !why_is_aligned(q, ARG(0));
}

static bool huge_address_is_unaligned(ASK)
{
	return is_placed(q) && is_hugetlb(q);
}

static bool validates(ASK)
{
	return is_type(q, VAS_MAP_SHARED_VALIDATE);
}

static bool is_droppable(ASK)
{
	return is_type(q, VAS_MAP_DROPPABLE);
}

static bool has_no_type(ASK)
{
	return !is_type(q, VAS_MAP_SHARED) && !is_type(q, VAS_MAP_PRIVATE) && !is_droppable(q);
}

static bool grows_down(ASK)
{
	return asks(q, VAS_MAP_GROWSDOWN) && !is_droppable(q);
}

/* ---- EACCES, EPERM --------------------------------------------------------------------------- */

static bool file_is_closed_to_it(ASK)
{
	uint32_t mode = file_mode(q);
	return !is_anonymous(q) && (!(mode & VAS_FILE_READ) || !(mode & VAS_FILE_WRITE));
}

static bool is_low(ASK)
{
	return is_placed(q) && why_is_low(q, ARG(0));
}

static bool may_not_lock(ASK)
{
	return asks(q, VAS_MAP_LOCKED) && !why_can_lock(q);
}

/* ---- ENOMEM ---------------------------------------------------------------------------------- */

static bool len_is_absurd(ASK)
{
	return len_of(q) == 0 || len_of(q) > why_task_size(q);
}

static bool passes_end(ASK)
{
	return is_placed(q) && ARG(0) > why_task_size(q) - len_of(q);
}

static bool has_no_low_place(ASK)
{
	return asks(q, VAS_MAP_32BIT) && !is_placed(q) && !is_hugetlb(q) &&
	       len_of(q) + why_mapped(q, (uint64_t)1 << 30, (uint64_t)1 << 31) >
	               (uint64_t)1 << 30;
}

static bool has_no_place(ASK)
{
	return !is_placed(q) && !why_has_hole(q, len_of(q));
}

static bool is_full(ASK)
{
	return why_is_full(q, 1);
}

static uint64_t growth(ASK)
{
	uint64_t replaced = is_placed(q) ? why_mapped(q, ARG(0), ARG(0) + len_of(q)) : 0;
	return len_of(q) - replaced;
}

static bool is_over_size(ASK)
{
	return !why_size_fits(q, growth(q));
}

static bool is_over_data(ASK)
{
	return (ARG(2) & VAS_PROT_WRITE) && !is_type(q, VAS_MAP_SHARED) &&
	       !why_data_fits(q, growth(q));
}

/* ---- The table ------------------------------------------------------------------------------- */

#define ROW(number, since, until, fact, holds, cause) \
	{CALL_MMAP, VAS_##number, since, until, fact, cause, holds}

const struct why why_mmap[] = {
	ROW(EINVAL, 0, 0, "O1.2", offset_is_unaligned, "offset is not a multiple of the page size"),
	ROW(EINVAL, 0, 0, "N42", huge_size_is_unknown,
	    "there are no huge pages of this size, or the file has none"),
	ROW(EINVAL, 0, 0, "A8.1", len_is_zero, "length is zero"),
	ROW(EINVAL, 0, 0, "A3.1", address_is_unaligned, "the fixed address is not that of a page"),
	ROW(EINVAL, 0, UNTIL(4, 14), "V4.15", validates,
	    "this Linux does not know MAP_SHARED_VALIDATE"),
	ROW(EINVAL, 0, UNTIL(6, 10), "V6.11", is_droppable,
	    "this Linux does not know MAP_DROPPABLE"),
	ROW(EINVAL, SINCE(6, 11), 0, "N63", is_droppable,
	    "MAP_DROPPABLE goes with anonymous memory alone, not with MAP_LOCKED or MAP_GROWSDOWN"),
	ROW(EINVAL, 0, 0, "O1.1", has_no_type,
	    "flags has neither MAP_SHARED nor MAP_PRIVATE, or MAP_SHARED_VALIDATE without a file"),
	ROW(EINVAL, 0, 0, "O1.8", grows_down,
	    "MAP_GROWSDOWN goes with private anonymous memory alone"),
	ROW(EINVAL, 0, 0, "N41", huge_address_is_unaligned,
	    "the fixed address is not that of a huge page"),
	ROW(EINVAL, 0, 0, "N43", NULL, "what is replaced is a part of a huge page"),
	ROW(EBADF, 0, 0, "O1.3", NULL, "fd is no open file, and MAP_ANONYMOUS is not given"),
	ROW(EOVERFLOW, 0, 0, "O1.6", NULL, "offset and length pass the largest place in a file"),
	ROW(EEXIST, SINCE(4, 17), 0, "A3.4", NULL,
	    "MAP_FIXED_NOREPLACE is given, and something is mapped there"),
	ROW(EACCES, 0, 0, "O1.4", file_is_closed_to_it,
	    "the file is not open for reading, or, shared and writable, not for writing"),
	ROW(EACCES, SINCE(6, 3), 0, "N162", NULL,
	    "PR_SET_MDWE forbids memory that is writable and executable"),
	ROW(ENODEV, 0, 0, "O1.5", NULL, "the file cannot be mapped"),
	ROW(EOPNOTSUPP, SINCE(4, 15), 0, "O1.7", NULL,
	    "MAP_SHARED_VALIDATE is given with a flag that this Linux does not know"),
	ROW(EPERM, 0, 0, "A3.3", is_low,
	    "the fixed address is below vm.mmap_min_addr, without CAP_SYS_RAWIO"),
	ROW(EPERM, 0, 0, "O1.9", may_not_lock,
	    "MAP_LOCKED needs CAP_IPC_LOCK, or a RLIMIT_MEMLOCK that is not zero"),
	ROW(EPERM, SINCE(6, 10), 0, "O8.2", NULL, "what would be replaced is sealed"),
	ROW(EAGAIN, 0, 0, "O1.9", NULL,
	    "the mapping would be locked, and be over RLIMIT_MEMLOCK with what is locked"),
	ROW(ENOMEM, 0, 0, "A8.1", len_is_absurd, "length is larger than the address space"),
	ROW(ENOMEM, 0, 0, "M1.38", is_full, "the process has vm.max_map_count mappings"),
	ROW(ENOMEM, 0, 0, "A3.1", passes_end,
	    "the fixed range passes the end of the address space"),
	ROW(ENOMEM, 0, 0, "A5.3", has_no_low_place,
	    "the 1 GiB where MAP_32BIT looks has no hole as large"),
	ROW(ENOMEM, 0, 0, "A8.1", has_no_place, "no hole of the address space is as large"),
	ROW(ENOMEM, 0, 0, "O1.10", is_over_size, "the process would be over RLIMIT_AS"),
	ROW(ENOMEM, 0, 0, "N6", is_over_data, "the process would be over RLIMIT_DATA"),
	ROW(ENOMEM, 0, 0, "N40", is_hugetlb,
	    "the pool (vm.nr_hugepages) has not as many huge pages"),
	ROW(ENOMEM, 0, 0, "N60", NULL,
	    "so much more memory would not be committed (vm.overcommit_memory)"),
	{0},
};
