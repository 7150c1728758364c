/* munmap.c - munmap(2), and unmapping for the calls that replace or move.
 *
 *	     start            end
 *	       |               |                      pages go first, all at once; then the vmas:
 *	|AAAAAAAA|  |BBBB| |CCCCCCCCC|                A loses its end, B goes, C loses its start
 *	|AAAAAA|               |CCCCC|
 *
 * Owns the phases (struct unmap): look, reserve, check, commit; after the check nothing can fail.
 * How pages go is the page map's; which object they belonged to is not asked here.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* The phases of struct unmap: what proves that the one before has been. */
struct unmap_ready {
	struct unmap u;
};

struct unmap_checked {
	struct unmap u;
};

static struct unmap_ready *ready_if(struct unmap *u, bool ok)
{
	return ok ? (struct unmap_ready *)u : NULL;
}

void munmap_look(struct unmap *u, struct vas *space, uint64_t start, uint64_t end)
{
	space_assert_locked(space);
	*u = (struct unmap){.space = space, .start = start, .end = end};
	u->mapped = space_has_vma(space, start, end);
}

struct unmap_ready *munmap_reserve(struct unmap *u)
{
	space_assert_locked(u->space);
	u->absent = !u->mapped || pagemap_is_empty(&u->space->pages, u->start, u->end);
	return ready_if(u, space_reserve(u->space) &&
	                           (u->absent || space_split_at(u->space, u->start, u->end)));
}

struct unmap_ready *munmap_reserve_alone(struct unmap *u)
{
	struct vas *space = u->space;

	u->absent = !u->mapped || pagemap_is_empty(&space->pages, u->start, u->end);
	return ready_if(u, space_reserve_to_free(space, u->start, u->end) &&
	                           (u->absent || space_split_to_free(space, u->start, u->end)));
}

/* What Linux looks at before it splits the vma that `start` lies inside of. */
static int64_t check_first(const struct unmap *u, const struct vma *vma)
{
	if (u->end < vma->end && space_is_full(u->space))
		return -VAS_ENOMEM;
	if (vma->flags & VAS_VM_SEALED)
		return -VAS_EPERM;
	return vma_check_split(u->space, vma, u->start);
}

static int64_t check_each(const struct unmap *u, const struct vma *vma)
{
	if (vma->flags & VAS_VM_SEALED)
		return -VAS_EPERM;
	return u->end < vma->end ? vma_check_split(u->space, vma, u->end) : 0;
}

int64_t munmap_check(struct unmap_ready *ready, const struct unmap_checked **checked)
{
	struct unmap *u = &ready->u;
	struct vas *space = u->space;
	struct vma vma;
	int64_t err;

	space_assert_locked(u->space);
	for (uint64_t addr = u->start;
	     addr < u->end && vma_from(space, addr, &vma) && vma.start < u->end; addr = vma.end) {
		uint64_t start = max_u64(vma.start, addr), end = min_u64(vma.end, u->end);

		err = vma.start < addr ? check_first(u, &vma) : 0;
		if (err)
			return err;
		err = check_each(u, &vma);
		if (err) {
			vma_split(space, u->start);
			return err;
		}
		u->huge |= vma_level(&vma) > 0;
		u->nvmas++;
		u->npages += space_pages(space, end - start);
		if (vma.flags & VAS_VM_ACCOUNT)
			u->charged += space_pages(space, end - start);
	}
	*checked = (const struct unmap_checked *)u;
	return 0;
}

uint64_t munmap_pages(const struct unmap *u)
{
	uint64_t npages = 0;
	struct vma vma;

	for (uint64_t addr = u->start;
	     addr < u->end && vma_from(u->space, addr, &vma) && vma.start < u->end; addr = vma.end)
		npages += space_pages(u->space,
		                      min_u64(vma.end, u->end) - max_u64(vma.start, addr));
	return npages;
}

const struct unmap_checked *munmap_moved(struct unmap *u, struct vas *space, uint64_t start,
                                         uint64_t end)
{
	*u = (struct unmap){.space = space, .start = start, .end = end, .absent = true};
	u->mapped = start < end;
	return (const struct unmap_checked *)u;
}

void munmap_split(const struct unmap_checked *checked)
{
	vma_split(checked->u.space, checked->u.start);
	vma_split(checked->u.space, checked->u.end);
}

/* Takes pages of a vma out of the counters. */
static void discount_pages(struct vas *space, const struct vma *vma, uint64_t npages)
{
	space_discount(space, vma->flags, npages);
	if (vma->flags & VAS_VM_LOCKED)
		space->locked -= npages;
	if (vma->flags & VAS_VM_ACCOUNT)
		space_uncharge(space, npages);
}

