/* huge.c - large pages: the huge page pool behind MAP_HUGETLB, and transparent huge pages.
 *
 * A large page is one leaf at level 1 (2 MiB) or 2 (1 GiB) over a block of frames. The page map
 * splits, moves and shares such leaves by itself; here they are made.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* A block of zeros for one page of this level, aligned as the hardware wants it. */
static uint32_t alloc_block(struct vas *space, uint32_t payer, unsigned level)
{
	struct frame_pool *frames = &space->system->frames;
	uint64_t size = format_span(space->system->format, level);
	uint32_t block;

	if (!is_aligned(frames->phys, size))
		return FRAME_NONE;
	block = frame_alloc(frames, payer, level * space->system->format->index_bits);
	if (block != FRAME_NONE)
		memset(frame_host(frames, block), 0, (size_t)size);
	return block;
}

static void put_block(struct vas *space, uint32_t block, unsigned level)
{
	frame_put_row(&space->system->frames, block, format_frames(space->system->format, level));
}

/* ---- The pool ------------------------------------------------------------------------------- */

/* The promise of a page, which was made to this vma or is nobody's, becomes a page. */
static uint32_t alloc_from_pool(struct vas *space, const struct vma *vma)
{
	struct vas_object *object = vma->file->object;
	bool owner = vma->flags & (VAS_VM_SHARED | VAS_VM_HUGE_OWNER), was_its;
	uint32_t block;

	if (!system_take_huge(space->system, object, owner, &was_its))
		return FRAME_NONE;
	block = alloc_block(space, space_payer(space), object->level);
	system_took_huge(space->system, object, block, was_its);
	return block;
}

struct present {
	uint64_t npages;
};

static bool count_present(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct present *present = ctx;

	(void)addr;
	(void)level;
	present->npages += entry->kind == ENTRY_LEAF;
	return true;
}

void huge_unmap(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end,
                enum huge_unmap how)
{
	uint64_t npages = (end - start) >> format_shift(space->system->format, vma_level(vma));
	struct present present = {0};
	int64_t change;

	space_assert_locked(space);
	if (vma_level(vma) == 0 || !(vma->flags & VAS_VM_HUGE_OWNER))
		return;
	pagemap_walk(&space->pages, start, end, count_present, &present);
	change = how == HUGE_DISCARD ? (int64_t)present.npages
	                             : -(int64_t)(npages - present.npages);
	system_adjust_huge(space->system, vma->file->object, change);
}

/* Maps a block, whose references the leaf takes over. */
static bool map_block(struct vas *space, const struct vma *vma, uint64_t addr, uint32_t block,
                      enum vas_access access)
{
	struct entry leaf = fault_leaf(space, vma, block, access);

	return pagemap_set(&space->pages, addr, vma_level(vma), &leaf);
}

static int64_t fault_shared(struct vas *space, struct vma *vma, uint64_t addr,
                            const struct entry *old, enum vas_access access)
{
	struct vas_object *object = vma->file->object;
	uint64_t index = vma_pgoff(space, vma, addr);
	uint32_t block = object_find(object, index);

	if (index >= object_npages(object))
		return -VAS_EIO;
	if (object_is_in_hole(object, index))
		return -VAS_EAGAIN;
	if (block == FRAME_NONE) {
		uint32_t fresh = alloc_from_pool(space, vma);
		bool ok;

		if (fresh == FRAME_NONE)
			return -VAS_EIO;
		block = fresh;
		ok = object_insert(object, space_payer(space), index, &block);
		if (!ok || block != fresh)
			put_block(space, fresh, object->level);
		if (!ok)
			return -VAS_ENOMEM;
	}
	if (!map_block(space, vma, addr, block, access))
		return -VAS_ENOMEM;
	for (uint32_t i = 0; old->kind != ENTRY_LEAF && i < object_page_frames(object); i++)
		frame_get(&space->system->frames, block + i);
	return 0;
}

