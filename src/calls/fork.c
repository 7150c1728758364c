/* fork.c - the memory half of fork(2): a copy-on-write copy of a space.
 *
 * Owns what a child has of its parent, vma by vma; afterwards neither writes to a page that both
 * have before it has faulted. How pages are shared is the page map's; processes are not known.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* The child's vma: without locks, watched by no userfaultfd; what was touched has an identity of
 * its own. */
static void add_to_child(struct vas *child, struct vma *vma)
{
	vma->flags &= ~(uint64_t)(VMA_LOCKS | VAS_VM_HUGE_OWNER | VAS_VM_UFFD);
	if (vma->flags & VAS_VM_WIPEONFORK)
		vma->anon = 0;
	else if (vma->anon)
		vma->anon = system_next(child->system, &child->system->anon_ids) << 1 | 1;
	if (vma->file)
		file_get(vma->file);
	vma_insert(child, vma);
	space_count(child, vma->flags, vma_pages(child, vma));
}

/* Pages that a fault could find again in the object are not copied. */
static bool has_copied_pages(const struct vma *vma)
{
	if (vma->flags & (VAS_VM_WIPEONFORK | VAS_VM_OPAQUE))
		return false;
	return vma->anon || (vma->flags & VAS_VM_MAYBE_GUARD);
}

/* Others may come in now: to the parent, where nothing has been copied yet, and to the child, of
 * whom objects know already. */
static void let_others_in(struct vas *parent, struct vas *child, uint64_t work)
{
	parent->since_pause += work;
	if (parent->since_pause < PAUSE_AFTER)
		return;
	space_unlock(child);
	space_pause_now(parent);
	space_lock_child(child);
}

/* Page by page where tables are not shared: then it is done in parts. False: no memory. */
static bool share_pages(struct vas *parent, struct vas *child, const struct vma *vma)
{
	const struct vas_format *format = parent->system->format;
	bool whole_tables = !vma->file && !parent->pages.marked;
	uint64_t at_once = max_u64(format_span(format, 1) * 8, format_span(format, vma_level(vma)));
	struct page_parts parts = {
		.end = vma->start,
		.last = vma->end,
		.at_once = whole_tables ? ~(uint64_t)0 : at_once,
	};

	while (space_next_part(parent, &parts)) {
		if (!pagemap_share(&child->pages, &parent->pages, parts.start, parts.end,
		                   !vma->file))
			return false;
		if (parts.end < parts.last)
			let_others_in(parent, child, PAUSE_AFTER);
	}
	return true;
}

/* Tables are shared where no page of an object is: what takes pages from one (truncation, REMOVE)
 * finds them in tables of the space's own, and needs no memory. */
static int64_t copy_vma(struct vas *parent, struct vas *child, const struct vma *vma)
{
	uint64_t npages = vma_pages(parent, vma);
	struct vma copy = *vma;

	if (vma->flags & VAS_VM_DONTCOPY)
		return 0;
	if (!space_reserve(child))
		return -VAS_ENOMEM;
	if ((vma->flags & VAS_VM_ACCOUNT) && !space_charge(child, npages))
		return -VAS_ENOMEM;
	add_to_child(child, &copy);
	parent->moving[0].len = vma->end;
	if (has_copied_pages(vma) && !share_pages(parent, child, vma))
		return -VAS_ENOMEM;
	if (has_copied_pages(vma))
		hollow_fork(child, parent, vma->start, vma->end);
	return 0;
}

/* What a child has from its parent besides its memory. */
static void inherit(struct vas *child, const struct vas *parent)
{
	child->mmap_base = parent->mmap_base;
	child->legacy_base = parent->legacy_base;
	child->legacy = parent->legacy;
	child->place_low = parent->place_low;
	child->place_high = parent->place_high;
	child->start_brk = parent->start_brk;
	child->brk = parent->brk;
	child->data_len = parent->data_len;
	child->start_stack = parent->start_stack;
	child->capabilities = parent->capabilities;
	child->mdwe = parent->mdwe & VAS_MDWE_NO_INHERIT ? 0 : parent->mdwe;
	child->merges_all = parent->merges_all;
	for (unsigned i = 0; i < VAS_NRLIMITS; i++)
		child->limit[i] = parent->limit[i];
}

static int64_t copy_space(struct vas *parent, struct vas **out)
{
	struct vas_params params;
	struct vas *child;
	struct vma vma;
	int64_t err;

	vas_params_default(&params);
	params.group = parent->group;
	err = vas_create(parent->system, &params, &child);
	if (err)
		return err;
	/* Two spaces at once, the older first (lock.h). */
	space_lock(parent);
	space_lock_child(child);
	inherit(child, parent);
	/* What is shared must fault in the parent too before it is written. */
	parent->moving[0] = (struct moving){0, 0};
	for (uint64_t addr = 0; !err && vma_from(parent, addr, &vma); addr = vma.end) {
		err = copy_vma(parent, child, &vma);
		let_others_in(parent, child, PAUSE_VMA);
	}
	parent->moving[0].len = 0;
	if (err)
		space_ends(child);
	space_unlock(child);
	space_unlock(parent);
	if (err)
		vas_destroy(child);
	else
		*out = child;
	return err;
}

int64_t vas_fork(struct vas *parent, struct vas **out)
{
	uint64_t refusals = group_refusals(parent->group);
	int64_t err;

	do
		err = copy_space(parent, out);
	while (err && group_ask(parent->group, parent, &refusals));
	return err;
}
