/* msync.c - msync(2) and mincore(2): what calls ask of the page cache.
 *
 * Owns the walk over the vmas of a range, whose holes are told at its end, as Linux does. Pages are
 * written back by rmap.c, which locks spaces itself: the space is unlocked meanwhile.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* The space is unlocked meanwhile: only addresses are good afterwards. */
static int64_t sync_part(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t first = vma_pgoff(space, vma, start), last = vma_pgoff(space, vma, end);
	struct vas_file *file = vma->file;
	int64_t err;

	if (!(vma->flags & VAS_VM_SHARED) || !file || !file->object ||
	    !object_is_written_back(file->object))
		return 0;
	/* Writing back waits for the file and for other spaces: not with ours locked. */
	file_get(file);
	space_unlock_shared(space);
	err = rmap_sync(file->object, first, last);
	vas_file_put(file);
	space_lock_shared(space);
	return err;
}

static int64_t sync_range(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t end = addr + space_align(space, len);
	int64_t gap = 0;
	struct vma vma;

	flags = (uint32_t)flags; /* an int */
	if ((flags & ~(uint64_t)(VAS_MS_ASYNC | VAS_MS_INVALIDATE | VAS_MS_SYNC)) ||
	    !space_is_aligned(space, addr) ||
	    (flags & (VAS_MS_ASYNC | VAS_MS_SYNC)) == (VAS_MS_ASYNC | VAS_MS_SYNC))
		return -VAS_EINVAL;
	if (end < addr)
		return -VAS_ENOMEM;
	while (addr < end) {
		uint64_t part_end;
		int64_t err = 0;

		if (!vma_from(space, addr, &vma))
			return -VAS_ENOMEM;
		if (vma.start > addr) {
			if (vma.start >= end)
				return -VAS_ENOMEM;
			gap = -VAS_ENOMEM;
			addr = vma.start;
		}
		if ((flags & VAS_MS_INVALIDATE) && (vma.flags & VAS_VM_LOCKED))
			return -VAS_EBUSY;
		part_end = min_u64(end, vma.end);
		if (flags & VAS_MS_SYNC)
			err = sync_part(space, &vma, addr, part_end);
		if (err)
			return err;
		addr = part_end;
	}
	return gap;
}

int64_t vas_msync(struct vas *space, uint64_t addr, uint64_t len, uint64_t flags)
{
	int64_t result;

	space_lock_shared(space);
	result = sync_range(space, addr, len, flags);
	space_unlock_shared(space);
	return result;
}

/* ---- mincore -------------------------------------------------------------------------------- */

/* Pages [addr, end) of one vma: mapped here, or in the file's cache. */
static void range_in_core(const struct vas *space, const struct vma *vma, uint64_t addr,
                          uint64_t end, uint8_t *answers)
{
	uint64_t page = space_page_size(space);

	pagemap_present(&space->pages, addr, end, answers);
	if (!vma->file || !vma->file->object)
		return;
	for (uint64_t i = 0; addr < end; i++, addr += page) {
		if (!answers[i] &&
		    object_find(vma->file->object, vma_pgoff(space, vma, addr)) != FRAME_NONE)
			answers[i] = 1;
	}
}

/* Answers for up to n pages from addr on, to the end of its vma at the most; 0: nothing mapped. */
static uint64_t pages_in_core(struct vas *space, uint64_t addr, uint64_t n, uint8_t *answers)
{
	uint64_t end = addr;
	struct vma vma;

	memset(answers, 0, (size_t)n);
	space_lock(space);
	if (vma_seek(space, addr, &vma)) {
		end = min_u64(vma.end, addr + n * space_page_size(space));
		range_in_core(space, &vma, addr, end, answers);
	}
	space_unlock(space);
	return space_pages(space, end - addr);
}

int64_t vas_mincore(struct vas *space, uint64_t addr, uint64_t len, uint64_t vec)
{
	uint64_t task_size = vas_task_size(space), page = space_page_size(space);
	uint64_t npages = space_pages(space, len) + !space_is_aligned(space, len);
	uint8_t answers[512]; /* what a leaf table has: to be written with the space unlocked */

	if (!space_is_aligned(space, addr))
		return -VAS_EINVAL;
	if (addr > task_size || len > task_size - addr)
		return -VAS_ENOMEM;
	if (vec > task_size || npages > task_size - vec)
		return -VAS_EFAULT;
	if (space_is_elsewhere(space))
		return -VAS_ENOSYS;
	while (npages > 0) {
		uint64_t n = pages_in_core(space, addr, min_u64(npages, sizeof(answers)), answers);

		if (n == 0)
			return -VAS_ENOMEM;
		addr += n * page;
		if (vas_write(space, vec, answers, n, NULL) < 0)
			return -VAS_EFAULT;
		vec += n;
		npages -= n;
	}
	return 0;
}
