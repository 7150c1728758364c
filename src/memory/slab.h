/* slab.h - small objects (tree nodes, spaces, files) out of frames.
 *
 * A slab is one frame of objects of one size, charged to one payer; a frame that is empty goes
 * back. What the objects are is not known.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_SLAB_H
#define VAS_SLAB_H

#include "memory/frame.h"

#define SLAB_CLASSES 6

struct slab_cache {
	struct frame_pool *frames;
	uint32_t payer;                     /* of its slabs, see frame_alloc */
	struct spin lock;                   /* guards all below */
	struct slab *partial[SLAB_CLASSES]; /* slabs with room, by size class */
	uint64_t nslabs;
};

/* The largest object. */
#define SLAB_MAX ((size_t)1984)

VAS_INTERNAL void slab_init(struct slab_cache *cache, struct frame_pool *frames, uint32_t payer);

/* `size` bytes, zeroed, aligned to 16; NULL: no memory. */
VAS_INTERNAL void *slab_alloc(struct slab_cache *cache, size_t size);

/* Gives an object back to the cache that it came from. */
VAS_INTERNAL void slab_free(struct frame_pool *frames, void *object);

#endif
