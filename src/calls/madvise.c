/* madvise.c - madvise(2).
 *
 * Advice is of three kinds: flags of vmas, which split and merge; what happens to pages; and making
 * pages present. Advice that only concerns reclaim has no effect here, but its checks are Linux's.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* One vma's share of the range. */
struct part {
	struct vas *space;
	struct vma vma;
	uint64_t start, end;
};

/* Its pages, `ntables` leaf tables at once; 0: all. */
static struct page_parts parts_of(const struct part *part, unsigned ntables)
{
	const struct vas_format *format = part->space->system->format;
	uint64_t at_once = max_u64(format_span(format, 1) * ntables,
	                           format_span(format, vma_level(&part->vma)));

	return (struct page_parts){
		.end = part->start,
		.last = part->end,
		.at_once = ntables ? at_once : ~(uint64_t)0,
	};
}

static void pause_within(const struct part *part, const struct page_parts *parts)
{
	if (parts->end < part->end)
		space_pause(part->space, PAUSE_AFTER);
}

/* ---- Flags ---------------------------------------------------------------------------------- */

static bool vma_is_kernels(const struct vma *vma)
{
	return vma->flags & (VMA_KERNELS | VAS_VM_SPECIAL);
}

bool madvise_can_be_ksm(const struct vma *vma)
{
	return !vma_is_kernels(vma) && !(vma->flags & (VAS_VM_SHARED | VAS_VM_MAYSHARE |
	                                               VAS_VM_HUGETLB | VAS_VM_DROPPABLE));
}

/* The vma's flags after the advice, or an error; advice that sets no flags answers them as they
 * are. */
static int64_t advised_flags(const struct vma *vma, uint64_t advice, uint64_t *out)
{
	uint64_t flags = vma->flags;

	switch (advice) {
	case VAS_MADV_NORMAL:
		flags &= ~(VAS_VM_RAND_READ | VAS_VM_SEQ_READ);
		break;
	case VAS_MADV_SEQUENTIAL:
		flags = (flags & ~VAS_VM_RAND_READ) | VAS_VM_SEQ_READ;
		break;
	case VAS_MADV_RANDOM:
		flags = (flags & ~VAS_VM_SEQ_READ) | VAS_VM_RAND_READ;
		break;
	case VAS_MADV_DONTFORK:
		flags |= VAS_VM_DONTCOPY;
		break;
	case VAS_MADV_DOFORK:
		if (flags & VAS_VM_IO)
			return -VAS_EINVAL;
		flags &= ~VAS_VM_DONTCOPY;
		break;
	case VAS_MADV_WIPEONFORK:
		if (vma->file || (flags & VAS_VM_SHARED))
			return -VAS_EINVAL;
		flags |= VAS_VM_WIPEONFORK;
		break;
	case VAS_MADV_KEEPONFORK:
		if (flags & VAS_VM_DROPPABLE)
			return -VAS_EINVAL;
		flags &= ~VAS_VM_WIPEONFORK;
		break;
	case VAS_MADV_DONTDUMP:
		flags |= VAS_VM_DONTDUMP;
		break;
	case VAS_MADV_DODUMP:
		if ((!(flags & VAS_VM_HUGETLB) && (flags & VMA_KERNELS)) ||
		    (flags & VAS_VM_DROPPABLE))
			return -VAS_EINVAL;
		flags &= ~VAS_VM_DONTDUMP;
		break;
	case VAS_MADV_MERGEABLE:
		if (madvise_can_be_ksm(vma))
			flags |= VAS_VM_MERGEABLE;
		break;
	case VAS_MADV_UNMERGEABLE:
		flags &= ~VAS_VM_MERGEABLE;
		break;
	case VAS_MADV_HUGEPAGE:
		flags = (flags & ~VAS_VM_NOHUGEPAGE) | VAS_VM_HUGEPAGE;
		break;
	case VAS_MADV_NOHUGEPAGE:
		flags = (flags & ~VAS_VM_HUGEPAGE) | VAS_VM_NOHUGEPAGE;
		break;
	}
	*out = flags;
	return 0;
}

