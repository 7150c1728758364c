/* mlock.c - mlock(2), mlock2(2), munlock(2), mlockall(2), munlockall(2).
 *
 *	|AAAAAAAAAAAA|      ->      |AAA|LLLLL|AAAA|      flags first, which count; pages come after
 *
 * Owns the lock flags of vmas and the counter `locked`, which is the sum of their pages. Pages are
 * made present by fault_populate, with the space unlocked in between: that may end early, and the
 * flags stay, as on Linux.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* Sets the lock flags of [start, end), which lies in *vma, to `locks`. */
static int64_t lock_part(struct vas *space, struct vma *vma, uint64_t start, uint64_t end,
                         uint64_t locks)
{
	uint64_t old = vma->flags, flags = (old & ~(uint64_t)VMA_LOCKS) | locks;
	uint64_t npages = space_pages(space, end - start);
	int64_t err;

	if (flags == old || !vma_is_lockable(vma->flags))
		return 0;
	err = vma_modify(space, vma, start, end, flags);
	if (err)
		return err;
	if (flags & ~old & VAS_VM_LOCKED)
		space->locked += npages;
	else if (old & ~flags & VAS_VM_LOCKED)
		space->locked -= npages;
	return 0;
}

/* The same for a range of vmas; -ENOMEM at a gap, what lies before it is changed. */
static int64_t lock_range(struct vas *space, uint64_t start, uint64_t end, uint64_t locks)
{
	struct vma vma;

	if (end < start)
		return -VAS_EINVAL;
	if (start < end && !space_reserve_change(space, start, end))
		return -VAS_ENOMEM;
	while (start < end) {
		uint64_t part_end;
		int64_t err;

		if (!vma_at(space, start, &vma))
			return -VAS_ENOMEM;
		part_end = min_u64(end, vma.end);
		err = lock_part(space, &vma, start, part_end, locks);
		if (err)
			return err;
		start = part_end;
		space_pause(space, PAUSE_VMA);
	}
	return 0;
}

/* Pages of [start, start + len) that are locked already. */
static uint64_t locked_pages(const struct vas *space, uint64_t start, uint64_t len)
{
	uint64_t end = start + len < start ? ~(uint64_t)0 : start + len, npages = 0;
	struct vma vma;

	for (uint64_t addr = start; vma_from(space, addr, &vma) && vma.start < end;
	     addr = vma.end) {
		if (vma.flags & VAS_VM_LOCKED)
			npages += space_pages(space,
			                      min_u64(vma.end, end) - max_u64(vma.start, addr));
	}
	return npages;
}

/* What failing to make pages present means to who called mlock. */
static int64_t errno_of(int64_t err)
{
	if (err == -VAS_EFAULT)
		return -VAS_ENOMEM;
	return err == -VAS_ENOMEM ? -VAS_EAGAIN : err;
}

static int64_t lock(struct vas *space, uint64_t start, uint64_t len, uint64_t locks)
{
	if (!space_can_lock(space))
		return -VAS_EPERM;
	if (!space_can_lock_pages(space, space_pages(space, len)) &&
	    !space_can_lock_pages(space, space_pages(space, len) - locked_pages(space, start, len)))
		return -VAS_ENOMEM;
	return lock_range(space, start, start + len, locks);
}

static int64_t lock_and_populate(struct vas *space, uint64_t addr, uint64_t len, uint64_t locks)
{
	uint64_t refusals = group_refusals(space->group);
	uint64_t start = align_down(addr, space_page_size(space));
	int64_t err;

	len = space_align(space, len + (addr - start));
	do {
		space_lock(space);
		err = lock(space, start, len, locks);
		space_unlock(space);
	} while (err && group_ask(space->group, space, &refusals));
	if (err)
		return err;
	return errno_of(fault_populate(space, (struct later){start, start + len}, TO_FIRST_ERROR));
}

int64_t vas_mlock(struct vas *space, uint64_t addr, uint64_t len)
{
	return lock_and_populate(space, addr, len, VAS_VM_LOCKED);
}

int64_t vas_mlock2(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags)
{
	if (!linux_mlock2(space))
		return -VAS_ENOSYS;
	flags = (uint32_t)flags; /* an int */
	if (flags & ~(uint64_t)VAS_MLOCK_ONFAULT)
		return -VAS_EINVAL;
	return lock_and_populate(space, addr, len, flags ? VMA_LOCKS : VAS_VM_LOCKED);
}

static int64_t unlock_pages(struct vas *space, uint64_t addr, uint64_t len)
{
	uint64_t start = align_down(addr, space_page_size(space));

	len = space_align(space, len + (addr - start));
	return lock_range(space, start, start + len, 0);
}

int64_t vas_munlock(struct vas *space, uint64_t addr, uint64_t len)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do {
		space_lock(space);
		result = unlock_pages(space, addr, len);
		space_unlock(space);
	} while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}

/* The lock flags of all vmas; what may not be changed stays as it is, as on Linux. Whole vmas need
 * no memory. */
static void lock_all(struct vas *space, uint64_t locks)
{
	struct vma vma;

	for (uint64_t addr = 0; vma_from(space, addr, &vma); addr = vma.end) {
		lock_part(space, &vma, vma.start, vma.end, locks);
		space_pause(space, PAUSE_VMA);
	}
}

static int64_t lock_everything(struct vas *space, uint64_t mcl, struct later *later)
{
	uint64_t flags = (uint32_t)mcl; /* an int */
	const uint64_t known = VAS_MCL_CURRENT | VAS_MCL_FUTURE | VAS_MCL_ONFAULT;
	uint64_t locks = flags & VAS_MCL_ONFAULT ? VMA_LOCKS : VAS_VM_LOCKED;
	uint64_t limit = space_pages(space, space->limit[VAS_RLIMIT_MEMLOCK].soft);

	if (!flags || (flags & ~known) || flags == VAS_MCL_ONFAULT)
		return -VAS_EINVAL;
	if (!space_can_lock(space))
		return -VAS_EPERM;
	if ((flags & VAS_MCL_CURRENT) && space->size > limit &&
	    !(space->capabilities & VAS_CAP_IPC_LOCK))
		return -VAS_ENOMEM;
	space->def_flags = flags & VAS_MCL_FUTURE ? locks : 0;
	if (!(flags & VAS_MCL_CURRENT))
		return 0;
	lock_all(space, locks);
	*later = (struct later){0, vas_task_size(space)};
	return 0;
}

int64_t vas_mlockall(struct vas *space, uint64_t mcl)
{
	struct later later = {0, 0};
	int64_t result;

	space_lock(space);
	result = lock_everything(space, mcl, &later);
	space_unlock(space);
	fault_populate(space, later, TO_ITS_END);
	return result;
}

int64_t vas_munlockall(struct vas *space)
{
	space_lock(space);
	space->def_flags = 0;
	lock_all(space, 0);
	space_unlock(space);
	return 0;
}
