/* rmap.c - from an object to the places where it is mapped.
 *
 * Objects keep no list of their mappings: the spaces of the system are searched. Truncating,
 * punching and writing back are rare next to faults and moves, which so have nothing to maintain.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"

/* Copies of file pages stand in private mappings: frames that are not the object's. */
struct zap {
	struct vas *space;
	struct vas_object *object;
	const struct vma *vma;
	struct tlb_gather *gather;
};

/* Removes a leaf that maps the object's own frame; a private copy stays. */
static bool zap_shared_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct zap *zap = ctx;
	struct vas_system *system = zap->space->system;
	uint64_t index = vma_pgoff(zap->space, zap->vma, addr);

	if (entry->kind == ENTRY_LEAF &&
	    frame_of_phys(&system->frames, entry->phys) == object_find(zap->object, index))
		pagemap_zap(&zap->space->pages, addr, addr + format_span(system->format, level),
		            zap->gather);
	return true;
}

/* The part of a vma that maps pages [first, last) of its file: false if none. */
static bool vma_part(const struct vas *space, const struct vma *vma, uint64_t first, uint64_t last,
                     uint64_t *start, uint64_t *end)
{
	unsigned shift = space->system->format->page_shift;
	uint64_t low = max_u64(first, vma->pgoff);
	uint64_t high = min_u64(last, vma->pgoff + vma_pages(space, vma));

	if (low >= high)
		return false;
	*start = vma->start + ((low - vma->pgoff) << shift);
	*end = vma->start + ((high - vma->pgoff) << shift);
	return true;
}

enum rmap_action { PREPARE, ZAP_SHARED, ZAP_ALL, CLEAN };

static bool vma_act(struct vas *space, struct vas_object *object, const struct vma *vma,
                    uint64_t start, uint64_t end, enum rmap_action action)
{
	struct tlb_gather gather;
	struct zap zap = {space, object, vma, &gather};

	if (action == PREPARE)
		return space_own(space, start, end);
	tlb_gather_begin(&gather, &space->tlb);
	if (action == ZAP_ALL)
		pagemap_zap(&space->pages, start, end, &gather);
	else if (action == ZAP_SHARED)
		pagemap_walk(&space->pages, start, end, zap_shared_leaf, &zap);
	else if (vma->flags & VAS_VM_SHARED)
		pagemap_protect(&space->pages, start, end,
		                vma_rights(space, vma->flags) & ~(unsigned)RIGHT_WRITE, &gather);
	tlb_gather_end(&gather);
	return true;
}

static bool rmap_each(struct vas_object *object, uint64_t first, uint64_t last,
                      enum rmap_action action)
{
	for (struct vas *space = object->system->spaces; space; space = space->next) {
		uint64_t start, end;
		struct vma vma;

		for (uint64_t addr = 0; vma_tree_find(&space->tree, addr, &vma); addr = vma.end) {
			if (vma.file && vma.file->object == object &&
			    vma_part(space, &vma, first, last, &start, &end) &&
			    !vma_act(space, object, &vma, start, end, action))
				return false;
		}
	}
	return true;
}

bool rmap_zap(struct vas_object *object, uint64_t first, uint64_t last, bool private_too)
{
	return rmap_each(object, first, last, PREPARE) &&
	       rmap_each(object, first, last, private_too ? ZAP_ALL : ZAP_SHARED);
}

void rmap_clean(struct vas_object *object, uint64_t first, uint64_t last)
{
	rmap_each(object, first, last, CLEAN);
}

/* Zeros from `size` to the end of its page. */
static void tail_clear(struct vas_object *object, uint64_t size)
{
	struct frame_pool *pool = &object->system->frames;
	uint64_t page = (uint64_t)1 << pool->page_shift, tail = size & (page - 1);
	uint32_t frame = tail ? object_find(object, size >> pool->page_shift) : FRAME_NONE;

	if (frame != FRAME_NONE)
		memset((uint8_t *)frame_host(pool, frame) + tail, 0, (size_t)(page - tail));
}

static int64_t resize(struct vas_object *object, uint64_t size)
{
	unsigned shift = object->system->frames.page_shift;
	uint64_t first = (size >> shift) + !is_aligned(size, (uint64_t)1 << shift);

	if (size < object->size) {
		if (!rmap_zap(object, first, ~(uint64_t)0, true))
			return -VAS_ENOMEM;
		object_drop(object, first, ~(uint64_t)0);
		tail_clear(object, size);
	} else if (size > object->size && object->ops) {
		/* What was written past the end is no part of the file; in tmpfs it becomes one. */
		tail_clear(object, object->size);
	}
	object->size = size;
	return 0;
}

int64_t vas_object_resize(struct vas_object *object, uint64_t size)
{
	int64_t result;

	system_lock_all(object->system);
	result = resize(object, size);
	system_unlock_all(object->system);
	return result;
}

int64_t vas_object_sync(struct vas_object *object)
{
	int64_t result;

	system_lock_all(object->system);
	/* First make the next write fault, so that none is missed after its page was written. */
	rmap_clean(object, 0, ~(uint64_t)0);
	result = object_sync(object, 0, ~(uint64_t)0);
	system_unlock_all(object->system);
	return result;
}