/* The reserve of huge pages shrinks by what was mapped and is not present, while that is known. */
static void give_up_reserve(const struct unmap *u)
{
	struct vas *space = u->space;
	struct vma vma;

	for (uint64_t addr = u->start;
	     addr < u->end && vma_from(space, addr, &vma) && vma.start < u->end; addr = vma.end)
		huge_unmap(space, &vma, max_u64(vma.start, u->start), min_u64(vma.end, u->end),
		           HUGE_UNMAP);
}

#define VMAS_AT_ONCE 256u

/* Where the vmas end that are unmapped before others get in. */
static uint64_t part_end(const struct unmap *u, uint64_t start)
{
	struct vma vma = {.end = start};

	for (unsigned n = 0; u->nvmas > VMAS_AT_ONCE && n < VMAS_AT_ONCE; n++) {
		if (!vma_from(u->space, vma.end, &vma) || vma.end >= u->end)
			return u->end;
	}
	return u->nvmas > VMAS_AT_ONCE ? vma.end : u->end;
}

/* The pages go all at once: the range was cut at its ends, or has a border of vmas there, and a
 * table that fork shared may reach over the border of two vmas within it. They go before the vmas,
 * whose files are written back when they are put for the last time: nobody writes to them then. */
static void commit_part(const struct unmap *u, uint64_t first, uint64_t last, bool absent)
{
	struct vas *space = u->space;
	struct vma vma;

	if (!absent) {
		pagemap_clear(&space->pages, first, last);
		gather_flush(&space->gather);
		space_restock(space);
	}
	for (uint64_t addr = first;
	     addr < last && vma_seek_from(space, addr, &vma) && vma.start < last; addr = vma.end) {
		uint64_t start = max_u64(vma.start, first), end = min_u64(vma.end, last);

		discount_pages(space, &vma, space_pages(space, end - start));
		vma_cut(space, &vma, start, end);
	}
}

void munmap_commit(const struct unmap_checked *checked)
{
	const struct unmap *u = &checked->u;
	struct vas *space = u->space;
	struct hollow_ends ends;
	bool absent = u->absent;
	uint64_t end;

	space_assert_locked(u->space);
	if (u->huge)
		give_up_reserve(u);
	if (!absent)
		hollow_watch(space, u->start, u->end, &ends);
	for (uint64_t start = u->start; start < u->end; start = end) {
		end = part_end(u, start);
		commit_part(u, start, end, absent);
		if (end < u->end && space_pause(space, PAUSE_AFTER))
			absent = false; /* visitors may have faulted in the rest */
	}
	if (!u->absent)
		hollow_note(space, &ends);
	hollow_unmapped(space, u->start, u->end);
}

static int64_t unmap(struct unmap *u)
{
	struct unmap_ready *ready = munmap_reserve_alone(u);
	const struct unmap_checked *checked;
	int64_t err;

	if (!ready)
		return -VAS_ENOMEM;
	err = munmap_check(ready, &checked);
	if (err)
		return err;
	err = elsewhere_unmap(u->space, u->start, u->end);
	if (!err)
		munmap_commit(checked);
	return err;
}

int64_t munmap_mapped(struct vas *space, uint64_t start, uint64_t end)
{
	struct unmap u = {.space = space, .start = start, .end = end, .mapped = true};

	space_assert_locked(space);
	return unmap(&u);
}

int64_t munmap_range(struct vas *space, uint64_t start, uint64_t len)
{
	uint64_t task_size = vas_task_size(space);
	struct unmap u;

	if (!space_is_aligned(space, start) || start > task_size || len > task_size - start)
		return -VAS_EINVAL;
	len = space_align(space, len);
	if (len == 0)
		return -VAS_EINVAL;
	munmap_look(&u, space, start, start + len);
	return u.mapped ? unmap(&u) : 0;
}

static int64_t unmap_once(struct vas *space, uint64_t addr, uint64_t len)
{
	int64_t result;

	space_lock(space);
	result = munmap_range(space, addr, len);
	space_unlock(space);
	return result;
}

/* Apart, so that who has no group need not keep the arguments. */
static RARELY int64_t unmap_in_group(struct vas *space, uint64_t addr, uint64_t len)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do
		result = unmap_once(space, addr, len);
	while (result < 0 && group_ask(space->group, space, &refusals));
	return result;
}

int64_t vas_munmap(struct vas *space, uint64_t addr, uint64_t len)
{
	return space->group ? unmap_in_group(space, addr, len) : unmap_once(space, addr, len);
}
