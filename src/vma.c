/* vma.c - merging, splitting, and anonymous identity.
 *
 * All rules of which lines /proc/PID/maps shows are here. Counters are not: splitting and merging
 * change no page's account.
 *
 * SPDX-License-Identifier: MIT */
#include "linux.h"
#include "vma.h"

bool vma_at(const struct vas *space, uint64_t addr, struct vma *out)
{
	return vma_tree_find(&space->tree, addr, out) && out->start <= addr;
}

bool vma_overlaps(const struct vas *space, uint64_t start, uint64_t end)
{
	struct vma vma;

	return vma_tree_find(&space->tree, start, &vma) && vma.start < end;
}

/* ---- Which neighbours are one --------------------------------------------------------------- */

/* The same kind of memory, consecutive, so that only identity can keep them apart. */
static bool vma_continues(const struct vas *space, const struct vma *low, const struct vma *high)
{
	const uint64_t never = VMA_KERNELS | VAS_VM_SPECIAL | VAS_VM_OPAQUE | VAS_VM_POLICY |
	                       VAS_VM_UFFD;

	return low->end == high->start && !((low->flags ^ high->flags) & ~(uint64_t)VMA_STICKY) &&
	       low->file == high->file && !(low->flags & never) &&
	       vma_pgoff(space, low, low->end) == high->pgoff;
}

/* One identity, or one has none; what came through fork does not take in untouched memory. */
static bool anon_matches(uint64_t a, uint64_t b)
{
	return a == b || (a == 0 && !(b & 1)) || (b == 0 && !(a & 1));
}

/* Whether a neighbour of identity `other` joins changed or new memory of identity `mid`;
 * `forked_too`: an untouched neighbour also joins what came through fork. */
static bool neighbour_matches(const struct vas *space, uint64_t other, uint64_t mid,
                              bool forked_too)
{
	if (forked_too && other == 0)
		return true;
	if (other == 0 && mid != 0 && !linux_untouched_joins_touched(space))
		return false;
	return anon_matches(other, mid);
}

/* What `mid` can be joined with. */
struct joins {
	bool low_joins, high_joins;
	struct vma low, high;
};

/* If both sides fit but not each other, the lower one wins. */
static struct joins joins_of(const struct vas *space, const struct vma *mid, bool try_low,
                             bool try_high, bool forked_too)
{
	struct joins j = {0};

	j.low_joins = try_low && vma_tree_before(&space->tree, mid->start, &j.low) &&
	              vma_continues(space, &j.low, mid) &&
	              neighbour_matches(space, j.low.anon, mid->anon, forked_too);
	j.high_joins = try_high && vma_tree_find(&space->tree, mid->end, &j.high) &&
	               vma_continues(space, mid, &j.high) &&
	               neighbour_matches(space, j.high.anon, mid->anon, forked_too);
	if (j.low_joins && j.high_joins && !anon_matches(j.low.anon, j.high.anon))
		j.high_joins = false;
	return j;
}

static uint64_t joined_anon(const struct joins *j, const struct vma *mid)
{
	if (j->low_joins && j->low.anon)
		return j->low.anon;
	if (j->high_joins && j->high.anon)
		return j->high.anon;
	return mid->anon;
}

static uint64_t joined_sticky(const struct joins *j)
{
	return ((j->low_joins ? j->low.flags : 0) | (j->high_joins ? j->high.flags : 0)) &
	       VMA_STICKY;
}

/* ---- The tree ------------------------------------------------------------------------------- */

void vma_insert(struct vas *space, const struct vma *vma)
{
	vma_tree_insert(&space->tree, vma);
}

void vma_remove(struct vas *space, const struct vma *vma)
{
	vma_tree_remove(&space->tree, vma->start);
	if (vma->file)
		vas_file_put(vma->file);
}

static void vma_replace(struct vas *space, uint64_t start, const struct vma *vma)
{
	vma_tree_replace(&space->tree, start, vma);
}

int64_t vma_split(struct vas *space, uint64_t addr)
{
	struct vma low, high;

	if (!vma_at(space, addr, &low) || low.start == addr)
		return 0;
	if ((low.flags & VAS_VM_SPECIAL) ||
	    !is_aligned(addr, format_span(space->system->format, vma_level(&low))))
		return -VAS_EINVAL;
	high = low;
	high.start = addr;
	high.pgoff = vma_pgoff(space, &low, addr);
	low.end = addr;
	vma_replace(space, low.start, &low);
	if (high.file)
		file_get(high.file);
	vma_insert(space, &high);
	return 0;
}

/* Puts `mid`, whose range is free in the tree, together with what it joins. Only a vma that joins
 * nothing is an insertion. */
