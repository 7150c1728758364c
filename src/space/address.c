/* address.c - the choice of an address for a new mapping.
 *
 * Linux searches downwards from mmap_base for the highest hole that is large enough, keeps a gap
 * below stacks, and aligns what may become huge pages. The rules and their order are those of
 * get_unmapped_area as observed; mremap asks the same question as mmap.
 *
 * SPDX-License-Identifier: MIT */
#include "space/linux.h"
#include "space/vma.h"

#define MAX_ERRNO 4095
#define LOW_2G ((uint64_t)1 << 31)
#define HIGH_4G ((uint64_t)1 << 32)
#define LOW_1G ((uint64_t)1 << 30)

uint64_t space_floor(const struct vas *space)
{
	const struct vas_settings *settings = &space->system->settings;

	return max_u64(settings->mmap_min_addr, settings->lsm_mmap_min_addr);
}

uint64_t space_guard_start(const struct vas *space, const struct vma *vma)
{
	uint64_t gap = STACK_GUARD_PAGES * space_page_size(space);

	return vma->flags & VAS_VM_GROWSDOWN ? sub_saturated(vma->start, gap) : vma->start;
}

/* What a huge page covers: a leaf one level up, 2 MiB on most machines. */
static uint64_t huge_size(const struct vas *space)
{
	return format_span(space->system->format, 1);
}

/* A hole's answer: where in [low, high) does a mapping of len bytes go? */
struct hole {
	uint64_t low, high, len;
	bool highest; /* its upper end in the highest hole; else the lower end in the lowest */
};

/* Looks for a hole that also keeps clear of the guard gap of the vma above it. */
static int64_t find_hole(const struct vas *space, struct hole hole)
{
	uint64_t start, end;
	struct vma above;

	while (hole.low < hole.high && range_tree_gap(&space->tree, hole.low, hole.high, hole.len,
	                                              hole.highest, &start, &end)) {
		uint64_t limit = end;

		if (vma_from(space, end, &above))
			limit = min_u64(end, space_guard_start(space, &above));
		if (limit > start && limit - start >= hole.len)
			return (int64_t)(hole.highest ? limit - hole.len : start);
		if (hole.highest)
			hole.high = linux_guard_hides_more(space) ? limit : start;
		else
			hole.low = end;
	}
	return -VAS_ENOMEM;
}

/* Whether [addr, addr + len) is free and keeps clear of the guard gap above it. */
static bool is_free(const struct vas *space, uint64_t addr, uint64_t len)
{
	struct vma above;

	return !vma_from(space, addr, &above) || addr + len <= space_guard_start(space, &above);
}

/* mmap's are never below the floor, but those that mremap has for DONTUNMAP may be. */
static bool may_hint(const struct vas *space, uint64_t hint)
{
	return hint && (space->system->format->hint_below_floor || hint >= space_floor(space));
}

/* The window for a search downwards: a hint above it (5 levels) opens the upper addresses. */
static uint64_t search_high(const struct vas *space, const struct place *place)
{
	const struct vas_system *system = space->system;

	if (system->format->hint_raises_base && place->hint > system->window)
		return space->mmap_base + (system->task_size - system->window);
	return space->mmap_base;
}

static int64_t search_bottom_up(const struct vas *space, const struct place *place)
{
	const struct vas_system *system = space->system;
	uint64_t low = space->legacy_base, high = system->window, hint = place->hint;

	if (place->map_32bit) {
		low = LOW_1G;
		high = LOW_2G;
	} else {
		if (place->hint > system->window)
			high = system->task_size;
		high = min_u64(high, space->place_high);
	}
	hint = space_align(space, hint);
	if (may_hint(space, hint) && place->len <= high && high - place->len >= hint &&
	    is_free(space, hint, place->len))
		return (int64_t)hint;
	return find_hole(space, (struct hole){.low = low, .high = high, .len = place->len});
}