static int64_t fault_private(struct vas *space, struct vma *vma, uint64_t addr,
                             const struct entry *old, enum vas_access access)
{
	struct frame_pool *frames = &space->system->frames;
	struct vas_object *object = vma->file->object;
	uint32_t block, source = FRAME_NONE;

	if (old->kind == ENTRY_LEAF)
		source = frame_of_phys(frames, old->phys);
	if (source != FRAME_NONE && frame_refs(frames, source) == 1)
		return map_block(space, vma, addr, source, access) ? 0 : -VAS_ENOMEM;
	block = alloc_from_pool(space, vma);
	if (block == FRAME_NONE)
		return -VAS_EIO;
	gather_flush(&space->gather); /* nobody writes any more to what is copied */
	if (source != FRAME_NONE)
		memcpy(frame_host(frames, block), frame_host(frames, source),
		       (size_t)format_span(space->system->format, object->level));
	if (!map_block(space, vma, addr, block, access)) {
		put_block(space, block, object->level);
		return -VAS_ENOMEM;
	}
	vma_touch(space, vma);
	return 0;
}

int64_t huge_fault_pool(struct vas *space, struct vma *vma, uint64_t addr, enum vas_access access)
{
	uint64_t size = format_span(space->system->format, vma_level(vma));
	uint64_t base = align_down(addr, size);
	unsigned level;
	struct entry old;

	space_assert_locked(space);
	if (!space_unshare(space, base, base + size))
		return -VAS_ENOMEM;
	old = pagemap_lookup(&space->pages, base, &level);
	if (vma->flags & VAS_VM_SHARED)
		return fault_shared(space, vma, base, &old, access);
	return fault_private(space, vma, base, &old, access);
}

/* ---- Transparent huge pages ----------------------------------------------------------------- */

static bool vma_is_anonymous(const struct vma *vma)
{
	return !vma->file && !(vma->flags & (VAS_VM_SHARED | VAS_VM_OPAQUE | VAS_VM_SPECIAL));
}

static bool is_wanted(const struct vas *space, const struct vma *vma)
{
	const struct vas_settings *settings = &space->system->settings;

	if (!settings->thp || (vma->flags & VAS_VM_NOHUGEPAGE))
		return false;
	return settings->thp_enabled == VAS_THP_ALWAYS ||
	       (settings->thp_enabled == VAS_THP_MADVISE && (vma->flags & VAS_VM_HUGEPAGE));
}

bool huge_is_eligible(const struct vas *space, const struct vma *vma)
{
	uint64_t size = format_span(space->system->format, 1), first = align_up(vma->start, size);

	return vma_is_anonymous(vma) && is_wanted(space, vma) && first < vma->end &&
	       vma->end - first >= size;
}

/* The block that all huge pages of zeros share: made when it is first wanted, gone with the last
 * space. FRAME_NONE: there is no room for it. */
