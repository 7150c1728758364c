/* mremap.c - mremap(2): grow, shrink and move a mapping by moving page-table entries.
 *
 *	SHRINK  |AAAAAA|                ->  |AAAA|
 *	GROW    |AAAA|                  ->  |AAAAAA|                    if there is room, else
 *	MOVE    |AAAA|       |BB|       ->           |AAAA|             (GROW too, where mmap would)
 *
 * A request is checked, classified, and carried out for one vma; a move that keeps its size
 * (MREMAP_FIXED, since Linux 6.17) does so for each vma of the range in turn. "Placed" means that
 * new_addr counts: FIXED or DONTUNMAP. Checks change nothing; after prepare_move nothing can fail.
 *
 * Linux's order of checks and effects is visible (errno, what a late error leaves behind) and is
 * kept here step by step; the cases under tests/cases/mremap show each. How entries move is the
 * page map's; which frames they are is not known here.
 *
 * A move of one vma to a hole asks the tree of vmas six times and changes it twice, on three ways
 * down from the root: for the source; for the target, which is asked for twice and whose neighbours
 * are then asked at the tree's position, where the vma is put; and for the source again, to take it
 * out. Another position would save the third; two changes there must be, since they are far apart.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* Taken off an error that leaves something changed: the call cannot be made again. */
#define LATE ((int64_t)1 << 32)

/* What is asked for; it stays as it is. The lengths are whole pages. */
struct request {
	struct vas *space;
	uint64_t old, old_len;
	uint64_t new, new_len;
	uint64_t flags;
	bool equal; /* for DONTUNMAP: the sizes, as this version compares them */
};

/* What has to be done to one vma: classify says which. */
enum remap_kind { SHRINK, GROW, MOVE };

struct plan {
	const struct request *asked;
	struct vas *space;
	uint64_t old, old_len; /* this vma's part, in whole pages of its size */
	uint64_t new, new_len; /* new: where to, once decided */
	enum remap_kind kind;
	bool shrinks;       /* new_len < old_len, */
	uint64_t delta;     /* and their difference in pages, before anything is cut off */
	struct vma vma;     /* the vma that holds `old` */
	struct later later; /* locked memory that it has grown by */
};

static bool is_placed(const struct request *asked)
{
	return asked->flags & (VAS_MREMAP_FIXED | VAS_MREMAP_DONTUNMAP);
}

/* The one place where it is decided what is done. */
static void classify(struct plan *p)
{
	uint64_t len = p->new_len > p->old_len ? p->new_len - p->old_len : p->old_len - p->new_len;

	p->shrinks = p->new_len < p->old_len;
	p->delta = space_pages(p->space, len);
	if (is_placed(p->asked))
		p->kind = MOVE;
	else
		p->kind = p->new_len <= p->old_len ? SHRINK : GROW;
}

/* ---- Checks --------------------------------------------------------------------------------- */

static bool has_overlap(const struct plan *p)
{
	return p->old + p->old_len > p->new && p->new + p->new_len > p->old;
}

static uint64_t known_flags(const struct vas *space)
{
	return VAS_MREMAP_MAYMOVE | (linux_mremap_fixed(space) ? VAS_MREMAP_FIXED : 0) |
	       (linux_mremap_dontunmap(space) ? VAS_MREMAP_DONTUNMAP : 0);
}

/* What can be said without looking at the space, nor at where the new address lies. */
static int64_t check_arguments(const struct request *asked)
{
	const struct vas *space = asked->space;

	if ((asked->flags & ~known_flags(space)) || !space_is_aligned(space, asked->old) ||
	    asked->new_len == 0)
		return -VAS_EINVAL;
	if (asked->new_len > vas_task_size(space) && linux_mremap_moves_many(space))
		return -VAS_EINVAL;
	if (is_placed(asked) && !(asked->flags & VAS_MREMAP_MAYMOVE))
		return -VAS_EINVAL;
	if (is_placed(asked) && !space_is_aligned(space, asked->new) &&
	    linux_mremap_aligns_first(space))
		return -VAS_EINVAL;
	return (asked->flags & VAS_MREMAP_DONTUNMAP) && !asked->equal ? -VAS_EINVAL : 0;
}