static int64_t advise_flags(struct part *part, uint64_t advice)
{
	uint64_t flags;
	int64_t err = advised_flags(&part->vma, advice, &flags);

	if (err || flags == part->vma.flags)
		return err;
	if (!space_reserve_change(part->space, part->start, part->end))
		return -VAS_ENOMEM;
	err = vma_modify(part->space, &part->vma, part->start, part->end, flags);
	/* Now only the limit of vmas can be in the way. */
	return err == -VAS_ENOMEM && linux_madv_split_is_eagain(part->space) ? -VAS_EAGAIN : err;
}

/* ---- Pages ---------------------------------------------------------------------------------- */

/* All at once, unless there are marks that stay: then every page is looked at. */
static void zap_pages(struct vas *space, const struct part *part)
{
	struct page_parts parts = parts_of(part, space->pages.marked ? 4 : 0);

	while (space_next_part(space, &parts)) {
		pagemap_zap(&space->pages, parts.start, parts.end);
		pause_within(part, &parts);
	}
}

static int64_t zap_part(const struct part *part, uint64_t advice)
{
	struct vas *space = part->space;
	struct hollow_ends ends;

	if (space_is_elsewhere(space))
		return elsewhere_advise(space, &part->vma, part->start, part->end, advice);
	if (!space_split_to_free(space, part->start, part->end))
		return -VAS_ENOMEM;
	hollow_watch(space, part->start, part->end, &ends);
	if (linux_dontneed_frees_tables(space))
		hollow_forget(space, part->start, part->end);
	else
		hollow_keep(space, part->start, part->end);
	zap_pages(space, part);
	hollow_note(space, &ends);
	space_restock(space);
	return 0;
}

/* Huge pages are dropped whole, what reaches into the last one counts as not asked for. */
static int64_t advise_dontneed(struct part *part, uint64_t advice)
{
	uint64_t size = format_span(part->space->system->format, vma_level(&part->vma));
	uint64_t refused = VAS_VM_PFNMAP;

	if (advice == VAS_MADV_DONTNEED)
		refused |= VAS_VM_LOCKED;
	if ((part->vma.flags & refused) || !is_aligned(part->start, size))
		return -VAS_EINVAL;
	if (vma_level(&part->vma) > 0 && !linux_madv_dontneed_hugetlb(part->space))
		return -VAS_EINVAL;
	part->end = align_down(part->end, size);
	huge_unmap(part->space, &part->vma, part->start, part->end, HUGE_DISCARD);
	return zap_part(part, advice);
}

/* Without memory pressure the pages that MADV_FREE gives up are never taken. */
static int64_t advise_free(const struct part *part)
{
	if (part->vma.file || (part->vma.flags & (VAS_VM_LOCKED | VAS_VM_PFNMAP | VAS_VM_HUGETLB)))
		return -VAS_EINVAL;
	return elsewhere_advise(part->space, &part->vma, part->start, part->end, VAS_MADV_FREE);
}

/* The space is unlocked meanwhile: only addresses are good afterwards. */
static int64_t advise_remove(struct part *part)
{
	uint64_t size = format_span(part->space->system->format, vma_level(&part->vma));
	const struct vma *vma = &part->vma;
	const uint64_t shared = VAS_VM_SHARED | VAS_VM_MAYWRITE;
	struct vas_file *file = vma->file;
	uint64_t first, last;

	if (vma->flags & VAS_VM_LOCKED)
		return -VAS_EINVAL;
	if (!file || !file->object)
		return -VAS_EINVAL;
	if ((vma->flags & shared) != shared)
		return -VAS_EACCES;
	if (!(file->info.mode & VAS_FILE_SHMEM) && vma_level(vma) == 0)
		return -VAS_EOPNOTSUPP;
	/* Of huge pages only whole ones go. */
	part->start = align_up(part->start, size);
	part->end = max_u64(align_down(part->end, size), part->start);
	first = vma_pgoff(part->space, vma, part->start);
	last = vma_pgoff(part->space, vma, part->end);
	if (space_is_elsewhere(part->space))
		return elsewhere_advise(part->space, &part->vma, part->start, part->end,
		                        VAS_MADV_REMOVE);
	file_get(file);
	space_unlock(part->space);
	rmap_punch(file->object, first, last);
	vas_file_put(file);
	space_lock(part->space);
	return 0;
}

