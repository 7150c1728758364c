/* mprotect.c - mprotect(2).
 *
 *	|AAAAAAAA|BBBBB|      ->      |AAA|PPPPP|PPP|BB|   vma by vma, an error stops
 *
 * Owns the rights of vmas, and lowers those of the pages that are present: none becomes writable
 * here, the next write faults and decides. What is joined and split is vma_modify's.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

#define PROT_GROWS (VAS_PROT_GROWSDOWN | VAS_PROT_GROWSUP)
#define PROT_KNOWN (VAS_PROT_READ | VAS_PROT_WRITE | VAS_PROT_EXEC | VAS_PROT_SEM)

/* One call on its way. */
struct protection {
	struct vas *space;
	uint64_t start, end; /* what is still to be changed */
	uint64_t prot;       /* VMA_ACCESS */
	bool absent;         /* no page is present there */
};

/* The commit flag after the change: private memory that becomes writable is charged; what becomes
 * read-only and was never written is not any more. -ENOMEM: the charge is refused. */
static int64_t recharge(struct vas *space, const struct vma *vma, uint64_t npages, uint64_t *flags)
{
	const uint64_t settled = VAS_VM_ACCOUNT | VAS_VM_WRITE | VAS_VM_HUGETLB | VAS_VM_SHARED |
	                         VAS_VM_NORESERVE;

	if (*flags & VAS_VM_WRITE) {
		if (!space_can_expand(space, *flags, npages) &&
		    space_can_expand(space, vma->flags, npages))
			return -VAS_ENOMEM;
		if (!(vma->flags & settled)) {
			if (!space_charge(space, npages))
				return -VAS_ENOMEM;
			*flags |= VAS_VM_ACCOUNT;
		}
	} else if ((vma->flags & VAS_VM_ACCOUNT) && !vma->file && !vma->anon &&
	           linux_mprotect_uncharges(space)) {
		*flags &= ~VAS_VM_ACCOUNT;
	}
	return 0;
}

/* As far as it goes. As on Linux with the space locked for all of it, or else the rest of the range
 * could not be changed at once. */
static void write_pages(struct vas *space, struct vma *vma, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end && !(vma->flags & VAS_VM_LOCKONFAULT);
	     addr += space_page_size(space)) {
		if (fault_page(space, vma, addr, VAS_WRITE) < 0)
			return;
		if (space_pause(space, PAUSE_VMA))
			vma_at(space, addr, vma);
	}
}

/* What is present gets the vma's new rights, a part at a time. */
static void protect_pages(struct vas *space, uint64_t start, uint64_t end, struct vma *vma,
                          uint64_t old)
{
	const struct vas_format *format = space->system->format;
	unsigned before = vma_rights(space, old), rights = vma_rights(space, vma->flags);
	uint64_t at_once = max_u64(format_span(format, 1) * 64,
	                           format_span(format, vma_level(vma)));
	struct page_parts parts = {.end = start, .last = end, .at_once = at_once};

	while (space_next_part(space, &parts)) {
		pagemap_protect(&space->pages, parts.start, parts.end, before, rights);
		if (parts.end < end && space_pause(space, PAUSE_AFTER))
			vma_at(space, start, vma);
	}
}

/* Changes what begins at p->start and ends at `end`, in *vma. */
static int64_t protect_part(const struct protection *p, struct vma *vma, uint64_t end,
                            uint64_t flags)
{
	struct vas *space = p->space;
	uint64_t start = p->start, npages = space_pages(space, end - start), old = vma->flags;
	int64_t err;

	if (old & VAS_VM_SEALED)
		return -VAS_EPERM;
	if (flags == old)
		return 0;
	err = recharge(space, vma, npages, &flags);
	if (err)
		return err;
	err = vma_modify(space, vma, start, end, flags);
	if (err) {
		if (flags & ~old & VAS_VM_ACCOUNT)
			space_uncharge(space, npages);
		return err;
	}
	if (old & ~flags & VAS_VM_ACCOUNT)
		space_uncharge(space, npages);
	space_discount(space, old, npages);
	space_count(space, flags, npages);
	if (!p->absent)
		protect_pages(space, start, end, vma, old);
	/* Locked private memory that becomes writable is copied now, not at the first write. */
	if ((old & (VAS_VM_WRITE | VAS_VM_SHARED | VAS_VM_LOCKED)) == VAS_VM_LOCKED &&
	    (flags & VAS_VM_WRITE))
		write_pages(space, vma, start, end);
	return 0;
}

