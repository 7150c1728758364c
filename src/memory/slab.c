/* slab.c - small objects out of frames: each slab is one frame cut into objects of one size.
 *
 * A slab begins with its header; free objects are chained through their first bytes. Slabs with
 * room are linked by class; a slab that becomes empty gives its frame back.
 *
 * SPDX-License-Identifier: MIT */
#include "memory/slab.h"

struct slab {
	struct slab *next, *prev; /* in the partial list of its class */
	struct slab_cache *cache;
	void *free;    /* first free object */
	uint32_t live; /* objects handed out */
	uint32_t class;
};

#define SLAB_HEADER 64 /* keeps objects on cache lines */

static const uint16_t class_size[SLAB_CLASSES] = {64, 128, 256, 496, 960, SLAB_MAX};

_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "a slab's header has grown");

void slab_init(struct slab_cache *cache, struct frame_pool *frames, uint32_t payer)
{
	*cache = (struct slab_cache){.frames = frames, .payer = payer};
}

static unsigned class_of(size_t size)
{
	unsigned class = 0;

	while (class_size[class] < size)
		class++;
	return class;
}

static void link_slab(struct slab_cache *cache, struct slab *slab)
{
	slab->prev = NULL;
	slab->next = cache->partial[slab->class];
	if (slab->next)
		slab->next->prev = slab;
	cache->partial[slab->class] = slab;
}

static void unlink_slab(struct slab_cache *cache, struct slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		cache->partial[slab->class] = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

static struct slab *new_slab(struct slab_cache *cache, unsigned class)
{
	size_t page = (size_t)1 << cache->frames->page_shift;
	uint32_t index = frame_alloc(cache->frames, cache->payer, 0);
	struct slab *slab;

	if (index == FRAME_NONE)
		return NULL;
	slab = frame_host(cache->frames, index);
	slab->cache = cache;
	slab->free = NULL;
	slab->live = 0;
	slab->class = class;
	for (size_t at = SLAB_HEADER; at + class_size[class] <= page; at += class_size[class]) {
		void **object = (void **)(void *)((uint8_t *)slab + at);

		*object = slab->free;
		slab->free = object;
	}
	link_slab(cache, slab);
	cache->nslabs++;
	return slab;
}

static void *take_object(struct slab_cache *cache, unsigned class)
{
	struct slab *slab = cache->partial[class];
	void *object;

	if (slab) {
		if (!frame_may_alloc(cache->frames))
			return NULL;
	} else {
		slab = new_slab(cache, class);
		if (!slab)
			return NULL;
	}
	object = slab->free;
	slab->free = *(void **)object;
	slab->live++;
	if (!slab->free)
		unlink_slab(cache, slab);
	return object;
}

void *slab_alloc(struct slab_cache *cache, size_t size)
{
	unsigned class = class_of(size);
	void *object;

	vas_assert(size <= SLAB_MAX);
	spin_lock(cache->frames->port, &cache->lock, LOCK_RECORDS);
	object = take_object(cache, class);
	spin_unlock(cache->frames->port, &cache->lock);
	return object ? memset(object, 0, class_size[class]) : NULL;
}

/* True: its slab is empty now, and off the list. */
static bool give_object(struct slab_cache *cache, struct slab *slab, void *object)
{
	vas_assert(slab->live > 0);
	if (!slab->free)
		link_slab(cache, slab);
	*(void **)object = slab->free;
	slab->free = object;
	if (--slab->live > 0)
		return false;
	unlink_slab(cache, slab);
	cache->nslabs--;
	return true;
}

/* The frame is freed last: with it the group may go that the cache belongs to. */
void slab_free(struct frame_pool *frames, void *object)
{
	uint32_t index = frame_of_host(frames, object);
	struct slab *slab = frame_host(frames, index);
	struct slab_cache *cache = slab->cache;
	bool empty;

	spin_lock(frames->port, &cache->lock, LOCK_RECORDS);
	empty = give_object(cache, slab, object);
	spin_unlock(frames->port, &cache->lock);
	if (empty && frame_put(frames, index))
		frame_free(frames, index);
}