static uint32_t get_zeros(struct vas *space)
{
	struct frame_pool *frames = &space->system->frames;
	uint32_t zeros = __atomic_load_n(&frames->zeros, __ATOMIC_ACQUIRE), block;

	if (zeros != FRAME_NONE)
		return zeros;
	block = alloc_block(space, FRAME_NONE, 1);
	if (block == FRAME_NONE || __atomic_compare_exchange_n(&frames->zeros, &zeros, block, false,
	                                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return block;
	put_block(space, block, 1); /* another thread was first */
	return zeros;
}

/* Maps a fresh block for the access. False: no memory. */
static bool map_fresh(struct vas *space, const struct vma *vma, uint64_t base,
                      enum vas_access access)
{
	uint32_t block = alloc_block(space, space_payer(space), 1);
	struct entry leaf;

	if (block == FRAME_NONE)
		return false;
	leaf = fault_leaf(space, vma, block, access);
	if (pagemap_set(&space->pages, base, 1, &leaf))
		return true;
	put_block(space, block, 1);
	return false;
}

static bool map_zeros(struct vas *space, const struct vma *vma, uint64_t base)
{
	uint32_t block = get_zeros(space);
	struct entry leaf;

	if (block == FRAME_NONE)
		return false;
	leaf = fault_leaf(space, vma, block, VAS_READ);
	return pagemap_set(&space->pages, base, 1, &leaf);
}

bool huge_fault_anon(struct vas *space, struct vma *vma, uint64_t addr, enum vas_access access)
{
	uint64_t size = format_span(space->system->format, 1), base = align_down(addr, size);

	space_assert_locked(space);
	if (!vma_is_anonymous(vma) || !is_wanted(space, vma) || base < vma->start ||
	    vma->end - base < size || space_is_paused(space) || hollow_at(space, base))
		return false;
	/* A read too counts as a write, even if the page then cannot be had. */
	vma_touch(space, vma);
	if (access != VAS_WRITE && space->system->settings.thp_zero_page)
		return map_zeros(space, vma, base);
	/* Of a page of its own, a read is told as a write. */
	return map_fresh(space, vma, base, vma->flags & VAS_VM_WRITE ? VAS_WRITE : access);
}

bool huge_fault_zeros(struct vas *space, struct vma *vma, uint64_t addr, const struct entry *leaf)
{
	const struct frame_pool *frames = &space->system->frames;
	uint64_t base = align_down(addr, format_span(space->system->format, 1));

	space_assert_locked(space);
	if (!frame_is_zeros(frames, frame_of_phys(frames, leaf->phys)) ||
	    !linux_zeros_become_huge(space) || space_is_paused(space))
		return false;
	vma_touch(space, vma);
	return space_unshare(space, base, base + format_span(space->system->format, 1)) &&
	       map_fresh(space, vma, base, VAS_WRITE);
}

static bool is_no_mark(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	(void)ctx;
	(void)addr;
	(void)level;
	return entry->kind != ENTRY_MARK;
}

static bool note_writable(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	bool *writable = ctx;

	(void)addr;
	(void)level;
	*writable |= entry->kind == ENTRY_LEAF && (entry->rights & RIGHT_WRITE);
	return !*writable;
}

/* Whether some page may be written as it is. */
static bool is_written(struct vas *space, uint64_t start, uint64_t end)
{
	bool writable = false;

	pagemap_walk(&space->pages, start, end, note_writable, &writable);
	return writable;
}

/* Small pages, of which there are some, become a large one. False: no memory. */
static bool replace_small(struct vas *space, const struct vma *vma, uint64_t addr,
                          enum vas_access access)
{
	uint64_t end = addr + format_span(space->system->format, 1);
	struct entry leaf;
	uint32_t block;

	if (!space_unshare(space, addr, end))
		return false;
	block = alloc_block(space, space_payer(space), 1);
	if (block == FRAME_NONE)
		return false;
	leaf = fault_leaf(space, vma, block, access);
	if (!pagemap_collapse(&space->pages, addr, 1, &leaf)) {
		put_block(space, block, 1);
		return false;
	}
	gather_close(&space->gather);
	return true;
}

static int64_t collapse_one(struct vas *space, struct vma *vma, uint64_t addr)
{
	uint64_t end = addr + format_span(space->system->format, 1);
	enum vas_access access = vma->flags & VAS_VM_WRITE ? VAS_WRITE : VAS_READ;
	struct entry e;
	unsigned level;
	bool done;

	e = pagemap_lookup(&space->pages, addr, &level);
	if (e.kind == ENTRY_LEAF && level > 0)
		return 0;
	if (!hollow_at(space, addr) || !pagemap_walk(&space->pages, addr, end, is_no_mark, NULL) ||
	    (!linux_collapse_read_only(space) && !is_written(space, addr, end)))
		return -VAS_EINVAL;
	if (pagemap_is_empty(&space->pages, addr, end))
		done = map_fresh(space, vma, addr, access);
	else
		done = replace_small(space, vma, addr, access);
	if (!done)
		return -VAS_ENOMEM;
	hollow_forget(space, addr, end);
	vma_touch(space, vma);
	return 0;
}

/* Linux says of memory that ends below the first block that it has one, which holds nothing. */
static bool is_collapsible(const struct vas *space, const struct vma *vma)
{
	uint64_t size = format_span(space->system->format, 1);

	return vma_is_anonymous(vma) && !(vma->flags & VAS_VM_NOHUGEPAGE) && vma->anon &&
	       (align_up(vma->start, size) < align_down(vma->end, size) || vma->end < size);
}

/* Between two blocks others get the lock, and may have changed what is there. */
static bool pause_collapse(struct vas *space, struct vma *vma, uint64_t addr)
{
	space_unlock(space);
	space_lock(space);
	return vma_at(space, addr, vma) && is_collapsible(space, vma) &&
	       vma->end - addr >= format_span(space->system->format, 1);
}

int64_t huge_collapse(struct vas *space, struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t size = format_span(space->system->format, 1);
	uint64_t first = align_up(start, size), last = align_down(end, size);
	int64_t err = 0;

	if (!is_collapsible(space, vma) || (first > last && !linux_collapse_takes_less(space)))
		return -VAS_EINVAL;
	for (uint64_t addr = first; addr < last; addr += size) {
		int64_t one = -VAS_EINVAL;

		if (addr > first && !pause_collapse(space, vma, addr))
			return err ? err : one;
		one = collapse_one(space, vma, addr);
		err = err ? err : one;
	}
	return err;
}
