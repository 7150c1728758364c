/* mremap.c - mremap(2): grow, shrink and move a mapping by moving page-table entries.
 *
 * A call is checked, classified, and carried out for one vma; a move that keeps its size
 * (MREMAP_FIXED, since Linux 6.17) does so for each vma of the range in turn. "Placed" means that
 * new_addr counts: FIXED or DONTUNMAP.
 *
 * Linux's order of checks and effects is visible (errno, what a late error leaves behind) and is
 * kept here step by step; the cases under tests/cases/mremap show each.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* Taken off an error that leaves something changed: the call cannot be made again. */
#define LATE ((int64_t)1 << 32)

/* One remapping of one vma. The lengths are whole pages. */
struct remap {
	struct vas *space;
	uint64_t old, old_len;
	uint64_t new, new_len; /* new: where to, once decided */
	uint64_t flags;
	bool equal;         /* the sizes, as this version compares them */
	bool shrinks;       /* new_len < old_len, */
	uint64_t delta;     /* and their difference in pages, as the call asked for them */
	struct vma vma;     /* the vma that holds `old` */
	struct later later; /* locked memory that it has grown by */
};

static bool is_placed(const struct remap *r)
{
	return r->flags & (VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP);
}

/* ---- Checks --------------------------------------------------------------------------------- */

static bool has_overlap(const struct remap *r)
{
	return r->old + r->old_len > r->new && r->new + r->new_len > r->old;
}

static uint64_t known_flags(const struct vas *space)
{
	return VAS_MREMAP_MAYMOVE | (linux_mremap_fixed(space) ? VAS_MREMAP_FIXED : 0) |
	       (linux_mremap_dontunmap(space) ? VAS_MREMAP_DONTUNMAP : 0);
}

/* What can be said without looking at the space, nor at the new address. */
static int64_t check_arguments(const struct remap *r)
{
	const struct vas *space = r->space;

	if ((r->flags & ~known_flags(space)) || !space_is_aligned(space, r->old) || r->new_len == 0)
		return -VAS_EINVAL;
	if (r->new_len > vas_task_size(space) && linux_mremap_moves_many(space))
		return -VAS_EINVAL;
	if (is_placed(r) && !(r->flags & VAS_MREMAP_MAYMOVE))
		return -VAS_EINVAL;
	return (r->flags & VAS_MREMAP_DONTUNMAP) && !r->equal ? -VAS_EINVAL : 0;
}

/* A move may split the source twice and the target twice: refused while that might fail. */
static bool has_room_for_vmas(const struct remap *r)
{
	const struct vas *space = r->space;
	uint64_t count = space->tree.count, limit = space->system->settings.max_map_count;

	if (linux_mremap_wants_four(space))
		return count + 4 <= limit;
	return !is_placed(r) || !linux_mremap_counts_first(space) || count + 2 + 3 < limit;
}

static int64_t check_target(const struct remap *r)
{
	const struct vas *space = r->space;
	uint64_t task_size = vas_task_size(space);

	if (is_placed(r) && (r->new_len > task_size || r->new > task_size - r->new_len ||
	                     !space_is_aligned(space, r->new) || has_overlap(r)))
		return -VAS_EINVAL;
	return has_room_for_vmas(r) ? 0 : -VAS_ENOMEM;
}

/* Growing (or cutting while moving): the limits. */
static int64_t check_resize(const struct remap *r)
{
	uint64_t npages = r->delta, pgoff = vma_pgoff(r->space, &r->vma, r->old);

	if (pgoff + space_pages(r->space, r->new_len) < pgoff)
		return -VAS_EINVAL;
	if (r->vma.flags & (VAS_VM_DONTEXPAND | VAS_VM_PFNMAP))
		return -VAS_EFAULT;
	if ((r->vma.flags & VAS_VM_LOCKED) &&
	    (!space_can_lock_pages(r->space, npages) || !linux_locked_memory_grows(r->space)))
		return -VAS_EAGAIN;
	if (!space_can_expand(r->space, r->vma.flags, npages))
		return -VAS_ENOMEM;
	return 0;
}

/* Whether DONTUNMAP may leave such a vma behind. */
static bool can_stay_mapped(const struct vas *space, const struct vma *vma)
{
	if (vma->flags & (VAS_VM_DONTEXPAND | VAS_VM_PFNMAP))
		return false;
	return linux_dontunmap_files(space) || (!vma->file && !(vma->flags & VAS_VM_SHARED));
}

