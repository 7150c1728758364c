/* munmap.c - munmap(2), and unmapping for the calls that replace or move.
 *
 * SPDX-License-Identifier: MIT */
#include "calls.h"

/* Splits the first vma at `start`. Linux looks at what forbids unmapping it before splitting. */
static int64_t split_first(struct vas *space, uint64_t start, uint64_t end)
{
	struct vma vma;

	if (!vma_at(space, start, &vma) || vma.start == start)
		return 0;
	if (end < vma.end && space_full(space))
		return -VAS_ENOMEM;
	if (vma.flags & VAS_VM_SEALED)
		return -VAS_EPERM;
	return vma_split(space, start);
}

bool munmap_reserve(struct vas *space, uint64_t start, uint64_t end)
{
	return space_reserve(space) && space_cut(space, start, end);
}

int64_t munmap_split(struct vas *space, uint64_t start, uint64_t end)
{
	int64_t err = split_first(space, start, end);
	struct vma vma;

	if (err)
		return err;
	for (uint64_t addr = start; vma_tree_find(&space->tree, addr, &vma) && vma.start < end;
	     addr = vma.end) {
		if (vma.flags & VAS_VM_SEALED)
			return -VAS_EPERM;
		if (vma.end > end)
			return vma_split(space, end);
	}
	return 0;
}

/* Takes a whole vma out of the counters. */
static void discount_vma(struct vas *space, const struct vma *vma)
{
	uint64_t npages = vma_pages(space, vma);

	space_discount(space, vma->flags, npages);
	if (vma->flags & VAS_VM_LOCKED)
		space->locked -= npages;
	if (vma->flags & VAS_VM_ACCOUNT)
		space_uncharge(space, npages);
}

/* The pages go all at once: the range was cut at its ends, and a table that fork shared may reach
 * over the border of two vmas within it. */
void munmap_commit(struct vas *space, uint64_t start, uint64_t end)
{
	struct tlb_gather gather;
	struct vma vma;

	while (vma_tree_find(&space->tree, start, &vma) && vma.start < end) {
		huge_unmap(space, &vma, vma.start, vma.end, HUGE_UNMAP);
		discount_vma(space, &vma);
		vma_remove(space, &vma);
	}
	tlb_gather_begin(&gather, &space->tlb);
	pagemap_clear(&space->pages, start, end, &gather);
	tlb_gather_end(&gather);
}

int64_t munmap_range(struct vas *space, uint64_t start, uint64_t len)
{
	uint64_t task_size = vas_task_size(space);
	int64_t err;

	if (!space_aligned(space, start) || start > task_size || len > task_size - start)
		return -VAS_EINVAL;
	len = space_align(space, len);
	if (len == 0)
		return -VAS_EINVAL;
	if (!vma_overlaps(space, start, start + len))
		return 0;
	if (!munmap_reserve(space, start, start + len))
		return -VAS_ENOMEM;
	err = munmap_split(space, start, start + len);
	if (!err)
		munmap_commit(space, start, start + len);
	return err;
}

int64_t vas_munmap(struct vas *space, uint64_t addr, uint64_t len)
{
	int64_t result;

	space_lock(space);
	result = munmap_range(space, addr, len);
	space_unlock(space);
	return result;
}
