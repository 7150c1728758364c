/* vma.c - merging, splitting, and anonymous identity.
 *
 * All rules of which lines /proc/PID/maps shows are here. Counters are not: splitting and merging
 * change no page's account.
 *
 * SPDX-License-Identifier: MIT */
#include "space/elsewhere.h"
#include "space/linux.h"
#include "space/mapped.h"
#include "space/vma.h"

/* ---- Which neighbours are one --------------------------------------------------------------- */

/* Whose driver is told of each mapping: those stay as they were cut. */
static inline bool file_has_own_area(const struct vas_file *file)
{
	return file && (file->info.mode & VAS_FILE_OWN_AREA);
}

/* The same kind of memory, consecutive, so that only identity can keep them apart. */
static inline bool is_continued_by(const struct vas *space, const struct vma *low,
                                   const struct vma *high)
{
	const uint64_t never = VMA_KERNELS | VAS_VM_SPECIAL | VAS_VM_OPAQUE | VAS_VM_POLICY |
	                       VAS_VM_UFFD;

	return low->end == high->start && !((low->flags ^ high->flags) & ~(uint64_t)VMA_STICKY) &&
	       low->file == high->file && !(low->flags & never) && !file_has_own_area(low->file) &&
	       vma_pgoff(space, low, low->end) == high->pgoff;
}

/* One identity, or one has none; what came through fork does not take in untouched memory. */
static bool can_share_anon(uint64_t a, uint64_t b)
{
	return a == b || (a == 0 && !(b & 1)) || (b == 0 && !(a & 1));
}

/* Whether a neighbour of identity `other` joins changed or new memory of identity `mid`;
 * JOIN_UNTOUCHED: an untouched neighbour also joins what came through fork. */
static bool can_join(const struct vas *space, uint64_t other, uint64_t mid, unsigned joins)
{
	if ((joins & JOIN_UNTOUCHED) && other == 0)
		return true;
	if (other == 0 && mid != 0 && !linux_untouched_joins_touched(space))
		return false;
	return can_share_anon(other, mid);
}

/* What `mid` can be joined with. */
struct joins {
	bool low_joins, high_joins;
	struct vma low, high;
};

/* `joins`: enum vma_joins, the sides to look at; with JOIN_UNTOUCHED a neighbour that was never
 * written joins what came through fork. */
static void find_joins(const struct vas *space, const struct vma *mid, unsigned joins,
                       struct joins *j)
{
	j->low_joins = (joins & JOIN_LOWER) && vma_ending(space, mid->start, &j->low) &&
	               is_continued_by(space, &j->low, mid) &&
	               can_join(space, j->low.anon, mid->anon, joins);
	j->high_joins = (joins & JOIN_UPPER) && vma_starting(space, mid->end, &j->high) &&
	                is_continued_by(space, mid, &j->high) &&
	                can_join(space, j->high.anon, mid->anon, joins);
}

static bool joins_forbidden(const struct joins *j, unsigned joins)
{
	return ((joins & JOIN_NOT_LOWER) && j->low_joins) ||
	       ((joins & JOIN_NOT_UPPER) && j->high_joins);
}