/* Whether the vma may be remapped so at all. */
static int64_t check_vma(const struct remap *r)
{
	uint64_t in_vma = r->new_len < r->old_len ? r->new_len : r->old_len;

	if (r->old_len == 0 && !(r->vma.flags & VAS_VM_MAYSHARE) &&
	    linux_duplicates_only_shared(r->space))
		return -VAS_EINVAL;
	if ((r->flags & VAS_MREMAP_DONTUNMAP) && !can_stay_mapped(r->space, &r->vma))
		return -VAS_EINVAL;
	if (in_vma > r->vma.end - r->old)
		return -VAS_EFAULT;
	return r->new_len > r->old_len ? check_resize(r) : 0;
}

/* ---- In place ------------------------------------------------------------------------------- */

static int64_t shrink(struct remap *r)
{
	int64_t err = 0;

	if (r->new_len < r->old_len)
		err = munmap_range(r->space, r->old + r->new_len, r->old_len - r->new_len);
	return err ? err : (int64_t)r->old;
}

static bool can_grow_in_place(const struct remap *r)
{
	const struct vma *vma = &r->vma;
	uint64_t end = vma->end + (r->new_len - r->old_len);
	struct place whole = {.hint = vma->start, .len = end - vma->start, .fixed = true};
	struct vma next;

	if (r->old_len == 0 || r->old + r->old_len != vma->end || end <= vma->end)
		return false;
	if (vma_from(r->space, vma->end, &next) && next.start < end)
		return false;
	return space_place(r->space, &whole) >= 0;
}

/* Pages that are elsewhere, moved or grown by who has them. Nobody tells which of them were
 * written: what moves counts as written. */
static int64_t remap_elsewhere(struct remap *r)
{
	struct vas_move move = {
		.old_addr = r->old,
		.old_len = r->old_len,
		.new_addr = r->new,
		.new_len = r->new_len,
		.keep = r->flags & VAS_MREMAP_DONTUNMAP,
		.chosen = !(r->flags & VAS_MREMAP_FIXED),
	};
	bool part = linux_dontunmap_renews(r->space);
	int64_t err;

	if (!space_is_elsewhere(r->space))
		return 0;
	if (move.keep) {
		move.unlock_start = part ? r->old : r->vma.start;
		move.unlock_end = part ? r->old + r->old_len : r->vma.end;
	}
	err = elsewhere_move(r->space, &r->vma, &move);
	if (!err && r->new != r->old && r->old_len > 0 && !(r->vma.flags & VAS_VM_SHARED))
		vma_touch(r->space, &r->vma);
	return err;
}

static int64_t grow_in_place(struct remap *r)
{
	struct vas *space = r->space;
	uint64_t end = r->vma.end, npages = r->delta, flags = r->vma.flags;
	int64_t err;

	if ((flags & VAS_VM_ACCOUNT) && !space_charge(space, npages))
		return -VAS_ENOMEM;
	r->new = r->old;
	err = remap_elsewhere(r);
	if (err) {
		if (flags & VAS_VM_ACCOUNT)
			space_uncharge(space, npages);
		return err;
	}
	vma_extend(space, &r->vma, end + (r->new_len - r->old_len));
	space_count(space, flags, npages);
	if (flags & VAS_VM_LOCKED) {
		space->locked += npages;
		r->later = (struct later){end, r->old + r->new_len};
	}
	return (int64_t)r->old;
}

/* ---- Moving --------------------------------------------------------------------------------- */

/* Where the mapping goes: where mmap would put it, at the hint, or at the fixed address. */
static int64_t choose_target(struct remap *r)
{
	struct place place = {
		.hint = is_placed(r) ? r->new : 0,
		.len = r->new_len,
		.fixed = r->flags & VAS_MREMAP_FIXED,
		.shared = r->vma.flags & VAS_VM_MAYSHARE,
		.file = r->vma.file,
		.level = vma_level(&r->vma),
		.offset = vma_pgoff(r->space, &r->vma, r->old) * space_page_size(r->space),
		.from = r->old,
		.from_len = r->old_len,
	};
	int64_t addr = space_place(r->space, &place);

	if (addr < 0)
		return addr;
	r->new = (uint64_t)addr;
	return 0;
}

/* Commit charge of what the move adds; a shrinking one must find room for what it has cut off,
 * which Linux then forgets to give back (docs/differences.md). */
static uint64_t move_charge(const struct remap *r)
{
	if (!(r->vma.flags & VAS_VM_ACCOUNT) ||
	    (r->shrinks && linux_shrinking_move_is_free(r->space)))
		return 0;
	return r->flags & VAS_MREMAP_DONTUNMAP ? space_pages(r->space, r->new_len) : r->delta;
}