/* The hint if it can be had, else a search: downwards, or upwards in the legacy layout. */
static int64_t search(const struct vas *space, const struct place *place)
{
	uint64_t task_size = space->system->task_size, len = place->len;
	uint64_t hint = align_down(place->hint, space_page_size(space));
	struct hole hole = {.len = len, .highest = true};
	int64_t addr;

	if (len > task_size)
		return -VAS_ENOMEM;
	if (place->map_32bit || space->legacy)
		return search_bottom_up(space, place);
	if (may_hint(space, hint) && hint <= task_size - len && is_free(space, hint, len))
		return (int64_t)hint;
	hole.low = max_u64(space_page_size(space), space_floor(space));
	hole.low = max_u64(hole.low, space->place_low);
	if (place->above_4g)
		hole.low = max_u64(hole.low, HIGH_4G);
	hole.high = min_u64(search_high(space, place), space->place_high);
	addr = find_hole(space, hole);
	return addr < 0 ? search_bottom_up(space, place) : addr;
}

/* The address congruent with `offset` modulo the huge size, in a hole with as much to spare; 0:
 * none. */
static int64_t search_huge(const struct vas *space, const struct place *place, uint64_t huge,
                           uint64_t offset)
{
	struct place padded = *place;
	uint64_t shift;
	int64_t addr;

	padded.len = place->len + huge;
	if (padded.len < place->len || offset + padded.len < offset)
		return 0;
	addr = search(space, &padded);
	if (addr < 0)
		return 0;
	if (place->hint && (uint64_t)addr == place->hint)
		return addr;
	shift = (offset - (uint64_t)addr) & (huge - 1);
	if (!space->legacy && shift == 0)
		return addr + (int64_t)huge;
	return addr + (int64_t)shift;
}

/* Whether [offset, offset + len) holds a whole aligned block: as Linux counts, whose offsets have a
 * sign. Just below 2^63 the next block is one beyond all, and always there. */
static bool has_block(uint64_t offset, uint64_t len, uint64_t size)
{
	uint64_t end = offset + len, block = align_up(offset, size);

	return (int64_t)end > (int64_t)block && end - block >= size;
}

/* Whether anonymous memory of this length is placed so that huge pages fit. */
static bool has_huge_alignment(const struct vas *space, uint64_t len)
{
	if (!linux_aligns_anonymous(space) || len < huge_size(space))
		return false;
	return is_aligned(len, huge_size(space)) || !linux_aligns_multiples_only(space);
}

/* Pages of the huge page pool: the hint is rounded, a hole must hold the worst alignment. */
static int64_t search_hugetlb(const struct vas *space, const struct place *place)
{
	uint64_t size = format_span(space->system->format, place->level);
	uint64_t hint = linux_hugetlb_hint_rounds_up(space) ? align_up(place->hint, size)
	                                                    : align_down(place->hint, size);
	uint64_t task_size = space->system->task_size;
	struct place padded = *place;
	int64_t addr;

	if (hint && place->len <= task_size && hint <= task_size - place->len &&
	    is_free(space, hint, place->len))
		return (int64_t)hint;
	padded.hint = 0;
	padded.len = place->len + size - space_page_size(space);
	addr = search(space, &padded);
	if (addr < 0)
		return addr;
	if (space->legacy || place->map_32bit)
		return (int64_t)align_up((uint64_t)addr, size);
	return (int64_t)align_down((uint64_t)addr + padded.len - place->len, size);
}

/* The highest level of which `len` bytes may hold a whole table or large leaf. */
static unsigned level_within(const struct vas *space, uint64_t len)
{
	const struct vas_format *format = space->system->format;
	unsigned level = format->levels - 1;

	while (level > 0 && format_span(format, level) > len)
		level--;
	return level;
}

/* The low end of a hole of `room` bytes, aligned to what the room may hold, but for what must stay
 * the same of the source's address so that its tables go whole:
 *
 *	|    |mapping|               room             |
 *	^ aligned
 *	     ^ congruent with the source modulo the largest table that the source fills */