/* If both sides fit but not each other, one wins: JOIN_LOWER or JOIN_UPPER. */
static void settle_joins(struct joins *j, enum vma_joins winner)
{
	if (!j->low_joins || !j->high_joins || can_share_anon(j->low.anon, j->high.anon))
		return;
	j->low_joins = winner == JOIN_LOWER;
	j->high_joins = winner == JOIN_UPPER;
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

/* *mid takes in what it can be joined with; how many vmas that are. */
static inline unsigned take_in(struct vma *mid, const struct joins *j)
{
	mid->anon = joined_anon(j, mid);
	mid->flags |= joined_sticky(j);
	if (j->low_joins) {
		mid->start = j->low.start;
		mid->pgoff = j->low.pgoff;
	}
	if (j->high_joins)
		mid->end = j->high.end;
	return (unsigned)j->low_joins + j->high_joins;
}

/* ---- Changing the tree ---------------------------------------------------------------------- */

/* What is left of a vma below and above addr. */
static struct vma part_below(const struct vma *vma, uint64_t addr)
{
	struct vma part = *vma;

	part.end = addr;
	return part;
}

static struct vma part_above(const struct vas *space, const struct vma *vma, uint64_t addr)
{
	struct vma part = *vma;

	part.start = addr;
	part.pgoff = vma_pgoff(space, vma, addr);
	return part;
}

/* Puts `nnew` vmas in the place of the `nold` from `start` on: all that changes which vmas there
 * are goes through here. All have one file, whose object knows where it is mapped. */
static inline void exchange_in_tree(struct vas *space, uint64_t start, unsigned nold,
                                    const struct vma *new, unsigned nnew,
                                    const struct vas_file *file)
{
	if (file && file->object)
		mapped_exchange(space, file->object, start, nold, new, nnew);
	range_tree_splice(&space->tree, start, nold, (const struct range *)(const void *)new, nnew);
}

/* The same; the tree holds a reference on the file for each. */
static inline void exchange_vmas(struct vas *space, uint64_t start, unsigned nold,
                                 const struct vma *new, unsigned nnew, struct vas_file *file)
{
	exchange_in_tree(space, start, nold, new, nnew, file);
	if (!file)
		return;
	for (unsigned i = nold; i < nnew; i++)
		file_get(file);
	for (unsigned i = nnew; i < nold; i++)
		vas_file_put(file);
}

void vma_insert(struct vas *space, const struct vma *vma)
{
	space_assert_locked(space);
	exchange_in_tree(space, vma->start, 0, vma, 1, vma->file);
}

/*   |low|vma|high|  ->  |vma           |  with those that match; who does not stays apart  */
void vma_place(struct vas *space, struct vma *vma, unsigned joins)
{
	bool upper = joins == JOIN_BOTH && linux_upper_neighbour_wins(space);
	struct joins j;
	unsigned joined;

	space_assert_locked(space);
	if ((joins & JOIN_MOVED) && linux_moved_forked_joins(space))
		joins |= JOIN_UNTOUCHED;
	find_joins(space, vma, joins, &j);
	settle_joins(&j, upper ? JOIN_UPPER : JOIN_LOWER);
	if (joins_forbidden(&j, joins))
		j.low_joins = j.high_joins = false;
	joined = take_in(vma, &j);
	exchange_in_tree(space, vma->start, joined, vma, 1, vma->file);
	for (unsigned i = 0; vma->file && i < joined; i++)
		vas_file_put(vma->file);
}

/*   |vma|..|high|  ->  |vma      |high|, or |vma           | if the two match  */
void vma_extend(struct vas *space, struct vma *vma, uint64_t end)
{
	unsigned joins = (linux_growth_merges(space) ? JOIN_UPPER : 0) |
	                 (linux_grown_forked_joins(space) ? JOIN_UNTOUCHED : 0);
	struct joins j;
	unsigned joined;

	space_assert_locked(space);
	vma->end = end;
	/* Here, and only here, Linux lets what came through fork take in untouched memory. */
	find_joins(space, vma, joins, &j);
	joined = take_in(vma, &j);
	exchange_vmas(space, vma->start, 1 + joined, vma, 1, vma->file);
}

/*   |    vma    |
 *      |cut|       ->  |parts[0]|   |parts[1]|  */
void vma_cut(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end)
{
	struct vma parts[2];
	unsigned n = 0;

	space_assert_locked(space);
	if (vma->start < start)
		parts[n++] = part_below(vma, start);
	if (end < vma->end)
		parts[n++] = part_above(space, vma, end);
	exchange_vmas(space, vma->start, 1, parts, n, vma->file);
}

int64_t vma_check_split(const struct vas *space, const struct vma *vma, uint64_t addr)
{
	if ((vma->flags & VAS_VM_SPECIAL) ||
	    !is_aligned(addr, format_span(space->system->format, vma_level(vma))))
		return -VAS_EINVAL;
	return 0;
}

int64_t vma_split(struct vas *space, uint64_t addr)
{
	struct vma vma, parts[2];
	int64_t err;

	space_assert_locked(space);
	if (!vma_seek(space, addr, &vma) || vma.start == addr)
		return 0;
	err = vma_check_split(space, &vma, addr);
	if (err)
		return err;
	parts[0] = part_below(&vma, addr);
	parts[1] = part_above(space, &vma, addr);
	exchange_vmas(space, vma.start, 1, parts, 2, vma.file);
	return 0;
}

/* Whether a vma more than there will be `nvmas` may come of splitting *vma at addr. */
static int64_t check_part(const struct vas *space, const struct vma *vma, uint64_t addr,
                          uint64_t nvmas)
{
	if (nvmas >= space->system->settings.max_map_count)
		return -VAS_ENOMEM;
	return vma_check_split(space, vma, addr);
}

/* Whether [start, end) may be split off *vma. If only the second split fails, the first stays. */
static int64_t check_parts(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t nvmas = space->tree.count;
	int64_t err = 0;

	if (vma->start < start)
		err = check_part(space, vma, start, nvmas++);
	if (err || end == vma->end)
		return err;
	err = check_part(space, vma, end, nvmas);
	if (err)
		vma_split(space, start);
	return err;
}

/*   |vma|part|vma|  ->  |parts[0]|parts[1]|parts[2]|
 *   |low|part|vma|  ->  |parts[1]    |parts[2]|      and so on, with what joins on either side */
int64_t vma_modify(struct vas *space, struct vma *vma, uint64_t start, uint64_t end, uint64_t flags)
{
	struct vma parts[3], *part = &parts[1], *first = part;
	unsigned joins = (start == vma->start ? JOIN_LOWER : 0) |
	                 (end == vma->end ? JOIN_UPPER : 0);
	unsigned n = 1, joined;
	struct joins j;
	int64_t err = 0;

	space_assert_locked(space);
	*part = (struct vma){
		.start = start,
		.end = end,
		.flags = flags,
		.pgoff = vma_pgoff(space, vma, start),
		.anon = vma->anon,
		.file = vma->file,
	};
	find_joins(space, part, joins, &j);
	settle_joins(&j, JOIN_LOWER);
	joined = take_in(part, &j);
	if (joined == 0)
		err = check_parts(space, vma, start, end);
	if (!err)
		err = elsewhere_protect(space, vma, start, end, flags);
	if (err)
		return err;
	if (vma->start < start) {
		*--first = part_below(vma, start);
		n++;
	}
	if (end < vma->end) {
		part[1] = part_above(space, vma, end);
		n++;
	}
	exchange_vmas(space, first->start, 1 + joined, first, n, vma->file);
	*vma = *part;
	return 0;
}

/* ---- Identity ------------------------------------------------------------------------------- */

/* Whether `vma` may share the identity of its neighbour `other`; low and high are the two in order.
 * Rights may differ: such neighbours may become one by mprotect. */
static bool can_take_anon(const struct vas *space, const struct vma *other, const struct vma *low,
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

	space_assert_locked(space);
	if (vma->anon)
		return;
	if (vma_starting(space, vma->end, &other) && can_take_anon(space, &other, vma, &other))
		vma->anon = other.anon;
	else if (vma_ending(space, vma->start, &other) && can_take_anon(space, &other, &other, vma))
		vma->anon = other.anon;
	else
		vma->anon = system_next(space->system, &space->system->anon_ids) << 1;
	vma_replace(space, vma->start, vma);
}