/* *vma holds the start, and is the first. */
static int64_t protect_range(struct protection *p, struct vma *vma)
{
	for (;;) {
		uint64_t end = min_u64(p->end, vma->end);
		uint64_t flags = (vma->flags & ~(uint64_t)VMA_ACCESS) | p->prot;
		int64_t err;

		if (flags & ~(flags >> VMA_MAY_SHIFT) & VMA_ACCESS)
			return -VAS_EACCES;
		if (prctl_refuses_exec(p->space, vma->flags, flags))
			return -VAS_EACCES;
		err = protect_part(p, vma, end, flags);
		if (err || end == p->end)
			return err;
		p->start = end;
		if (space_pause(p->space, PAUSE_VMA))
			p->absent = false;
		if (!vma_seek(p->space, end, vma))
			return -VAS_ENOMEM;
	}
}

/* Tables of the space's own, in parts as above. False: no memory. */
static bool unshare_pages(struct vas *space, uint64_t start, uint64_t end)
{
	uint64_t at_once = format_span(space->system->format, 1) * 64;
	struct page_parts parts = {.end = start, .last = end, .at_once = at_once};

	while (space_next_part(space, &parts)) {
		if (!pagemap_unshare(&space->pages, parts.start, parts.end))
			return false;
		if (parts.end < end)
			space_pause(space, PAUSE_AFTER);
	}
	return true;
}

/* What changing pages needs: memory for the vmas, and tables of the space's own. Where those are
 * made, a pause may have given the first vma an identity. */
static bool protect_prepare(struct protection *p, struct vma *first)
{
	uint64_t end = min_u64(p->end, vas_task_size(p->space));

	p->absent = pagemap_is_empty(&p->space->pages, p->start, end);
	return (p->absent ||
	        (unshare_pages(p->space, p->start, end) && vma_seek(p->space, p->start, first))) &&
	       space_reserve_change(p->space, p->start, end);
}

/* The vma in which the change begins: with PROT_GROWSDOWN at the start of the stack. */
static int64_t find_start(struct protection *p, uint64_t grows, struct vma *vma)
{
	if (!vma_seek_from(p->space, p->start, vma))
		return -VAS_ENOMEM;
	if (grows & VAS_PROT_GROWSDOWN) {
		if (vma->start >= p->end)
			return -VAS_ENOMEM;
		if (!(vma->flags & VAS_VM_GROWSDOWN))
			return -VAS_EINVAL;
		p->start = vma->start;
		return 0;
	}
	if (vma->start > p->start)
		return -VAS_ENOMEM;
	return grows & VAS_PROT_GROWSUP ? -VAS_EINVAL : 0;
}

static int64_t protect(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot)
{
	struct protection p = {.space = space, .start = addr, .prot = mmap_prot_flags(space, prot)};
	uint64_t grows = prot & PROT_GROWS;
	struct vma vma;
	int64_t err;

	prot &= ~(uint64_t)PROT_GROWS;
	if (grows == PROT_GROWS || !space_is_aligned(space, addr))
		return -VAS_EINVAL;
	if (len == 0)
		return 0;
	p.end = addr + space_align(space, len);
	if (p.end <= addr)
		return -VAS_ENOMEM;
	if (prot & ~(uint64_t)PROT_KNOWN)
		return -VAS_EINVAL;
	err = find_start(&p, grows, &vma);
	if (err)
		return err;
	return protect_prepare(&p, &vma) ? protect_range(&p, &vma) : -VAS_ENOMEM;
}

static int64_t protect_once(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot)
{
	int64_t result;

	space_lock(space);
	result = protect(space, addr, len, prot);
	space_unlock(space);
	return result;
}

/* Apart, so that who has no group need not keep the arguments. */
static RARELY int64_t protect_in_group(struct vas *space, uint64_t addr, uint64_t len,
                                       uint64_t prot)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do
		result = protect_once(space, addr, len, prot);
	while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}

int64_t vas_mprotect(struct vas *space, uint64_t addr, uint64_t len, uint64_t prot)
{
	if (space->group)
		return protect_in_group(space, addr, len, prot);
	return protect_once(space, addr, len, prot);
}