static void vma_join(struct vas *space, struct vma *mid, const struct joins *j)
{
	struct vma whole = *mid;

	whole.anon = joined_anon(j, mid);
	whole.flags |= joined_sticky(j);
	if (j->high_joins)
		whole.end = j->high.end;
	if (j->low_joins) {
		whole.start = j->low.start;
		whole.pgoff = j->low.pgoff;
		if (j->high_joins)
			vma_remove(space, &j->high);
		vma_replace(space, whole.start, &whole);
	} else if (j->high_joins) {
		vma_replace(space, j->high.start, &whole);
	} else {
		vma_insert(space, &whole);
	}
	if (mid->file && (j->low_joins || j->high_joins))
		vas_file_put(mid->file);
	*mid = whole;
}

void vma_place(struct vas *space, struct vma *vma, enum vma_joins joins)
{
	bool forked_too = joins == JOIN_MOVED && !linux_moved_forked_stays_apart(space);
	struct joins j = joins_of(space, vma, true, joins != JOIN_LOWER, forked_too);

	vma_join(space, vma, &j);
}

void vma_extend(struct vas *space, struct vma *vma, uint64_t end)
{
	struct joins j;
	struct vma whole = *vma;

	whole.end = end;
	/* Here, and only here, Linux lets what came through fork take in untouched memory. */
	j = joins_of(space, &whole, false, linux_growth_merges(space), true);
	whole.anon = joined_anon(&j, vma);
	whole.flags |= joined_sticky(&j);
	if (j.high_joins) {
		whole.end = j.high.end;
		vma_remove(space, &j.high);
	}
	vma_replace(space, whole.start, &whole);
	*vma = whole;
}

/* [start, end) of *vma joins a neighbour: the rest of *vma, if any, keeps its flags.
 *   |low|part|rest|  ->  |low......|rest|     |rest|part|high|  ->  |rest|.....high| */
static void vma_give(struct vas *space, const struct vma *vma, struct vma *part,
                     const struct joins *j)
{
	struct vma rest = *vma;

	if (part->start == vma->start && part->end == vma->end) {
		/* All of it: the reference on its file goes with the part. */
		vma_tree_remove(&space->tree, vma->start);
	} else {
		if (part->start == vma->start) {
			rest.start = part->end;
			rest.pgoff = vma_pgoff(space, vma, part->end);
		} else {
			rest.end = part->start;
		}
		vma_replace(space, vma->start, &rest);
		if (part->file)
			file_get(part->file);
	}
	vma_join(space, part, j);
}

int64_t vma_modify(struct vas *space, struct vma *vma, uint64_t start, uint64_t end, uint64_t flags)
{
	struct vma part = *vma;
	struct joins j;
	int64_t err = 0;

	part.start = start;
	part.end = end;
	part.pgoff = vma_pgoff(space, vma, start);
	part.flags = flags;
	/* No leaf reaches over the end of its vma, wherever that moves. */
	if (space->pages.large && !space_cut(space, start, end))
		return -VAS_ENOMEM;
	j = joins_of(space, &part, start == vma->start, end == vma->end, false);
	if (j.low_joins || j.high_joins) {
		vma_give(space, vma, &part, &j);
		*vma = part;
		return 0;
	}
	if (start > vma->start)
		err = space_full(space) ? -VAS_ENOMEM : vma_split(space, start);
	if (!err && end < vma->end)
		err = space_full(space) ? -VAS_ENOMEM : vma_split(space, end);
	if (err)
		return err;
	vma_replace(space, start, &part);
	*vma = part;
	return 0;
}

/* ---- Identity ------------------------------------------------------------------------------- */

/* Whether `vma` may share the identity of its neighbour `other`; low and high are the two in order.
 * Rights may differ: such neighbours may become one by mprotect. */
static bool anon_shareable(const struct vas *space, const struct vma *other, const struct vma *low,
                           const struct vma *high)
{
	return other->anon && !vma_is_forked(other) && low->end == high->start &&
	       low->file == high->file &&
	       !((low->flags ^ high->flags) & ~(uint64_t)(VMA_ACCESS | VMA_STICKY)) &&
	       !((low->flags | high->flags) & VAS_VM_POLICY) &&
	       vma_pgoff(space, low, low->end) == high->pgoff;
}

void vma_touch(struct vas *space, struct vma *vma)
{
	struct vma other;

	if (vma->anon)
		return;
	if (vma_tree_find(&space->tree, vma->end, &other) &&
	    anon_shareable(space, &other, vma, &other))
		vma->anon = other.anon;
	else if (vma_tree_before(&space->tree, vma->start, &other) &&
	         anon_shareable(space, &other, &other, vma))
		vma->anon = other.anon;
	else
		vma->anon = system_next(space->system, &space->system->anon_ids) << 1;
	vma_replace(space, vma->start, vma);
}
