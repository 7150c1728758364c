/* rmap.c - from an object to the places where it is mapped: truncating, punching, writing back.
 *
 * One space after the other is locked, and only those that map the object (mapped.h). So that
 * nothing slips through meanwhile, what would bring a page back is kept away first: truncation
 * lowers the size, punching marks a hole in which faults wait; and write-back counts a page as
 * clean before it makes its mappings read-only, so that a later write is noticed as one. Unlocking
 * a space flushes what was taken from it (gather.h): only then is anything dropped or written.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"
#include "space/hollow.h"
#include "space/mapped.h"

enum rmap_action { ZAP_SHARED, ZAP_ALL, CLEAN };

/* On the way through the mappings of pages [first, last). */
struct rmap {
	struct vas_object *object;
	uint64_t first, last;
	enum rmap_action action;
	struct vas *space; /* that is being visited, */
	struct vma vma;    /* and whose leaves */
};

/* Removes a leaf that maps the object's own frame; a private copy stays. */
static bool zap_shared_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct rmap *rmap = ctx;
	struct vas *space = rmap->space;
	struct vas_system *system = space->system;
	uint64_t index = vma_pgoff(space, &rmap->vma, addr);

	if (entry->kind == ENTRY_LEAF &&
	    frame_of_phys(&system->frames, entry->phys) == object_find(rmap->object, index))
		pagemap_zap(&space->pages, addr, addr + format_span(system->format, level));
	return true;
}

/* The part of a vma that maps pages [first, last) of its file: it maps some. */
static void part_of_vma(const struct vas *space, const struct rmap *rmap, uint64_t *start,
                        uint64_t *end)
{
	unsigned shift = space->system->format->page_shift;
	const struct vma *vma = &rmap->vma;
	uint64_t low = max_u64(rmap->first, vma->pgoff);
	uint64_t high = min_u64(rmap->last, vma->pgoff + vma_pages(space, vma));

	*start = vma->start + ((low - vma->pgoff) << shift);
	*end = vma->start + ((high - vma->pgoff) << shift);
}

/* The tables stay on Linux, empty or not. */
static void zap(struct rmap *rmap, struct vas *space, uint64_t start, uint64_t end)
{
	struct hollow_ends ends;

	hollow_watch(space, start, end, &ends);
	hollow_keep(space, start, end);
	if (rmap->action == ZAP_ALL)
		pagemap_zap(&space->pages, start, end);
	else
		pagemap_walk(&space->pages, start, end, zap_shared_leaf, rmap);
	hollow_note(space, &ends);
}

static bool act_on_vma(void *ctx, struct vas *space, const struct vma *vma)
{
	struct rmap *rmap = ctx;
	uint64_t start, end;

	rmap->vma = *vma;
	part_of_vma(space, rmap, &start, &end);
	space_pause(space, PAUSE_VMA);
	if (rmap->action != CLEAN)
		zap(rmap, space, start, end);
	else if (vma->flags & VAS_VM_SHARED)
		pagemap_protect(&space->pages, start, end, RIGHT_WRITE,
		                vma_rights(space, vma->flags) & ~(unsigned)RIGHT_WRITE);
	return true;
}

/* Goes to each space that maps the object. No page of an object is in a table that fork has shared
 * (fork.c), and none is cut: nothing here needs memory, but for notes that may be left out. */
static void each_space(struct vas_object *object, uint64_t first, uint64_t last,
                       enum rmap_action action)
{
	struct rmap rmap = {.object = object, .first = first, .last = last, .action = action};
	struct vas *space;

	for (uint64_t id = 0; (space = object_mapper(object, id)) != NULL;) {
		rmap.space = space;
		space_visit(space);
		mapped_each(space, object, first, last, act_on_vma, &rmap);
		space_unlock(space);
		id = space->id + 1;
		space_unpin(space);
	}
}

void rmap_punch(struct vas_object *object, uint64_t first, uint64_t last)
{
	if (first >= last)
		return;
	object_work_begin(object);
	object_hole(object, first, last);
	each_space(object, first, last, ZAP_SHARED);
	object_drop(object, first, last);
	object_hole(object, 0, 0);
	object_work_end(object);
}

int64_t rmap_sync(struct vas_object *object, uint64_t first, uint64_t last)
{
	struct object_batch batch;
	int64_t first_err = 0;

	if (!object_is_written_back(object))
		return 0;
	object_work_begin(object);
	while (object_take_dirty(object, &first, last, &batch)) {
		int64_t err;

		if (batch.n > 0)
			each_space(object, batch.index[0], batch.index[batch.n - 1] + 1, CLEAN);
		err = object_write(object, &batch);
		if (!first_err)
			first_err = err;
	}
	object_work_end(object);
	return first_err;
}

/* Zeros from `size` to the end of its page. */
static void clear_tail(struct vas_object *object, uint64_t size)
{
	struct frame_pool *pool = &object->system->frames;
	uint64_t page = (uint64_t)1 << pool->page_shift, tail = size & (page - 1);
	uint32_t frame = tail ? object_find(object, size >> pool->page_shift) : FRAME_NONE;

	if (frame != FRAME_NONE)
		memset((uint8_t *)frame_host(pool, frame) + tail, 0, (size_t)(page - tail));
}

static void truncate_to(struct vas_object *object, uint64_t size)
{
	unsigned shift = object->system->frames.page_shift;
	uint64_t first = (size >> shift) + !is_aligned(size, (uint64_t)1 << shift);

	object_set_size(object, size);
	each_space(object, first, ~(uint64_t)0, ZAP_ALL);
	object_drop(object, first, ~(uint64_t)0);
	clear_tail(object, size);
}

int64_t vas_object_resize(struct vas_object *object, uint64_t size)
{
	object_work_begin(object);
	if (size < object_size(object)) {
		truncate_to(object, size);
	} else {
		/* What was written past the end is no part of the file; in tmpfs it becomes one. */
		if (size > object_size(object) && object->ops)
			clear_tail(object, object_size(object));
		object_set_size(object, size);
	}
	object_work_end(object);
	return 0;
}

int64_t vas_object_sync(struct vas_object *object)
{
	return rmap_sync(object, 0, ~(uint64_t)0);
}
