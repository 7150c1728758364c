/* why_other.c - the causes of the other calls' errors, and of the signals of accesses.
 *
 * Within a call and an errno, rows stand in the order in which Linux checks: the first that holds
 * is the cause. Each is Linux's rule in words of its own, and asks only what was there before.
 *
 * SPDX-License-Identifier: MIT */
#include "show/why_internal.h"
#include "strace/strace_names.h"

#define SINCE(...) VAS_LINUX_PICK(__VA_ARGS__, 0, 0)
#define UNTIL(...) VAS_LINUX(__VA_ARGS__)

/* ---- Ranges ---------------------------------------------------------------------------------- */

static uint64_t end_of(ASK)
{
	return ARG(0) + why_round(q, ARG(1));
}

static bool is_unaligned(ASK)
{
	return !why_is_aligned(q, ARG(0));
}

static bool len_is_zero(ASK)
{
	return why_round(q, ARG(1)) == 0;
}

static bool passes_end(ASK)
{
	return ARG(0) > why_task_size(q) || ARG(1) > why_task_size(q) - ARG(0);
}

static bool wraps(ASK)
{
	return end_of(q) < ARG(0) || (ARG(1) && why_round(q, ARG(1)) == 0);
}

/* mlock's: from the page that the address lies in. */
static bool locks_a_gap(ASK)
{
	uint64_t start = ARG(0) & ~(q->vas->page_size - 1);
	return why_has_gap(q, start, start + why_round(q, ARG(1) + (ARG(0) - start)));
}

static bool has_gap(ASK)
{
	return wraps(q) || why_has_gap(q, ARG(0), end_of(q));
}

static bool is_full(ASK)
{
	return why_is_full(q, 0);
}

static bool range_is(ASK, uint64_t flags)
{
	return why_has(q, ARG(0), end_of(q), flags);
}

static bool is_locked(ASK)
{
	return range_is(q, VAS_VM_LOCKED);
}

static bool is_hugetlb(ASK)
{
	return range_is(q, VAS_VM_HUGETLB);
}

static bool has_file(ASK)
{
	const struct vas_region *region;
	for (uint64_t at = ARG(0); at < end_of(q) && (region = why_next(q, at)); at = region->end)
		if (region->start < end_of(q) &&
		    (why_mode(q, region) || (region->flags & VAS_VM_SHARED)))
			return true;
	return false;
}

/* ---- mprotect -------------------------------------------------------------------------------- */

static bool grows_both_ways(ASK)
{
	const uint64_t both = VAS_PROT_GROWSDOWN | VAS_PROT_GROWSUP;
	return (ARG(2) & both) == both;
}

static bool has_unknown_rights(ASK)
{
	return ARG(2) & ~(uint64_t)(VAS_PROT_READ | VAS_PROT_WRITE | VAS_PROT_EXEC | VAS_PROT_SEM |
	                            VAS_PROT_GROWSDOWN | VAS_PROT_GROWSUP);
}

static bool wants_growing(ASK)
{
	return ARG(2) & (VAS_PROT_GROWSDOWN | VAS_PROT_GROWSUP);
}

static bool is_not_permitted(ASK)
{
	return ((ARG(2) & VAS_PROT_WRITE) && why_lacks(q, ARG(0), end_of(q), VAS_VM_MAYWRITE)) ||
	       ((ARG(2) & VAS_PROT_READ) && why_lacks(q, ARG(0), end_of(q), VAS_VM_MAYREAD)) ||
	       ((ARG(2) & VAS_PROT_EXEC) && why_lacks(q, ARG(0), end_of(q), VAS_VM_MAYEXEC));
}

static bool becomes_writable(ASK)
{
	return ARG(2) & VAS_PROT_WRITE;
}

/* ---- mlock ----------------------------------------------------------------------------------- */

static bool is_over_lock_limit(ASK)
{
	uint64_t start = ARG(0) & ~(q->vas->page_size - 1), locked = 0;
	uint64_t end = start + why_round(q, ARG(1) + (ARG(0) - start));
	const struct vas_region *region;
	if (end < start)
		return !why_lock_fits(q, end - start);
	for (uint64_t at = start; at < end && (region = why_next(q, at)) && region->start < end;
	     at = region->end)
		if (region->flags & VAS_VM_LOCKED)
			locked += why_mapped(q, region->start > at ? region->start : at,
			                     region->end < end ? region->end : end);
	return !why_lock_fits(q, end - start - locked);
}