/* Reclaim: there is no swap, so anonymous pages stay; see docs/differences.md for file pages. */
static int64_t advise_reclaim(const struct part *part, uint64_t advice)
{
	if (part->vma.flags & (VAS_VM_LOCKED | VAS_VM_PFNMAP | VAS_VM_HUGETLB))
		return -VAS_EINVAL;
	return elsewhere_advise(part->space, &part->vma, part->start, part->end, advice);
}

static bool vma_can_be_guarded(const struct vas *space, const struct vma *vma, uint64_t advice)
{
	uint64_t refused = VMA_KERNELS | VAS_VM_SPECIAL | VAS_VM_HUGETLB;

	if (advice == VAS_MADV_GUARD_INSTALL)
		refused |= VAS_VM_LOCKED;
	return !(vma->flags & refused) && (!vma->file || linux_guards_files(space));
}

/* Each page has a word of its own afterwards, whose table may be empty until it gets its mark.
 * False: no memory, nothing changed. */
static bool prepare_guards(const struct part *part)
{
	struct vas *space = part->space;
	uint64_t at_once = format_span(space->system->format, 1) * 64, end;

	for (uint64_t addr = part->start; addr < part->end; addr = end) {
		end = min_u64(align_down(addr, at_once) + at_once, part->end);
		if (!pagemap_prepare_marks(&space->pages, addr, end)) {
			pagemap_give_up_marks(&space->pages, part->start, part->end);
			return false;
		}
		if (end < part->end)
			space_pause(space, PAUSE_AFTER);
	}
	return true;
}

static void install_guards(const struct part *part)
{
	const struct entry guard = {.kind = ENTRY_MARK, .mark = MARK_GUARD};
	struct vas *space = part->space;
	uint64_t at_once = format_span(space->system->format, 1) * 16, end;

	for (uint64_t addr = part->start; addr < part->end; addr = end) {
		end = min_u64(align_down(addr, at_once) + at_once, part->end);
		pagemap_mark(&space->pages, addr, end, &guard);
		if (end < part->end)
			space_pause(space, PAUSE_AFTER);
	}
}

static int64_t advise_guard_install(struct part *part)
{
	struct vas *space = part->space;
	int64_t err = 0;

	if (!vma_can_be_guarded(space, &part->vma, VAS_MADV_GUARD_INSTALL))
		return -VAS_EINVAL;
	if (space_is_elsewhere(space))
		err = elsewhere_advise(space, &part->vma, part->start, part->end,
		                       VAS_MADV_GUARD_INSTALL);
	else if (!prepare_guards(part))
		err = -VAS_ENOMEM;
	if (err)
		return err;
	/* Linux ties the page tables to an identity here, so that fork copies the guards; where it
	 * has a flag for that, of anonymous memory only. */
	if (!linux_notes_guards(space) || (!(part->vma.flags & VAS_VM_SHARED) && !part->vma.file))
		vma_touch(space, &part->vma);
	if (linux_notes_guards(space)) {
		part->vma.flags |= VAS_VM_MAYBE_GUARD;
		vma_replace(space, part->vma.start, &part->vma);
	}
	if (space_is_elsewhere(space))
		return 0;
	hollow_keep(space, part->start, part->end);
	install_guards(part);
	return 0;
}

static bool unguard_entry(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct vas *space = ctx;

	(void)level;
	if (entry->kind == ENTRY_MARK && entry->mark == MARK_GUARD)
		pagemap_clear(&space->pages, addr, addr + space_page_size(space));
	return true;
}

static int64_t advise_guard_remove(const struct part *part)
{
	struct page_parts parts = parts_of(part, 4);
	struct vas *space = part->space;
	struct hollow_ends ends;

	if (!vma_can_be_guarded(space, &part->vma, VAS_MADV_GUARD_REMOVE))
		return -VAS_EINVAL;
	if (space_is_elsewhere(space))
		return elsewhere_advise(space, &part->vma, part->start, part->end,
		                        VAS_MADV_GUARD_REMOVE);
	hollow_watch(space, part->start, part->end, &ends);
	hollow_keep(space, part->start, part->end);
	while (space_next_part(space, &parts)) {
		pagemap_walk(&space->pages, parts.start, parts.end, unguard_entry, space);
		pause_within(part, &parts);
	}
	hollow_note(space, &ends);
	return 0;
}