static int64_t search_room(const struct vas *space, const struct place *place, uint64_t room)
{
	const struct vas_format *format = space->system->format;
	uint64_t same = format_span(format, level_within(space, place->from_len));
	uint64_t align = max_u64(same, format_span(format, level_within(space, room)));
	uint64_t offset = place->from & (same - 1);
	struct place padded = *place;
	int64_t addr;

	if (place->file && place->from_len == 0)
		offset = place->offset & (min_u64(align, huge_size(space)) - 1);
	padded.len = room + align - space_page_size(space);
	addr = search(space, &padded);
	if (addr < 0)
		return addr;
	return addr + (int64_t)((offset - (uint64_t)addr) & (align - 1));
}

/* As much room as there is; beyond a point, growth is not to be expected. */
static int64_t search_roomy(const struct vas *space, const struct place *place)
{
	uint64_t most = space->system->task_size / 64;
	int64_t addr = -VAS_ENOMEM;

	for (uint64_t times = 16; addr < 0 && times > 0; times /= 2)
		addr = search_room(space, place,
		                   place->len + min_u64(place->len * (times - 1), most));
	return addr;
}

/* The size of which shared anonymous memory is given pages, or 0. */
static uint64_t shmem_size(const struct vas *space)
{
	const struct vas_settings *settings = &space->system->settings;
	uint64_t size = space_page_size(space);

	if (!settings->shmem_sizes)
		return settings->shmem_thp ? huge_size(space) : 0;
	for (uint32_t sizes = settings->shmem_sizes; sizes > 1; sizes >>= 1)
		size *= 2;
	return size;
}

/* To what Linux aligns the address so that huge pages fit; 0: it does not. */
static uint64_t alignment_of(const struct vas *space, const struct place *place)
{
	uint64_t size = huge_size(space);

	if (!space->system->settings.thp)
		return 0;
	if (!place->file && !place->shared)
		return !place->hint && has_huge_alignment(space, place->len) ? size : 0;
	if (!place->file)
		size = shmem_size(space);
	else if (!(place->file->info.mode & VAS_FILE_THP_ALIGN))
		return 0;
	return size && has_block(place->offset, place->len, size) ? size : 0;
}

static int64_t search_aligned(const struct vas *space, const struct place *place)
{
	int64_t addr = -VAS_ENOMEM;
	uint64_t huge;

	if (place->level > 0)
		return search_hugetlb(space, place);
	if (space->system->settings.placement == VAS_PLACE_ROOMY && !place->hint &&
	    !place->map_32bit)
		addr = search_roomy(space, place);
	if (addr >= 0)
		return addr;
	addr = 0;
	huge = alignment_of(space, place);
	if (huge)
		addr = search_huge(space, place, huge, place->file ? place->offset : 0);
	return addr ? addr : search(space, place);
}

int64_t space_check_place(const struct vas *space, uint64_t addr, uint64_t len, unsigned level)
{
	uint64_t task_size = space->system->task_size;

	if (len > task_size || addr > task_size - len)
		return -VAS_ENOMEM;
	if (!is_aligned(addr, format_span(space->system->format, level)))
		return -VAS_EINVAL;
	if (addr < space->system->settings.mmap_min_addr &&
	    !(space->capabilities & VAS_CAP_SYS_RAWIO))
		return -VAS_EPERM;
	return 0;
}

int64_t space_place(const struct vas *space, const struct place *place)
{
	int64_t addr, err;

	if (place->len > space->system->task_size)
		return -VAS_ENOMEM;
	/* Linux hands addresses and errors on in one word: the last ones are taken for errors. */
	if (place->fixed && place->hint > ~(uint64_t)MAX_ERRNO)
		return (int64_t)place->hint;
	addr = place->fixed ? (int64_t)place->hint : search_aligned(space, place);
	if (!place->fixed && addr < 0)
		return addr;
	err = space_check_place(space, (uint64_t)addr, place->len, place->level);
	return err ? err : addr;
}
