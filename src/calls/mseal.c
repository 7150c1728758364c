/* mseal.c - mseal(2).
 *
 * Owns a flag that nothing takes off again. All of the range is looked at before any of it is
 * sealed; what a seal forbids is asked by the calls that it forbids.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

static bool range_is_mapped(const struct vas *space, uint64_t start, uint64_t end)
{
	struct vma vma;

	while (start < end) {
		if (!vma_at(space, start, &vma))
			return false;
		start = vma.end;
	}
	return true;
}

static int64_t seal(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t end = addr + space_align(space, len);
	struct vma vma;

	if (!linux_mseal(space))
		return -VAS_ENOSYS;
	if (flags || !space_is_aligned(space, addr) || (len && space_align(space, len) == 0) ||
	    end < addr)
		return -VAS_EINVAL;
	if (!range_is_mapped(space, addr, end))
		return -VAS_ENOMEM;
	if (!space_reserve_change(space, addr, end))
		return -VAS_ENOMEM;
	while (addr < end) {
		uint64_t part_end;
		int64_t err = 0;

		if (!vma_at(space, addr, &vma))
			return -VAS_ENOMEM;
		part_end = min_u64(end, vma.end);
		if (!(vma.flags & VAS_VM_SEALED))
			err = vma_modify(space, &vma, addr, part_end, vma.flags | VAS_VM_SEALED);
		if (err)
			return err;
		addr = part_end;
		space_pause(space, PAUSE_VMA);
	}
	return 0;
}

int64_t vas_mseal(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do {
		space_lock(space);
		result = seal(space, addr, len, flags);
		space_unlock(space);
	} while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}