/* ---- Dispatch ------------------------------------------------------------------------------- */

static bool is_discarding(uint64_t advice)
{
	switch (advice) {
	case VAS_MADV_FREE:
	case VAS_MADV_DONTNEED:
	case VAS_MADV_DONTNEED_LOCKED:
	case VAS_MADV_REMOVE:
	case VAS_MADV_DONTFORK:
	case VAS_MADV_WIPEONFORK:
	case VAS_MADV_GUARD_INSTALL:
		return true;
	}
	return false;
}

/* A seal keeps what cannot be written from being discarded instead. */
static bool is_forbidden_by_seal(const struct vma *vma, uint64_t advice)
{
	return (vma->flags & VAS_VM_SEALED) && is_discarding(advice) && !vma->file &&
	       !(vma->flags & VAS_VM_SHARED) && !(vma->flags & VAS_VM_WRITE);
}

static int64_t advise_part(struct part *part, uint64_t advice)
{
	if (is_forbidden_by_seal(&part->vma, advice))
		return -VAS_EPERM;
	switch (advice) {
	case VAS_MADV_REMOVE:
		return advise_remove(part);
	case VAS_MADV_WILLNEED:
		return elsewhere_advise(part->space, &part->vma, part->start, part->end, advice);
	case VAS_MADV_COLD:
	case VAS_MADV_PAGEOUT:
		return advise_reclaim(part, advice);
	case VAS_MADV_FREE:
		return advise_free(part);
	case VAS_MADV_DONTNEED:
	case VAS_MADV_DONTNEED_LOCKED:
		return advise_dontneed(part, advice);
	case VAS_MADV_COLLAPSE:
		if (space_is_elsewhere(part->space))
			return elsewhere_advise(part->space, &part->vma, part->start, part->end,
			                        advice);
		return huge_collapse(part->space, &part->vma, part->start, part->end);
	case VAS_MADV_GUARD_INSTALL:
		return advise_guard_install(part);
	case VAS_MADV_GUARD_REMOVE:
		return advise_guard_remove(part);
	}
	return advise_flags(part, advice);
}

/* Applies the advice to all that is mapped in the range; gaps are reported at the end. */
static int64_t advise_range(struct vas *space, uint64_t start, uint64_t end, uint64_t advice)
{
	struct part part = {.space = space};
	int64_t gap = 0;

	while (start < end) {
		int64_t err;

		if (!vma_from(space, start, &part.vma))
			return -VAS_ENOMEM;
		if (part.vma.start > start) {
			gap = -VAS_ENOMEM;
			start = part.vma.start;
			if (start >= end)
				break;
		}
		part.start = start;
		part.end = start = min_u64(end, part.vma.end);
		err = advise_part(&part, advice);
		if (err)
			return err;
		space_pause(space, PAUSE_VMA);
	}
	return gap;
}

/* The next pages of [*addr, end). *gap becomes -ENOMEM where nothing is mapped. */
static int64_t advise_populate_next(struct vas *space, uint64_t *addr, uint64_t end,
                                    enum vas_access access, int64_t *gap)
{
	uint64_t right = access == VAS_WRITE ? VAS_VM_WRITE : VAS_VM_READ;
	struct vma vma;

	if (!vma_at(space, *addr, &vma)) {
		*gap = -VAS_ENOMEM;
		*addr = linux_populate_stops_at_gap(space) || !vma_from(space, *addr, &vma)
		                ? end
		                : min_u64(vma.start, end);
		return 0;
	}
	if ((vma.flags & (VAS_VM_IO | VAS_VM_PFNMAP)) || !(vma.flags & right))
		return -VAS_EINVAL;
	if (space_is_elsewhere(space)) {
		uint64_t start = *addr;

		*addr = min_u64(end, vma.end);
		return elsewhere_advise(space, &vma, start, *addr,
		                        access == VAS_WRITE ? VAS_MADV_POPULATE_WRITE
		                                            : VAS_MADV_POPULATE_READ);
	}
	if (vma_is_ours(&vma))
		return fault_some(space, &vma, addr, min_u64(end, vma.end), access);
	*addr = vma.end;
	return 0;
}