static bool charge_move(const struct remap *r)
{
	if (!space_charge(r->space, move_charge(r)))
		return false;
	if (r->shrinks)
		space_uncharge(r->space, move_charge(r));
	return true;
}

static void uncharge_move(const struct remap *r)
{
	if (!r->shrinks)
		space_uncharge(r->space, move_charge(r));
}

/* The tables of the target are made, and room for the vmas: the rest cannot fail. */
static bool prepare_move(struct remap *r)
{
	struct vas *space = r->space;

	return space_reserve(space) && space_split_at(space, r->old, r->old + r->old_len) &&
	       space_split_at(space, r->new, r->new + r->new_len) &&
	       pagemap_prepare_move(&space->pages, r->old, r->new, r->old_len);
}

/* A target joins the source that it leaves behind only where that is not as if mapped anew. */
static unsigned target_joins(const struct remap *r)
{
	if (!(r->flags & VAS_MREMAP_DONTUNMAP) || !linux_dontunmap_renews(r->space))
		return JOIN_BOTH;
	return (r->new == r->vma.end ? 0 : JOIN_LOWER) |
	       (r->new + r->new_len == r->vma.start ? 0 : JOIN_UPPER);
}

/* The vma at the target. Anonymous memory that was never written takes the page offset of its new
 * place, as if mapped there; everything else keeps its own. */
static void place_target(struct remap *r)
{
	struct vas *space = r->space;
	struct vma vma = r->vma;

	vma.start = r->new;
	vma.end = r->new + r->new_len;
	vma.pgoff = vma_pgoff(space, &r->vma, r->old);
	if (!vma.file && !vma.anon)
		vma.pgoff = space_pages(space, r->new);
	if (vma.file)
		file_get(vma.file);
	space_count(space, vma.flags, space_pages(space, r->new_len));
	if (vma.flags & VAS_VM_LOCKED)
		space->locked += space_pages(space, r->new_len);
	vma_place(space, &vma, target_joins(r) | JOIN_MOVED);
}

/* No userfaultfd here asks for the event of a move, so what has moved is not watched any more; but
 * it was while it was placed, and has joined nothing. */
static void unwatch_target(struct remap *r)
{
	struct vma target;

	if (!(r->vma.flags & VAS_VM_UFFD) || !vma_seek(r->space, r->new, &target))
		return;
	target.flags &= ~VAS_VM_UFFD;
	vma_replace(r->space, target.start, &target);
}

/* All of the source loses its locks, even if only a part moved; with an error of Linux's counter
 * (struct vas_settings leak_locked). */
static void unlock_source(struct remap *r, struct vma *source)
{
	struct vas *space = r->space;
	uint64_t npages = vma_pages(space, source);

	if (source->flags & VAS_VM_LOCKED) {
		space->locked -= npages;
		if (!linux_dontunmap_leaks_locked(space))
			npages -= space_pages(space, r->old_len);
		if (space->system->settings.leak_locked)
			space->leaked += npages;
	}
	source->flags &= ~(uint64_t)VMA_LOCKS;
}

/* DONTUNMAP: the source stays, empty. If all of it moved it counts as never written. */
static void leave_source(struct remap *r)
{
	struct vas *space = r->space;
	struct vma source;
	bool whole;

	if (!vma_seek(space, r->old, &source))
		return;
	whole = source.start == r->old && source.end == r->old + r->old_len;
	unlock_source(r, &source);
	if (whole && linux_dontunmap_forgets(space))
		source.anon = 0;
	if ((source.flags & VAS_VM_ACCOUNT) && linux_dontunmap_takes_charge(space)) {
		space_uncharge(space, vma_pages(space, &source));
		source.flags &= ~(uint64_t)VAS_VM_ACCOUNT;
	}
	vma_replace(space, source.start, &source);
}

/* DONTUNMAP, where locks are taken off the source alone, which splits it from the rest; a source
 * that is a vma of its own is then as if unmapped and mapped anew, though it joins nothing. */
static void renew_source(struct remap *r)
{
	struct vas *space = r->space;
	struct vma source;

	if (r->vma.flags & VMA_LOCKS) {
		vma_split(space, r->old);
		vma_split(space, r->old + r->old_len);
	}
	if (!vma_seek(space, r->old, &source) || source.start != r->old ||
	    source.end != r->old + r->old_len)
		return;
	if (source.flags & VAS_VM_LOCKED)
		space->locked -= vma_pages(space, &source);
	source.flags &= ~(uint64_t)VMA_LOCKS;
	source.anon = 0;
	if (!source.file)
		source.pgoff = space_pages(space, source.start);
	vma_replace(space, source.start, &source);
}