/* A move may split the source twice and the target twice: refused while that might fail. */
static bool has_room_for_vmas(const struct plan *p)
{
	const struct vas *space = p->space;
	uint64_t count = space->tree.count, limit = space->system->settings.max_map_count;

	if (linux_mremap_wants_four(space))
		return count + 4 <= limit;
	return !is_placed(p->asked) || !linux_mremap_counts_first(space) || count + 2 + 3 < limit;
}

static int64_t check_target(const struct plan *p)
{
	const struct vas *space = p->space;
	uint64_t task_size = vas_task_size(space);

	if (is_placed(p->asked) && (p->new_len > task_size || p->new > task_size - p->new_len ||
	                            !space_is_aligned(space, p->new) || has_overlap(p)))
		return -VAS_EINVAL;
	return has_room_for_vmas(p) ? 0 : -VAS_ENOMEM;
}

/* Growing (or cutting while moving): the limits. */
static int64_t check_resize(const struct plan *p)
{
	uint64_t npages = p->delta, pgoff = vma_pgoff(p->space, &p->vma, p->old);

	if (pgoff + space_pages(p->space, p->new_len) < pgoff)
		return -VAS_EINVAL;
	if (p->vma.flags & (VAS_VM_DONTEXPAND | VAS_VM_PFNMAP))
		return -VAS_EFAULT;
	if ((p->vma.flags & VAS_VM_LOCKED) &&
	    (!space_can_lock_pages(p->space, npages) || !linux_locked_memory_grows(p->space)))
		return -VAS_EAGAIN;
	if (!space_can_expand(p->space, p->vma.flags, npages))
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
static int64_t check_vma(const struct plan *p)
{
	uint64_t in_vma = p->new_len < p->old_len ? p->new_len : p->old_len;

	if (p->old_len == 0 && !(p->vma.flags & VAS_VM_MAYSHARE) &&
	    linux_duplicates_only_shared(p->space))
		return -VAS_EINVAL;
	if ((p->asked->flags & VAS_MREMAP_DONTUNMAP) && !can_stay_mapped(p->space, &p->vma))
		return -VAS_EINVAL;
	if (in_vma > p->vma.end - p->old)
		return -VAS_EFAULT;
	return p->new_len > p->old_len ? check_resize(p) : 0;
}

/* ---- In place ------------------------------------------------------------------------------- */

static int64_t shrink(struct plan *p)
{
	uint64_t end = p->old + p->old_len, new_end = p->old + p->new_len;
	bool is_known = linux_mremap_looks_first(p->space); /* the vma: it has been found */
	int64_t err = 0;

	if (p->shrinks && is_known && p->old_len <= p->vma.end - p->old)
		err = munmap_mapped(p->space, new_end, end);
	else if (p->shrinks)
		err = munmap_range(p->space, new_end, end - new_end);
	return err ? err : (int64_t)p->old;
}

static bool can_grow_in_place(const struct plan *p)
{
	const struct vma *vma = &p->vma;
	uint64_t end = vma->end + (p->new_len - p->old_len);
	struct vma next;

	if (p->old_len == 0 || p->old + p->old_len != vma->end || end <= vma->end)
		return false;
	if (vma_from(p->space, vma->end, &next) && next.start < end)
		return false;
	return space_check_place(p->space, vma->start, end - vma->start, 0) == 0;
}

/* Pages that are elsewhere, moved or grown by who has them. Nobody tells which of them were
 * written: what moves counts as written. */
static RARELY int64_t move_elsewhere(struct plan *p)
{
	struct vas_move move = {
		.old_addr = p->old,
		.old_len = p->old_len,
		.new_addr = p->new,
		.new_len = p->new_len,
		.keep = p->asked->flags & VAS_MREMAP_DONTUNMAP,
		.chosen = !(p->asked->flags & VAS_MREMAP_FIXED),
	};
	bool part = linux_dontunmap_renews(p->space);
	int64_t err;

	if (move.keep) {
		move.unlock_start = part ? p->old : p->vma.start;
		move.unlock_end = part ? p->old + p->old_len : p->vma.end;
	}
	err = elsewhere_move(p->space, &p->vma, &move);
	if (!err && p->new != p->old && p->old_len > 0 && !(p->vma.flags & VAS_VM_SHARED))
		vma_touch(p->space, &p->vma);
	return err;
}

static inline int64_t remap_elsewhere(struct plan *p)
{
	return space_is_elsewhere(p->space) ? move_elsewhere(p) : 0;
}

static int64_t grow_in_place(struct plan *p)
{
	struct vas *space = p->space;
	uint64_t end = p->vma.end, npages = p->delta, flags = p->vma.flags;
	int64_t err;

	if ((flags & VAS_VM_ACCOUNT) && !space_charge(space, npages))
		return -VAS_ENOMEM;
	p->new = p->old;
	err = remap_elsewhere(p);
	if (err) {
		if (flags & VAS_VM_ACCOUNT)
			space_uncharge(space, npages);
		return err;
	}
	vma_extend(space, &p->vma, end + (p->new_len - p->old_len));
	space_count(space, flags, npages);
	if (flags & VAS_VM_LOCKED) {
		space->locked += npages;
		p->later = (struct later){end, p->old + p->new_len};
	}
	return (int64_t)p->old;
}

/* ---- Moving --------------------------------------------------------------------------------- */

/* Where the mapping goes: where mmap would put it, at the hint, or at the fixed address. */
static int64_t choose_target(struct plan *p)
{
	struct place place = {
		.hint = is_placed(p->asked) ? p->new : 0,
		.len = p->new_len,
		.fixed = p->asked->flags & VAS_MREMAP_FIXED,
		.shared = p->vma.flags & VAS_VM_MAYSHARE,
		.file = p->vma.file,
		.level = vma_level(&p->vma),
		.offset = vma_pgoff(p->space, &p->vma, p->old) * space_page_size(p->space),
		.from = p->old,
		.from_len = p->old_len,
	};
	int64_t addr = space_place(p->space, &place);

	if (addr < 0)
		return addr;
	p->new = (uint64_t)addr;
	return 0;
}

/* Commit charge of what the move adds; a shrinking one must find room for what it has cut off,
 * which Linux then forgets to give back (docs/differences.md). */
static uint64_t move_charge(const struct plan *p)
{
	if (!(p->vma.flags & VAS_VM_ACCOUNT) ||
	    (p->shrinks && linux_shrinking_move_is_free(p->space)))
		return 0;
	return p->asked->flags & VAS_MREMAP_DONTUNMAP ? space_pages(p->space, p->new_len)
	                                              : p->delta;
}

static bool charge_move(const struct plan *p)
{
	if (!space_charge(p->space, move_charge(p)))
		return false;
	if (p->shrinks)
		space_uncharge(p->space, move_charge(p));
	return true;
}

static void uncharge_move(const struct plan *p)
{
	if (!p->shrinks)
		space_uncharge(p->space, move_charge(p));
}

/* The tables of the target are made, and room for the vmas: the rest cannot fail. */
static bool prepare_move(struct plan *p)
{
	struct vas *space = p->space;

	return (space->pages.stock.open || space_reserve(space)) &&
	       space_split_at(space, p->old, p->old + p->old_len) &&
	       space_split_at(space, p->new, p->new + p->new_len) &&
	       pagemap_prepare_move(&space->pages, p->old, p->new, p->old_len);
}

/* A target joins the source that it leaves behind only where that is not as if mapped anew. The
 * source is all of its vma, or what moves if it is split off to lose its locks. */
static unsigned target_joins(const struct plan *p)
{
	bool alone = p->vma.flags & VMA_LOCKS;
	uint64_t start = alone ? p->old : p->vma.start;
	uint64_t end = alone ? p->old + p->old_len : p->vma.end;
	unsigned above = p->new == end ? JOIN_LOWER : 0;
	unsigned below = p->new + p->new_len == start ? JOIN_UPPER : 0;

	if (!(p->asked->flags & VAS_MREMAP_DONTUNMAP) || !linux_dontunmap_renews(p->space))
		return JOIN_BOTH;
	if (linux_dontunmap_joins_others(p->space))
		return JOIN_BOTH & ~(above | below);
	return JOIN_BOTH | (above ? JOIN_NOT_LOWER : 0) | (below ? JOIN_NOT_UPPER : 0);
}

/* The vma at the target. Anonymous memory that was never written takes the page offset of its new
 * place, as if mapped there; everything else keeps its own. */
static void place_target(struct plan *p)
{
	struct vas *space = p->space;
	struct vma vma = p->vma;

	vma.start = p->new;
	vma.end = p->new + p->new_len;
	vma.pgoff = vma_pgoff(space, &p->vma, p->old);
	if (!vma.file && !vma.anon)
		vma.pgoff = space_pages(space, p->new);
	if (vma.file)
		file_get(vma.file);
	space_count(space, vma.flags, space_pages(space, p->new_len));
	if (vma.flags & VAS_VM_LOCKED)
		space->locked += space_pages(space, p->new_len);
	vma_place(space, &vma, target_joins(p) | JOIN_MOVED);
}

/* No userfaultfd here asks for the event of a move, so what has moved is not watched any more; but
 * it was while it was placed, and has joined nothing. */
static void unwatch_target(struct plan *p)
{
	struct vma target;

	if (!(p->vma.flags & VAS_VM_UFFD) || !vma_seek(p->space, p->new, &target))
		return;
	target.flags &= ~VAS_VM_UFFD;
	vma_replace(p->space, target.start, &target);
}

/* All of the source loses its locks, even if only a part moved; with an error of Linux's counter
 * (struct vas_settings leak_locked). */
static void unlock_source(struct plan *p, struct vma *source)
{
	struct vas *space = p->space;
	uint64_t npages = vma_pages(space, source);

	if (source->flags & VAS_VM_LOCKED) {
		space->locked -= npages;
		if (!linux_dontunmap_leaks_locked(space))
			npages -= space_pages(space, p->old_len);
		if (space->system->settings.leak_locked)
			space->leaked += npages;
	}
	source->flags &= ~(uint64_t)VMA_LOCKS;
}

/* DONTUNMAP: the source stays, empty. If all of it moved it counts as never written. */
static void leave_source(struct plan *p)
{
	struct vas *space = p->space;
	struct vma source;
	bool whole;

	if (!vma_seek(space, p->old, &source))
		return;
	whole = source.start == p->old && source.end == p->old + p->old_len;
	unlock_source(p, &source);
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
static void renew_source(struct plan *p)
{
	struct vas *space = p->space;
	struct vma source;

	if (p->vma.flags & VMA_LOCKS) {
		vma_split(space, p->old);
		vma_split(space, p->old + p->old_len);
	}
	if (!vma_seek(space, p->old, &source) || source.start != p->old ||
	    source.end != p->old + p->old_len)
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
static void disown_source(const struct plan *p)
{
	struct vma vma;

	if (!vma_seek(p->space, p->old, &vma))
		return;
	vma.flags &= ~(uint64_t)VAS_VM_HUGE_OWNER;
	vma_replace(p->space, vma.start, &vma);
}

/* The source goes. Its charge has moved along, so what unmapping gives back is taken first. */
static void drop_source(struct plan *p)
{
	struct vas *space = p->space;
	const struct unmap_checked *moved;
	struct unmap source;

	moved = munmap_moved(&source, space, p->old, p->old + p->old_len);
	if (p->vma.flags & VAS_VM_ACCOUNT)
		space_recharge(space, space_pages(space, p->old_len));
	if (p->vma.flags & VAS_VM_HUGE_OWNER) {
		munmap_split(moved);
		disown_source(p);
	}
	munmap_commit(moved);
}

/* Pages go where the target has been placed already. What takes long is a move out of step with
 * the tables: it is made in parts, while whoever faults at either end waits. */
static void move_pages(struct plan *p)
{
	struct vas *space = p->space;
	uint64_t span = format_span(space->system->format, 1), shift = p->new - p->old;
	struct page_parts parts = {
		.end = p->old,
		.last = p->old + p->old_len,
		.at_once = is_aligned(shift, span) || space->pages.software ? ~(uint64_t)0
	                                                                    : span * 32,
	};

	space->moving[0] = (struct moving){p->old, p->old_len};
	space->moving[1] = (struct moving){p->new, p->new_len};
	while (space_next_part(space, &parts)) {
		pagemap_move(&space->pages, parts.start, parts.start + shift,
		             parts.end - parts.start);
		if (parts.end < parts.last)
			space_pause(space, PAUSE_AFTER);
	}
}

static int64_t move(struct plan *p)
{
	struct vas *space = p->space;
	bool whole = p->old == p->vma.start && p->old_len == vma_len(&p->vma);
	struct hollow_ends ends;
	uint64_t peak = space->peak;
	int64_t err;

	if (space->tree.count + (linux_mremap_wants_four(space) ? 1 : 3) >=
	    space->system->settings.max_map_count)
		return -VAS_ENOMEM;
	if ((p->vma.flags & VAS_VM_SPECIAL) && !whole)
		return -VAS_EINVAL;
	if (!charge_move(p))
		return -VAS_ENOMEM;
	err = prepare_move(p) ? remap_elsewhere(p) : -VAS_ENOMEM;
	if (err) {
		uncharge_move(p);
		return err;
	}
	place_target(p);
	unwatch_target(p);
	hollow_watch(space, p->old, p->old + p->old_len, &ends);
	hollow_move(space, p->old, p->new, p->old_len, p->asked->flags & VAS_MREMAP_DONTUNMAP);
	move_pages(p);
	gather_flush(&space->gather);
	if (!(p->asked->flags & VAS_MREMAP_DONTUNMAP))
		drop_source(p);
	else if (linux_dontunmap_renews(space))
		renew_source(p);
	else
		leave_source(p);
	hollow_moved(space, p->old, p->new, &ends);
	space->peak = max_u64(peak, space->size); /* both ends at once were only our way there */
	if ((p->vma.flags & VAS_VM_LOCKED) && p->new_len > p->old_len)
		p->later = (struct later){p->new + p->old_len, p->new + p->new_len};
	return (int64_t)p->new;
}

/* Whether what is unmapped to make room may be part of the vma that holds the source: the rest of
 * it is another vma then.
 *
 *	|      vma            |            |      vma            |
 *	  |src|     |target|                     |src|         |target|  */
static bool reaches_into_vma(const struct plan *p)
{
	return p->new < p->vma.end && p->vma.start < p->new + p->new_len;
}

/* What has been cut off, or unmapped to make room, may have changed the vma. */
static int64_t find_again(struct plan *p)
{
	return vma_seek(p->space, p->old, &p->vma) ? 0 : -VAS_EFAULT;
}

/* Unmaps what is at the target, and what the source has too much of. */
static int64_t make_way(struct plan *p)
{
	bool first = linux_mremap_looks_first(p->space), again = !first;
	int64_t err;

	if (p->asked->flags & VAS_MREMAP_FIXED) {
		again |= reaches_into_vma(p);
		p->space->moving[0] = (struct moving){p->vma.start, vma_len(&p->vma)};
		err = munmap_range(p->space, p->new, p->new_len);
		if (!err && first && again)
			err = find_again(p);
		if (err)
			return err;
	}
	if (p->old_len > p->new_len) {
		err = munmap_range(p->space, p->old + p->new_len, p->old_len - p->new_len);
		if (err)
			return err;
		p->old_len = p->new_len;
		again = true;
	}
	return again ? find_again(p) : 0;
}

/* FIXED or DONTUNMAP: makes room at the target, cuts the tail, then moves. From there on an error
 * leaves behind what was done before it; want of memory is none. */
static int64_t unmap_and_move(struct plan *p)
{
	struct vas *space = p->space;
	int64_t err = linux_mremap_moves_many(space) ? check_vma(p) : 0;

	if (err)
		return err;
	err = make_way(p);
	if (err)
		return err;
	if (!linux_mremap_looks_first(space) && (p->vma.flags & VAS_VM_HUGETLB))
		return -VAS_EINVAL;
	err = linux_mremap_moves_many(space) ? 0 : check_vma(p);
	if (err)
		return err;
	if ((p->asked->flags & VAS_MREMAP_DONTUNMAP) &&
	    !space_can_expand(space, p->vma.flags, space_pages(space, p->old_len)))
		return -VAS_ENOMEM;
	err = choose_target(p);
	return err ? err : move(p);
}

static bool split_within(struct vas *space, uint64_t start, uint64_t len)
{
	uint64_t task_size = vas_task_size(space);

	return start > task_size || len > task_size - start ||
	       space_split_at(space, start, start + len);
}

/* Whether something is unmapped before the move, which then must not lack memory. What will be
 * refused anyhow takes none. */
static bool needs_stock(const struct plan *p)
{
	struct vma vma;

	return (p->asked->flags & VAS_MREMAP_FIXED) &&
	       (p->old_len > p->new_len || space_has_vma(p->space, p->new, p->new + p->new_len)) &&
	       vma_at(p->space, p->old, &vma) &&
	       min_u64(p->old_len, p->new_len) <= vma.end - p->old;
}

/* All the memory that unmapping and moving will take: at the target and at both ends twice. False:
 * not to be had. */
static bool stock_up(const struct plan *p)
{
	struct vas *space = p->space;
	uint64_t len = min_u64(p->old_len, p->new_len);

	return space_reserve_vmas(space, 9) && split_within(space, p->new, p->new_len) &&
	       split_within(space, p->old + len, p->old_len - len) &&
	       space_split_at(space, p->old, p->old + len) &&
	       pagemap_stock_move(&space->pages, p->old, p->new, len);
}

static int64_t move_placed(struct plan *p)
{
	struct table_stock *stock = &p->space->pages.stock;
	bool stocks = needs_stock(p);
	int64_t err = -VAS_ENOMEM;

	if (!stocks || stock_up(p)) {
		stock->open = stocks;
		err = unmap_and_move(p);
		stock->open = false;
	}
	if (stocks) {
		stock_trim(stock, stock->keep);
		space_restock(p->space);
	}
	return err;
}

static int64_t grow(struct plan *p)
{
	int64_t err = check_vma(p);

	if (err)
		return err;
	if (can_grow_in_place(p))
		return grow_in_place(p);
	if (!(p->asked->flags & VAS_MREMAP_MAYMOVE))
		return -VAS_ENOMEM;
	err = choose_target(p);
	return err ? err : move(p);
}

/* ---- The call ------------------------------------------------------------------------------- */

/* Huge pages move whole: what reaches into the last one counts as all of it. */
static void round_to_huge(struct plan *p)
{
	uint64_t size = format_span(p->space->system->format, vma_level(&p->vma));

	p->old_len = align_up(p->old_len, size);
	p->new_len = align_up(p->new_len, size);
}

/* They never grow. Linux looks at new_addr here even if it does not count. */
static int64_t check_hugetlb(const struct plan *p)
{
	uint64_t size = format_span(p->space->system->format, vma_level(&p->vma));

	if (!linux_mremap_hugetlb(p->space))
		return -VAS_EINVAL;
	if (!is_aligned(p->old | p->new, size) || p->new_len > p->old_len)
		return -VAS_EINVAL;
	return 0;
}

static int64_t carry_out(struct plan *p)
{
	switch (p->kind) {
	case SHRINK:
		return shrink(p);
	case GROW:
		return grow(p);
	case MOVE:
		break;
	}
	return move_placed(p);
}

/* Of a vma that has been found to hold `old`. */
static int64_t remap_vma(struct plan *p)
{
	int64_t err;

	if (p->vma.flags & VAS_VM_SEALED)
		return -VAS_EPERM;
	if (p->vma.flags & VAS_VM_HUGETLB) {
		round_to_huge(p);
		err = check_hugetlb(p);
		if (err)
			return err;
	}
	err = linux_mremap_checks_first(p->space) ? 0 : check_target(p);
	if (err)
		return err;
	classify(p);
	return carry_out(p);
}

static int64_t remap_one(struct plan *p)
{
	if (!linux_mremap_looks_first(p->space)) {
		classify(p);
		if (p->kind != GROW)
			return carry_out(p);
	}
	if (!vma_seek(p->space, p->old, &p->vma))
		return -VAS_EFAULT;
	return remap_vma(p);
}

/* A vma that can only be moved by itself. */
static bool is_moved_alone(const struct vma *vma)
{
	return (vma->flags & VAS_VM_UFFD) ||
	       (vma->file && (vma->file->info.mode & VAS_FILE_OWN_AREA));
}

/* Each vma of the range goes to the same distance; gaps stay gaps, and what lies at the target
 * behind a gap stays too. An error leaves the vmas before it moved. */
static int64_t remap_each(const struct plan *p)
{
	uint64_t end = p->old + p->old_len;
	struct plan one = *p;

	if (!vma_seek(p->space, p->old, &one.vma))
		return -VAS_EFAULT;
	while (one.vma.start < end) {
		uint64_t addr = one.vma.end;
		int64_t err;

		one.old = max_u64(one.vma.start, p->old);
		one.new = p->new + (one.old - p->old);
		one.old_len = one.new_len = min_u64(addr, end) - one.old;
		if (is_moved_alone(&one.vma) && (one.old > p->old || addr < end))
			return -VAS_EFAULT;
		err = remap_vma(&one);
		if (err < 0)
			return one.old > p->old ? err - LATE : err;
		if (addr >= end || !vma_seek_from(p->space, addr, &one.vma))
			break;
	}
	return (int64_t)p->new;
}

static int64_t remap(struct plan *p)
{
	const struct request *asked = p->asked;
	int64_t err = check_arguments(asked);

	if (!err && linux_mremap_checks_first(p->space))
		err = check_target(p);
	if (err)
		return err;
	if (linux_mremap_moves_many(p->space) && (asked->flags & VAS_MREMAP_FIXED) &&
	    p->old_len == p->new_len)
		return remap_each(p);
	return remap_one(p);
}

static int64_t remap_once(const struct request *asked)
{
	struct plan p;
	int64_t result;

	p.asked = asked;
	p.space = asked->space;
	p.old = asked->old;
	p.old_len = asked->old_len;
	p.new = asked->new;
	p.new_len = asked->new_len;
	p.later.start = p.later.end = 0;
	space_lock(p.space);
	result = remap(&p);
	p.space->moving[0].len = p.space->moving[1].len = 0;
	space_unlock(p.space);
	if (p.later.start < p.later.end)
		fault_populate(p.space, p.later, TO_ITS_END);
	return result;
}

static int64_t without_late(int64_t result)
{
	return result <= -LATE ? result + LATE : result;
}

int64_t vas_mremap(struct vas *space, uint64_t old_addr, uint64_t old_len, uint64_t new_len,
                   uint64_t flags, uint64_t new_addr)
{
	struct request asked = {
		.space = space,
		.old = old_addr,
		.old_len = space_align(space, old_len),
		.new = new_addr,
		.new_len = space_align(space, new_len),
		.flags = flags,
	};
	uint64_t refusals = group_refusals(space->group);
	int64_t result;

	if (flags & VAS_MREMAP_DONTUNMAP)
		asked.equal = linux_mremap_moves_many(space) ? asked.old_len == asked.new_len
		                                             : old_len == new_len;
	do
		result = remap_once(&asked);
	while (result < 0 && result > -LATE && group_ask(space->group, space, &refusals));
	return without_late(result);
}