static bool has_unknown_lock_flag(ASK)
{
	return (uint32_t)ARG(2) & ~VAS_MLOCK_ONFAULT;
}

/* ---- madvise --------------------------------------------------------------------------------- */

static bool advises(ASK, uint32_t advice)
{
	return (uint32_t)ARG(2) == advice;
}

static bool frees(ASK)
{
	return advises(q, VAS_MADV_FREE);
}

static bool wipes_or_keeps(ASK)
{
	return advises(q, VAS_MADV_WIPEONFORK) || advises(q, VAS_MADV_KEEPONFORK);
}

static bool reclaims(ASK)
{
	return advises(q, VAS_MADV_COLD) || advises(q, VAS_MADV_PAGEOUT);
}

static bool populates(ASK)
{
	return advises(q, VAS_MADV_POPULATE_READ) || advises(q, VAS_MADV_POPULATE_WRITE);
}

static bool drops_locked(ASK)
{
	return advises(q, VAS_MADV_DONTNEED_LOCKED);
}

static bool collapses(ASK)
{
	return advises(q, VAS_MADV_COLLAPSE);
}

static bool guards(ASK)
{
	return advises(q, VAS_MADV_GUARD_INSTALL) || advises(q, VAS_MADV_GUARD_REMOVE);
}

static bool guards_file(ASK)
{
	return guards(q) && has_file(q);
}

static bool drops(ASK)
{
	return advises(q, VAS_MADV_DONTNEED) || drops_locked(q);
}

static bool drops_hugetlb(ASK)
{
	return drops(q) && is_hugetlb(q);
}

static bool drops_what_is_locked(ASK)
{
	return drops(q) && is_locked(q);
}

static bool removes(ASK)
{
	return advises(q, VAS_MADV_REMOVE);
}

static bool is_unknown_advice(ASK)
{
	return !name_of(&names_madvise, (uint32_t)ARG(2));
}

/* ---- prctl and the rest ---------------------------------------------------------------------- */

static bool sets_mdwe(ASK)
{
	return ARG(0) == VAS_PR_SET_MDWE;
}

static bool is_both_kinds(ASK)
{
	return (ARG(2) & (VAS_MS_ASYNC | VAS_MS_SYNC)) == (VAS_MS_ASYNC | VAS_MS_SYNC) ||
	       (ARG(2) & ~(uint64_t)(VAS_MS_ASYNC | VAS_MS_SYNC | VAS_MS_INVALIDATE));
}

static bool has_flags(ASK)
{
	return ARG(2) != 0;
}

static bool may_not_lock(ASK)
{
	return !why_can_lock(q);
}

static bool is_mapped(ASK)
{
	return why_region(q, ARG(0)) != NULL;
}

/* ---- The table ------------------------------------------------------------------------------- */