/* The reserve of huge pages has moved along too. */
static void disown_source(const struct remap *r)
{
	struct vma vma;

	if (!vma_seek(r->space, r->old, &vma))
		return;
	vma.flags &= ~(uint64_t)VAS_VM_HUGE_OWNER;
	vma_replace(r->space, vma.start, &vma);
}

/* The source goes. Its charge has moved along, so what unmapping gives back is taken first. */
static void drop_source(struct remap *r)
{
	struct vas *space = r->space;
	struct unmap source = {
		.space = space,
		.start = r->old,
		.end = r->old + r->old_len,
		.mapped = r->old_len > 0,
		.absent = true, /* they have moved */
	};

	if (r->vma.flags & VAS_VM_ACCOUNT)
		space_recharge(space, space_pages(space, r->old_len));
	if (r->vma.flags & VAS_VM_HUGE_OWNER) {
		munmap_split(&source);
		disown_source(r);
	}
	munmap_commit(&source);
}

static int64_t move(struct remap *r)
{
	struct vas *space = r->space;
	bool whole = r->old == r->vma.start && r->old_len == vma_len(&r->vma);
	uint64_t peak = space->peak;
	int64_t err;

	if (space->tree.count + (linux_mremap_wants_four(space) ? 1 : 3) >=
	    space->system->settings.max_map_count)
		return -VAS_ENOMEM;
	if ((r->vma.flags & VAS_VM_SPECIAL) && !whole)
		return -VAS_EINVAL;
	if (!charge_move(r))
		return -VAS_ENOMEM;
	err = prepare_move(r) ? remap_elsewhere(r) : -VAS_ENOMEM;
	if (err) {
		uncharge_move(r);
		return err;
	}
	place_target(r);
	unwatch_target(r);
	pagemap_move(&space->pages, r->old, r->new, r->old_len);
	gather_close(&space->gather);
	if (!(r->flags & VAS_MREMAP_DONTUNMAP))
		drop_source(r);
	else if (linux_dontunmap_renews(space))
		renew_source(r);
	else
		leave_source(r);
	space->peak = max_u64(peak, space->size); /* both ends at once were only our way there */
	if ((r->vma.flags & VAS_VM_LOCKED) && r->new_len > r->old_len)
		r->later = (struct later){r->new + r->old_len, r->new + r->new_len};
	return (int64_t)r->new;
}

/* FIXED or DONTUNMAP: makes room at the target, cuts the tail, then moves. From here on an error
 * leaves behind what was done before it. */
static int64_t move_placed(struct remap *r)
{
	struct vas *space = r->space;
	int64_t err = linux_mremap_moves_many(space) ? check_vma(r) : 0;

	if (!err && (r->flags & VAS_MREMAP_FIXED))
		err = munmap_range(space, r->new, r->new_len);
	if (!err && linux_mremap_looks_first(space) && !vma_seek(space, r->old, &r->vma))
		err = -VAS_EFAULT;
	if (!err && r->old_len > r->new_len) {
		err = munmap_range(space, r->old + r->new_len, r->old_len - r->new_len);
		r->old_len = r->new_len;
	}
	if (!err && !vma_seek(space, r->old, &r->vma))
		err = -VAS_EFAULT;
	if (!err && !linux_mremap_looks_first(space) && (r->vma.flags & VAS_VM_HUGETLB))
		err = -VAS_EINVAL;
	if (!err && !linux_mremap_moves_many(space))
		err = check_vma(r);
	if (!err && (r->flags & VAS_MREMAP_DONTUNMAP) &&
	    !space_can_expand(space, r->vma.flags, space_pages(space, r->old_len)))
		err = -VAS_ENOMEM;
	if (!err)
		err = choose_target(r);
	return err ? err : move(r);
}

static int64_t grow(struct remap *r)
{
	int64_t err;

	if (can_grow_in_place(r))
		return grow_in_place(r);
	if (!(r->flags & VAS_MREMAP_MAYMOVE))
		return -VAS_ENOMEM;
	err = choose_target(r);
	return err ? err : move(r);
}

/* ---- The call ------------------------------------------------------------------------------- */

/* Huge pages move whole and never grow. Linux looks at new_addr here even if it does not count. */
static int64_t check_hugetlb(struct remap *r)
{
	uint64_t size = format_span(r->space->system->format, vma_level(&r->vma));

	if (!(r->vma.flags & VAS_VM_HUGETLB))
		return 0;
	if (!linux_mremap_hugetlb(r->space))
		return -VAS_EINVAL;
	r->old_len = align_up(r->old_len, size);
	r->new_len = align_up(r->new_len, size);
	if (!is_aligned(r->old | r->new, size) || r->new_len > r->old_len)
		return -VAS_EINVAL;
	return 0;
}

