/* prctl.c - prctl(2): what holds for all memory of a space.
 *
 * Owns what a space may not do (MDWE: nothing becomes executable that was not) and what all its
 * memory is (mergeable), and answers both for the calls that make or change vmas. Pages are not
 * touched: merging is the embedder's affair.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

#define MDWE_ALL (VAS_MDWE_REFUSE_EXEC_GAIN | VAS_MDWE_NO_INHERIT)

bool prctl_refuses_exec(const struct vas *space, uint64_t old, uint64_t flags)
{
	if (!space->mdwe || !(flags & VAS_VM_EXEC))
		return false;
	return (flags & VAS_VM_WRITE) || !(old & VAS_VM_EXEC);
}

uint64_t prctl_merges(const struct vas *space, const struct vma *vma)
{
	return space->merges_all && madvise_can_be_ksm(vma) ? VAS_VM_MERGEABLE : 0;
}

/* It cannot be taken back. */
static int64_t set_mdwe(struct vas *space, uint64_t arg)
{
	if (!linux_mdwe(space) || (arg & ~(uint64_t)MDWE_ALL) || arg == VAS_MDWE_NO_INHERIT)
		return -VAS_EINVAL;
	if (space->mdwe && space->mdwe != arg)
		return -VAS_EPERM;
	space->mdwe = (uint8_t)arg;
	return 0;
}

/* Neighbours that have become equal stay apart, as on Linux. */
static int64_t set_merges(struct vas *space, bool merges)
{
	struct vma vma;

	if (!linux_memory_merge(space))
		return -VAS_EINVAL;
	if (space->merges_all == merges)
		return 0;
	space->merges_all = merges;
	for (uint64_t at = 0; vma_seek_from(space, at, &vma); at = vma.end) {
		if (!madvise_can_be_ksm(&vma))
			continue;
		vma.flags = (vma.flags & ~(uint64_t)VAS_VM_MERGEABLE) | prctl_merges(space, &vma);
		vma_replace(space, vma.start, &vma);
	}
	return 0;
}

int64_t vas_prctl(struct vas *space, uint64_t option, uint64_t arg)
{
	int64_t result = -VAS_EINVAL;

	space_lock(space);
	if (option == VAS_PR_SET_MDWE)
		result = set_mdwe(space, arg);
	else if (option == VAS_PR_SET_MEMORY_MERGE)
		result = set_merges(space, arg != 0);
	space_unlock(space);
	return result;
}
