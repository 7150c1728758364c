/* mapped.c - which spaces map an object, and where.
 *
 * Owns both directions, and keeps them in step with the tree of vmas: mapped_exchange is called by
 * whoever changes that, and by nobody else. What is done at the places it finds is rmap.c's.
 *
 * SPDX-License-Identifier: MIT */
#include "space/mapped.h"
#include "space/vma.h"

static uint64_t group_of(const struct vas_object *object)
{
	return (uintptr_t)object;
}

static void lock_mappers(struct vas_object *object)
{
	spin_lock(&object->system->port, &object->lock, LOCK_TABLE);
}

static void unlock_mappers(struct vas_object *object)
{
	spin_unlock(&object->system->port, &object->lock);
}

/* A mapper is the interval [id, id + 1) of the one group there is, named by its space. */
static struct interval *make_interval(struct vas *space, uint64_t group, uint64_t first,
                                      uint64_t last, uint64_t id)
{
	struct interval *interval = interval_stock_take(&space->intervals);

	interval->group = group;
	interval->first = first;
	interval->last = last;
	interval->id = id;
	return interval;
}

static bool is_mapper(const struct vas *space, const struct vas_object *object)
{
	return interval_next(&space->mapped, group_of(object), 0);
}

/* Before its first mapping, and after its last. */
static void join_mappers(struct vas *space, struct vas_object *object)
{
	struct interval *mapper = make_interval(space, 0, space->id, space->id + 1,
	                                        (uintptr_t)space);

	lock_mappers(object);
	interval_insert(&object->mappers, mapper);
	unlock_mappers(object);
}

static void leave_mappers(struct vas *space, struct vas_object *object)
{
	struct interval *mapper;

	lock_mappers(object);
	mapper = interval_remove(&object->mappers, 0, space->id, (uintptr_t)space);
	unlock_mappers(object);
	vas_assert(mapper != NULL);
	interval_stock_give(&space->intervals, mapper);
}

static void note_vma(struct vas *space, uint64_t group, const struct vma *vma)
{
	uint64_t last = vma->pgoff + vma_pages(space, vma);

	interval_insert(&space->mapped, make_interval(space, group, vma->pgoff, last, vma->start));
}

static void forget_vma(struct vas *space, uint64_t group, const struct vma *vma)
{
	struct interval *interval = interval_remove(&space->mapped, group, vma->pgoff, vma->start);

	vas_assert(interval != NULL);
	interval_stock_give(&space->intervals, interval);
}

void mapped_exchange(struct vas *space, struct vas_object *object, uint64_t start, unsigned nold,
                     const struct vma *new, unsigned nnew)
{
	struct vma old = {.end = start};

	space_assert_locked(space);
	/* A mapper stays one throughout, so that nobody overlooks it. */
	if (nold == 0 && nnew > 0 && !is_mapper(space, object))
		join_mappers(space, object);
	for (; nold > 0 && vma_from(space, old.end, &old); nold--)
		forget_vma(space, group_of(object), &old);
	for (unsigned i = 0; i < nnew; i++)
		note_vma(space, group_of(object), &new[i]);
	if (nnew == 0 && !is_mapper(space, object))
		leave_mappers(space, object);
}

struct mapped_search {
	struct vas *space;
	mapped_visit *visit;
	void *ctx;
};

static bool visit_vma(void *ctx, const struct interval *interval)
{
	const struct mapped_search *search = ctx;
	struct vma vma;
	bool found = vma_starting(search->space, interval->id, &vma);

	vas_assert(found);
	return search->visit(search->ctx, search->space, &vma);
}

bool mapped_each(struct vas *space, struct vas_object *object, uint64_t first, uint64_t last,
                 mapped_visit *visit, void *ctx)
{
	struct mapped_search search = {space, visit, ctx};

	return interval_each(&space->mapped, group_of(object), first, last, visit_vma, &search);
}

struct vas *object_mapper(struct vas_object *object, uint64_t id)
{
	const struct interval *mapper;
	struct vas *space = NULL;

	lock_mappers(object);
	mapper = interval_next(&object->mappers, 0, id);
	if (mapper) {
		space = (struct vas *)(uintptr_t)mapper->id;
		__atomic_fetch_add(&space->pins, 1, __ATOMIC_RELAXED);
	}
	unlock_mappers(object);
	return space;
}

void space_unpin(struct vas *space)
{
	__atomic_fetch_sub(&space->pins, 1, __ATOMIC_RELEASE);
}

/* ---- Checking ------------------------------------------------------------------------------- */

/* Other spaces join and leave meanwhile. */
static bool is_known_to(struct vas_object *object, const struct vas *space)
{
	bool known;

	lock_mappers(object);
	known = interval_find(&object->mappers, 0, space->id, (uintptr_t)space);
	unlock_mappers(object);
	return known;
}

const char *mapped_check(const struct vas *space)
{
	const char *broken = interval_check(&space->mapped);
	uint64_t count = 0;
	struct vma vma;

	for (uint64_t addr = 0; !broken && vma_from(space, addr, &vma); addr = vma.end) {
		struct vas_object *object = vma.file ? vma.file->object : NULL;
		const struct interval *interval;

		if (!object)
			continue;
		count++;
		interval = interval_find(&space->mapped, group_of(object), vma.pgoff, vma.start);
		if (!interval || interval->last != vma.pgoff + vma_pages(space, &vma))
			broken = "a space has an interval for each vma that maps an object";
		else if (!is_known_to(object, space))
			broken = "a space that maps an object is one of its mappers";
	}
	if (!broken && count != space->mapped.count)
		broken = "a space has no interval but those of its vmas";
	return broken;
}

static bool is_mapping(void *ctx, const struct interval *mapper)
{
	return is_mapper((const struct vas *)(uintptr_t)mapper->id, ctx);
}

const char *mappers_check(struct vas_object *object)
{
	const char *broken = interval_check(&object->mappers);

	if (!broken && !interval_each(&object->mappers, 0, 0, ~(uint64_t)0, is_mapping, object))
		broken = "an object's mappers are the spaces that map it";
	return broken;
}