static void note_sizes(struct remap *r)
{
	r->shrinks = r->new_len < r->old_len;
	r->delta = space_pages(r->space,
	                       r->shrinks ? r->old_len - r->new_len : r->new_len - r->old_len);
}

static int64_t remap_one(struct remap *r)
{
	bool first = linux_mremap_looks_first(r->space);
	int64_t err = 0;

	note_sizes(r);
	if (!first && (is_placed(r) || r->new_len <= r->old_len))
		return is_placed(r) ? move_placed(r) : shrink(r);
	if (!vma_seek(r->space, r->old, &r->vma))
		return -VAS_EFAULT;
	if (r->vma.flags & VAS_VM_SEALED)
		return -VAS_EPERM;
	err = check_hugetlb(r);
	if (!err && !linux_mremap_checks_first(r->space))
		err = check_target(r);
	if (err)
		return err;
	note_sizes(r); /* huge pages have rounded them */
	if (r->new_len <= r->old_len && !is_placed(r))
		return shrink(r);
	if (is_placed(r))
		return move_placed(r);
	err = check_vma(r);
	return err ? err : grow(r);
}

/* A vma that can only be moved by itself. */
static bool is_moved_alone(const struct vma *vma)
{
	return (vma->flags & VAS_VM_UFFD) ||
	       (vma->file && (vma->file->info.mode & VAS_FILE_OWN_AREA));
}

/* Each vma of the range goes to the same distance; gaps stay gaps, and what lies at the target
 * behind a gap stays too. An error leaves the vmas before it moved. */
static int64_t remap_each(const struct remap *r)
{
	uint64_t end = r->old + r->old_len;
	struct vma vma;

	if (!vma_at(r->space, r->old, &vma))
		return -VAS_EFAULT;
	for (uint64_t addr = r->old;
	     addr < end && vma_from(r->space, addr, &vma) && vma.start < end; addr = vma.end) {
		struct remap one = *r;
		int64_t err;

		one.old = max_u64(vma.start, r->old);
		one.old_len = one.new_len = min_u64(vma.end, end) - one.old;
		one.new = r->new + (one.old - r->old);
		if (is_moved_alone(&vma) && (one.old > r->old || vma.end < end))
			return -VAS_EFAULT;
		err = remap_one(&one);
		if (err < 0)
			return one.old > r->old ? err - LATE : err;
	}
	return (int64_t)r->new;
}

static int64_t remap(struct remap *r)
{
	bool many = linux_mremap_moves_many(r->space);
	int64_t err = check_arguments(r);

	if (!err && linux_mremap_checks_first(r->space))
		err = check_target(r);
	if (err)
		return err;
	if (many && (r->flags & VAS_MREMAP_FIXED) && r->old_len == r->new_len)
		return remap_each(r);
	return remap_one(r);
}

static int64_t remap_once(struct vas *space, uint64_t old_addr, uint64_t old_len, uint64_t new_len,
                          uint64_t flags, uint64_t new_addr)
{
	struct remap r = {
		.space = space,
		.old = old_addr,
		.old_len = space_align(space, old_len),
		.new = new_addr,
		.new_len = space_align(space, new_len),
		.flags = flags,
	};
	int64_t result;

	r.equal = linux_mremap_moves_many(space) ? r.old_len == r.new_len : old_len == new_len;
	space_lock(space);
	result = remap(&r);
	space_unlock(space);
	if (r.later.start < r.later.end)
		fault_populate(space, r.later, TO_ITS_END);
	return result;
}

static int64_t without_late(int64_t result)
{
	return result <= -LATE ? result + LATE : result;
}

/* Apart, so that who has no group need not keep the arguments. */
static __attribute__((noinline, cold)) int64_t remap_in_group(struct vas *space, uint64_t old_addr,
                                                              uint64_t old_len, uint64_t new_len,
                                                              uint64_t flags, uint64_t new_addr)
{
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	do
		result = remap_once(space, old_addr, old_len, new_len, flags, new_addr);
	while (result < 0 && result > -LATE && group_ask(space->group, space, &refusals));
	return without_late(result);
}

int64_t vas_mremap(struct vas *space, uint64_t old_addr, uint64_t old_len, uint64_t new_len,
                   uint64_t flags, uint64_t new_addr)
{
	if (space->group)
		return remap_in_group(space, old_addr, old_len, new_len, flags, new_addr);
	return without_late(remap_once(space, old_addr, old_len, new_len, flags, new_addr));
}