#define ROW(call, number, since, until, fact, holds, cause) \
	{CALL_##call, VAS_##number, since, until, fact, cause, holds}
#define ACCESS(call, signo, code, fact, holds, cause) \
	{CALL_##call, WHY_SIGNAL(VAS_##signo, VAS_##code), 0, 0, fact, cause, holds}

const struct why why_other[] = {
	ROW(MUNMAP, EINVAL, 0, 0, "O2.1", is_unaligned, "addr is not that of a page"),
	ROW(MUNMAP, EINVAL, 0, 0, "O2.1", passes_end,
	    "the range passes the end of the address space"),
	ROW(MUNMAP, EINVAL, 0, 0, "O2.1", len_is_zero, "length is zero"),
	ROW(MUNMAP, EINVAL, 0, 0, "N43", NULL, "the range begins or ends inside a huge page"),
	ROW(MUNMAP, EPERM, SINCE(6, 10), 0, "O2.2", NULL, "a mapping in the range is sealed"),
	ROW(MUNMAP, ENOMEM, 0, 0, "M1.38", NULL,
	    "a hole would make two mappings of one, and the process has vm.max_map_count"),

	ROW(MPROTECT, EINVAL, 0, 0, "O3.1", grows_both_ways,
	    "PROT_GROWSDOWN and PROT_GROWSUP exclude each other"),
	ROW(MPROTECT, EINVAL, 0, 0, "O3.1", is_unaligned, "addr is not that of a page"),
	ROW(MPROTECT, EINVAL, 0, 0, "N8", has_unknown_rights, "prot has a bit that means nothing"),
	ROW(MPROTECT, EINVAL, 0, 0, "O3.5", wants_growing,
	    "the mapping does not grow in the direction that is asked for"),
	ROW(MPROTECT, EINVAL, 0, 0, "N43", NULL, "the range begins or ends inside a huge page"),
	ROW(MPROTECT, EACCES, 0, 0, "O3.3", is_not_permitted,
	    "the file was not opened for what prot asks"),
	ROW(MPROTECT, EACCES, SINCE(6, 3), 0, "N162", NULL,
	    "PR_SET_MDWE forbids that what was not executable becomes so"),
	ROW(MPROTECT, EPERM, SINCE(6, 10), 0, "O3.6", NULL, "a mapping in the range is sealed"),
	ROW(MPROTECT, ENOMEM, 0, 0, "O3.1", wraps, "the range passes the end of all addresses"),
	ROW(MPROTECT, ENOMEM, 0, 0, "N9", wants_growing,
	    "nothing that grows is mapped where the range begins"),
	ROW(MPROTECT, ENOMEM, 0, 0, "O3.2", has_gap, "a page in the range is not mapped"),
	ROW(MPROTECT, ENOMEM, 0, 0, "M1.38", is_full,
	    "a split would make more mappings than vm.max_map_count"),
	ROW(MPROTECT, ENOMEM, 0, 0, "O3.7", becomes_writable,
	    "what becomes writable is counted, and is over RLIMIT_DATA or cannot be committed"),

	ROW(MLOCK, EPERM, 0, 0, "O4.2", NULL,
	    "locking needs CAP_IPC_LOCK, or a RLIMIT_MEMLOCK that is not zero"),
	ROW(MLOCK, EINVAL, 0, 0, "O4.1", NULL, "the range passes the end of all addresses"),
	ROW(MLOCK, ENOMEM, 0, 0, "O4.2", is_over_lock_limit,
	    "with what is locked the range is over RLIMIT_MEMLOCK"),
	ROW(MLOCK, ENOMEM, 0, 0, "O4.1", locks_a_gap, "a page in the range is not mapped"),
	ROW(MLOCK, ENOMEM, 0, 0, "M1.38", is_full,
	    "a split would make more mappings than vm.max_map_count"),
	ROW(MLOCK, ENOMEM, 0, 0, "O4.3", NULL,
	    "a page in the range cannot be made present; what could be is locked"),
	ROW(MLOCK2, ENOSYS, 0, UNTIL(4, 3), "V4.4", NULL, "this Linux does not know mlock2"),
	ROW(MLOCK2, EINVAL, SINCE(4, 4), 0, "O4.4", has_unknown_lock_flag,
	    "flags has a bit other than MLOCK_ONFAULT"),
	ROW(MLOCK2, ENOMEM, SINCE(4, 4), 0, "V5.18c", NULL,
	    "a page in the range is not mapped, or cannot be made present"),
	ROW(MUNLOCK, ENOMEM, 0, 0, "O4.4", NULL, "a page in the range is not mapped"),
	ROW(MLOCKALL, EINVAL, 0, 0, "O4.6", NULL,
	    "flags is zero, MCL_ONFAULT alone, or has an unknown bit"),
	ROW(MLOCKALL, EPERM, 0, 0, "O4.6", may_not_lock,
	    "locking needs CAP_IPC_LOCK, or a RLIMIT_MEMLOCK that is not zero"),
	ROW(MLOCKALL, ENOMEM, 0, 0, "O4.6", NULL, "the process is larger than RLIMIT_MEMLOCK"),

	ROW(MADVISE, EINVAL, 0, UNTIL(4, 4), "V4.5", frees, "this Linux does not know MADV_FREE"),
	ROW(MADVISE, EINVAL, 0, UNTIL(4, 13), "V4.14b", wipes_or_keeps,
	    "this Linux does not know MADV_WIPEONFORK and MADV_KEEPONFORK"),
	ROW(MADVISE, EINVAL, 0, UNTIL(5, 3), "V5.4", reclaims,
	    "this Linux does not know MADV_COLD and MADV_PAGEOUT"),
	ROW(MADVISE, EINVAL, 0, UNTIL(5, 13), "V5.14", populates,
	    "this Linux does not know MADV_POPULATE_READ and MADV_POPULATE_WRITE"),
	ROW(MADVISE, EINVAL, 0, UNTIL(5, 17), "V5.18", drops_locked,
	    "this Linux does not know MADV_DONTNEED_LOCKED"),
	ROW(MADVISE, EINVAL, 0, UNTIL(6, 0), "V6.1", collapses,
	    "this Linux does not know MADV_COLLAPSE"),
	ROW(MADVISE, EINVAL, 0, UNTIL(6, 12), "V6.13b", guards,
	    "this Linux does not know MADV_GUARD_INSTALL and MADV_GUARD_REMOVE"),
	ROW(MADVISE, EINVAL, 0, 0, "O5.1", is_unknown_advice, "there is no such advice"),
	ROW(MADVISE, EINVAL, 0, 0, "O5.1", is_unaligned, "addr is not that of a page"),
	ROW(MADVISE, EINVAL, 0, 0, "O5.1", wraps, "the range passes the end of all addresses"),
	ROW(MADVISE, EINVAL, SINCE(6, 13), UNTIL(6, 14), "V6.15b", guards_file,
	    "this Linux has guard pages in private anonymous memory only"),
	ROW(MADVISE, EINVAL, SINCE(6, 13), 0, "O5.12", guards,
	    "guard pages are not for locked memory, huge pages of the pool or devices"),
	ROW(MADVISE, EINVAL, 0, UNTIL(5, 17), "V5.18b", drops_hugetlb,
	    "this Linux does not drop huge pages of the pool"),
	ROW(MADVISE, EINVAL, 0, 0, "O5.2", drops_what_is_locked, "the memory is locked"),
	ROW(MADVISE, EINVAL, SINCE(4, 5), 0, "O5.4", frees,
	    "MADV_FREE is for private anonymous memory that is not locked"),
	ROW(MADVISE, EINVAL, 0, 0, "O5.5", removes,
	    "MADV_REMOVE is for shared memory that is not locked"),
	ROW(MADVISE, EINVAL, SINCE(4, 14), 0, "O5.6", wipes_or_keeps,
	    "MADV_WIPEONFORK is for private anonymous memory"),
	ROW(MADVISE, EINVAL, SINCE(5, 4), 0, "O5.11", reclaims,
	    "the memory is locked, of the huge page pool or a device"),
	ROW(MADVISE, EINVAL, SINCE(5, 14), 0, "O5.7", populates,
	    "the mapping does not permit the access that would make its pages present"),
	ROW(MADVISE, EINVAL, SINCE(6, 1), 0, "N143", collapses,
	    "the memory cannot have huge pages, or what it holds is not to be collapsed"),
	ROW(MADVISE, EINVAL, 0, 0, "N43", is_hugetlb,
	    "the range begins or ends inside a huge page"),
	ROW(MADVISE, EPERM, SINCE(6, 10), 0, "O5.13", NULL,
	    "the memory is sealed and cannot be written, so it is not discarded either"),
	ROW(MADVISE, EACCES, 0, 0, "O5.5", NULL,
	    "MADV_REMOVE is for mappings that are shared and may be written"),
	ROW(MADVISE, EFAULT, SINCE(5, 14), 0, "O5.7", NULL,
	    "a page cannot be made present: it is a guard, or behind the end of the file"),
	ROW(MADVISE, EAGAIN, 0, 0, "V5.17", NULL,
	    "a split would make more mappings than vm.max_map_count"),
	ROW(MADVISE, ENOMEM, 0, 0, "O5.1", has_gap, "a page in the range is not mapped"),
	ROW(MADVISE, ENOMEM, 0, UNTIL(5, 16), "V5.17", is_full,
	    "a split would make more mappings than vm.max_map_count"),

	ROW(MSYNC, EINVAL, 0, 0, "O6.1", is_unaligned, "addr is not that of a page"),
	ROW(MSYNC, EINVAL, 0, 0, "O6.1", is_both_kinds,
	    "flags has MS_ASYNC and MS_SYNC, or an unknown bit"),
	ROW(MSYNC, EBUSY, 0, 0, "O6.1", NULL, "MS_INVALIDATE is given, and the memory is locked"),
	ROW(MSYNC, ENOMEM, 0, 0, "O6.1", NULL, "a page in the range is not mapped"),
	ROW(MINCORE, EINVAL, 0, 0, "O6.2", NULL, "addr is not that of a page"),
	ROW(MINCORE, ENOMEM, 0, 0, "O6.2", NULL,
	    "a page in the range is not mapped, or the range passes the end of the address space"),
	ROW(MINCORE, EFAULT, 0, 0, "O6.2", NULL, "vec cannot be written"),
	ROW(MSEAL, ENOSYS, 0, UNTIL(6, 9), "V6.10", NULL, "this Linux does not know mseal"),
	ROW(MSEAL, EINVAL, SINCE(6, 10), 0, "O8.1", is_unaligned, "addr is not that of a page"),
	ROW(MSEAL, EINVAL, SINCE(6, 10), 0, "O8.1", has_flags, "flags is not zero"),
	ROW(MSEAL, EINVAL, SINCE(6, 10), 0, "O8.1", wraps,
	    "the range passes the end of all addresses"),
	ROW(MSEAL, EINVAL, SINCE(6, 10), 0, "N130", NULL, "the range ends inside a huge page"),
	ROW(MSEAL, ENOMEM, SINCE(6, 10), 0, "O8.1", has_gap, "a page in the range is not mapped"),
	ROW(MSEAL, ENOMEM, SINCE(6, 10), 0, "V5.17", is_full,
	    "a split would make more mappings than vm.max_map_count"),
	ROW(PRCTL, EINVAL, 0, UNTIL(6, 2), "V6.3", sets_mdwe,
	    "this Linux does not know PR_SET_MDWE"),
	ROW(PRCTL, EINVAL, SINCE(6, 3), 0, "N162", sets_mdwe,
	    "the bits are unknown, or PR_MDWE_NO_INHERIT stands alone"),
	ROW(PRCTL, EINVAL, 0, UNTIL(6, 3), "V6.4", NULL,
	    "this Linux does not know PR_SET_MEMORY_MERGE"),
	ROW(PRCTL, EPERM, SINCE(6, 3), 0, "N162", NULL, "what PR_SET_MDWE has set stays as it is"),
	ROW(REMAP_FILE_PAGES, EINVAL, 0, 0, "N164", NULL,
	    "the range is not one shared mapping of a file, or prot is not zero"),
	ROW(REMAP_FILE_PAGES, EOVERFLOW, 0, 0, "N164", NULL,
	    "the pages lie behind the largest place in a file"),
	ROW(FTRUNCATE, EBADF, 0, 0, "N112", NULL, "fd is no open file"),

	ACCESS(LOAD, SIGSEGV, SEGV_MAPERR, "O5.12", is_mapped, "the page is a guard"),
	ACCESS(LOAD, SIGSEGV, SEGV_MAPERR, "O9.1", NULL, "nothing is mapped there"),
	ACCESS(LOAD, SIGSEGV, SEGV_ACCERR, "O9.1", NULL, "the mapping does not permit reading"),
	ACCESS(LOAD, SIGBUS, BUS_ADRERR, "O9.1", NULL, "the page lies behind the end of its file"),
	ACCESS(STORE, SIGSEGV, SEGV_MAPERR, "O5.12", is_mapped, "the page is a guard"),
	ACCESS(STORE, SIGSEGV, SEGV_MAPERR, "O9.5", NULL,
	       "nothing is mapped there, and nothing above may grow down to it"),
	ACCESS(STORE, SIGSEGV, SEGV_ACCERR, "O9.1", NULL, "the mapping does not permit writing"),
	ACCESS(STORE, SIGBUS, BUS_ADRERR, "M4.11", NULL,
	       "the page lies behind the end of its file"),
	ACCESS(FETCH, SIGSEGV, SEGV_MAPERR, "O9.1", NULL, "nothing is mapped there"),
	ACCESS(FETCH, SIGSEGV, SEGV_ACCERR, "O9.1", NULL, "the mapping does not permit execution"),
	{0},
};