/* POPULATE_READ and POPULATE_WRITE stop at the first page that cannot be had; at a gap, too, or
 * they tell of it in the end. */
static int64_t populate_range(struct vas *space, uint64_t addr, uint64_t end, uint64_t advice)
{
	enum vas_access access = advice == VAS_MADV_POPULATE_WRITE ? VAS_WRITE : VAS_READ;
	unsigned looks = 0;
	int64_t err = 0, gap = 0;

	while (addr < end && !err) {
		space_lock(space);
		err = advise_populate_next(space, &addr, end, access, &gap);
		space_unlock(space);
		if (err == -VAS_EAGAIN && !space_is_elsewhere(space)) {
			lock_wait(&space->system->port, &looks);
			err = 0;
		}
	}
	return err ? err : gap;
}

/* Which advice a kernel of this version and configuration knows. */
static bool is_known(const struct vas *space, uint64_t advice)
{
	const struct vas_settings *settings = &space->system->settings;

	switch (advice) {
	case VAS_MADV_MERGEABLE:
	case VAS_MADV_UNMERGEABLE:
		return settings->ksm;
	case VAS_MADV_HUGEPAGE:
	case VAS_MADV_NOHUGEPAGE:
		return settings->thp;
	case VAS_MADV_COLLAPSE:
		return settings->thp && linux_madv_collapse(space);
	case VAS_MADV_GUARD_INSTALL:
	case VAS_MADV_GUARD_REMOVE:
		return linux_madv_guard(space);
	case VAS_MADV_DONTNEED_LOCKED:
		return linux_madv_dontneed_locked(space);
	case VAS_MADV_POPULATE_READ:
	case VAS_MADV_POPULATE_WRITE:
		return linux_madv_populate(space);
	case VAS_MADV_COLD:
	case VAS_MADV_PAGEOUT:
		return linux_madv_reclaim(space);
	case VAS_MADV_FREE:
		return linux_madv_free(space);
	case VAS_MADV_WIPEONFORK:
	case VAS_MADV_KEEPONFORK:
		return linux_madv_wipeonfork(space);
	case VAS_MADV_HWPOISON:
	case VAS_MADV_SOFT_OFFLINE:
		return settings->memory_failure;
	}
	return advice <= VAS_MADV_WILLNEED || advice == VAS_MADV_DONTNEED ||
	       (advice >= VAS_MADV_REMOVE && advice <= VAS_MADV_DOFORK) ||
	       advice == VAS_MADV_DONTDUMP || advice == VAS_MADV_DODUMP;
}

/* What can be said of the arguments; the settings are read with the space locked. */
static int64_t check_advice(const struct vas *space, uint64_t addr, uint64_t len, uint64_t advice)
{
	uint64_t rounded = space_align(space, len);

	if (!is_known(space, advice) || !space_is_aligned(space, addr))
		return -VAS_EINVAL;
	return (len && !rounded) || addr + rounded < addr ? -VAS_EINVAL : 0;
}

static int64_t advise(struct vas *space, uint64_t start, uint64_t end, uint64_t advice)
{
	if (start == end)
		return 0;
	if (advice == VAS_MADV_HWPOISON || advice == VAS_MADV_SOFT_OFFLINE)
		/* There is no failing memory to speak of. */
		return space->capabilities & VAS_CAP_SYS_ADMIN ? -VAS_EOPNOTSUPP : -VAS_EPERM;
	return advise_range(space, start, end, advice);
}

static int64_t advise_once(struct vas *space, uint64_t addr, uint64_t len, uint64_t advice)
{
	bool populates = advice == VAS_MADV_POPULATE_READ || advice == VAS_MADV_POPULATE_WRITE;
	uint64_t end = addr + space_align(space, len);
	int64_t result;

	space_lock(space);
	result = check_advice(space, addr, len, advice);
	if (!result && !populates)
		result = advise(space, addr, end, advice);
	space_unlock(space);
	return !result && populates ? populate_range(space, addr, end, advice) : result;
}

int64_t vas_madvise(struct vas *space, uint64_t addr, uint64_t len, uint64_t advice)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	advice = (uint32_t)advice; /* an int */
	do
		result = advise_once(space, addr, len, advice);
	while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}
