/* brk.c - brk(2).
 *
 *	start_brk        brk
 *	    |HHHHHHHHHHHHH|...|   ->   |HHHHHHHHHHHHHHHHH|    pages are mapped, bytes counted
 *
 * Owns how the heap's end moves: a refusal is told by the old one, never by an errno. The heap is a
 * vma like any other, which mmap's and munmap's rules then serve.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* What a heap would be to mmap. */
#define HEAP_MAP (VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED_NOREPLACE)

/* Gives [end, old_end) back. */
static bool shrink_heap(struct vas *space, uint64_t end, uint64_t old_end)
{
	if (!space_has_vma(space, end, old_end))
		return !linux_brk_wants_heap(space);
	return munmap_range(space, end, old_end - end) == 0;
}

/* A heap keeps a page's distance from what is above it, more below a stack. */
static bool has_room_above(const struct vas *space, uint64_t old_end, uint64_t end)
{
	struct vma next;

	if (end > vas_task_size(space))
		return false;
	return !vma_from(space, old_end, &next) ||
	       end + space_page_size(space) <= space_guard_start(space, &next);
}

static bool grow_heap(struct vas *space, uint64_t old_end, uint64_t end, struct later *later)
{
	uint64_t npages = space_pages(space, end - old_end);
	uint64_t flags = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_MAYREAD | VAS_VM_MAYWRITE |
	                 VAS_VM_MAYEXEC | VAS_VM_ACCOUNT | space->def_flags |
	                 (space->system->heap_apart ? VAS_VM_APART : 0);
	struct vma vma = {.start = old_end, .end = end, .flags = flags};

	if ((flags & VAS_VM_LOCKED) && !space_can_lock_pages(space, npages))
		return false;
	if (!has_room_above(space, old_end, end) || !space_can_expand(space, flags, npages) ||
	    space->tree.count > space->system->settings.max_map_count)
		return false;
	if (!space_reserve(space) || !space_charge(space, npages))
		return false;
	vma.flags |= prctl_merges(space, &vma);
	vma.pgoff = space_pages(space, old_end);
	if (elsewhere_map(space, &vma, HEAP_MAP)) {
		space_uncharge(space, npages);
		return false;
	}
	/* Only the heap itself grows: not what the program has right below its start. */
	if (old_end > space->start_brk)
		vma_place(space, &vma, JOIN_LOWER);
	else
		vma_insert(space, &vma);
	space_count(space, flags, npages);
	if (flags & VAS_VM_LOCKED) {
		space->locked += npages;
		*later = (struct later){old_end, end};
	}
	return true;
}

static int64_t move_break(struct vas *space, uint64_t brk, struct later *later)
{
	uint64_t end = space_align(space, brk), old_end = space_align(space, space->brk);
	uint64_t limit = space->limit[VAS_RLIMIT_DATA].soft;
	bool ok = true;

	if (space->start_brk == 0 || brk < space->start_brk)
		return (int64_t)space->brk;
	if (limit != VAS_RLIM_INFINITY &&
	    add_saturated(brk - space->start_brk, space->data_len) > limit)
		return (int64_t)space->brk;
	if (brk <= space->brk && end < old_end)
		ok = shrink_heap(space, end, old_end);
	else if (brk > space->brk && (end > old_end || end == 0))
		ok = end != 0 && grow_heap(space, old_end, end, later);
	if (ok)
		space->brk = brk;
	return (int64_t)space->brk;
}

int64_t vas_brk(struct vas *space, uint64_t brk)
{
	uint64_t refusals = group_refusals(space->group);
	struct later later = {0, 0};
	int64_t result;

	do {
		space_lock(space);
		result = move_break(space, brk, &later);
		space_unlock(space);
	} while ((uint64_t)result != brk && group_ask(space->group, space, &refusals));
	if (later.start < later.end)
		fault_populate(space, later, TO_ITS_END);
	return result;
}
