/* object.h - what stands behind shared memory and files: pages by index, and open files.
 *
 * An object is an inode's page cache: a radix tree of frames, filled with zeros or by the
 * embedder's callbacks. A file is an open file description of it. Which spaces map an object it
 * knows (mapped.h); it keeps one reference on each of its frames, every leaf that maps one another.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_OBJECT_H
#define VAS_OBJECT_H

#include "vas/vas.h"
#include "memory/frame.h"
#include "memory/slab.h"
#include "tree/interval.h"

/* Invariants (verified by object_check):
 *   a radix node has live == its words that are not zero, and is not empty
 *   npages is the number of pages in the tree, ntables that of radix nodes
 *   no page lies past the end: index < pages(size) */
struct vas_object {
	struct vas_object *next, *prev; /* in system->objects */
	struct spin work;               /* one at a time truncates, punches, writes back: rmap.c */
	struct spin lock;               /* guards the radix tree, size, hole and mappers */
	struct interval_tree mappers;   /* the spaces that map it: see mapped.h */
	uint64_t hole_first, hole_last; /* pages about to go: faults wait meanwhile */
	struct vas_system *system;
	const struct vas_object_ops *ops;
	void *ctx;
	uint64_t size;            /* bytes */
	uint32_t refs;            /* atomic if there are threads */
	uint32_t root;            /* radix node, or FRAME_NONE */
	unsigned height;          /* radix levels; 0: empty */
	uint64_t npages, ntables; /* a large page counts as one */
	uint64_t charged;         /* pages of commit charge given back with the object */
	unsigned level;    /* of its pages: 0, or those of the huge page pool (MAP_HUGETLB) */
	uint64_t reserved; /* pages of the pool that are kept for it and not yet in use */
};

struct vas_file {
	struct vas_object *object; /* NULL: only a name (special and opaque mappings) */
	struct vas_system *system;
	struct vas_file_info info;
	uint32_t refs; /* atomic if there are threads */
};

/* References on objects and files. ref_put: that was the last. */
VAS_INTERNAL void ref_get(struct vas_system *system, uint32_t *refs);
VAS_INTERNAL bool ref_put(struct vas_system *system, uint32_t *refs);

VAS_INTERNAL void file_get(struct vas_file *file);
VAS_INTERNAL bool file_has_users(const struct vas_file *file);

/* An object whose record is in `slab`. NULL: no memory. */
VAS_INTERNAL struct vas_object *object_make(struct vas_system *system, struct slab_cache *slab,
                                            const struct vas_object_ops *ops, void *ctx,
                                            uint64_t size);

/* A file that is only a name, for maps; its record is in `slab`. NULL: no memory. */
VAS_INTERNAL struct vas_file *file_named(struct vas_system *system, struct slab_cache *slab,
                                         const struct vas_file_info *info);

/* Shared anonymous memory of `npages` pages: a memory file with the name Linux shows. */
VAS_INTERNAL struct vas_file *file_shared_anon(struct vas_system *system, struct slab_cache *slab,
                                               uint64_t npages);

/* Memory of the huge page pool for MAP_HUGETLB, `level` 1 or 2. NULL: no memory. */
VAS_INTERNAL struct vas_file *file_hugetlb(struct vas_system *system, struct slab_cache *slab,
                                           unsigned level, uint64_t len);

/* The frame of page `index`, made present if need be: `payer` pays for it then. No reference is
 * taken. 0; -EIO: past the end, or the callback failed; -ENOMEM; -EAGAIN: the page is about to go
 * (object_hole), to be asked again without any lock. */
VAS_INTERNAL int64_t object_page(struct vas_object *object, uint32_t payer, uint64_t index,
                                 uint32_t *frame);

/* Gives the object a page: takes over the reference on *frame (and on those behind it, if pages are
 * large). If it has the page already, *frame becomes that one. False: no memory. */
VAS_INTERNAL bool object_insert(struct vas_object *object, uint32_t payer, uint64_t index,
                                uint32_t *frame);

/* Frames in one page of the object. */
VAS_INTERNAL uint32_t object_page_frames(const struct vas_object *object);

/* The frame if it is present, or FRAME_NONE. With a reference for the caller, who may map it, and
 * the page marked as written if `dirty`; but not if it is about to go. */
VAS_INTERNAL uint32_t object_find(struct vas_object *object, uint64_t index);
VAS_INTERNAL uint32_t object_find_get(struct vas_object *object, uint64_t index, bool dirty);

/* The huge page pool. Keeps pages of it for the object, if besides those in use or kept already
 * there are as many. */
VAS_INTERNAL bool system_reserve_huge(struct vas_system *system, struct vas_object *object,
                                      uint64_t npages);

/* Takes one page's place in the pool, which stays promised to the caller: the object's (`*was_its`)
 * if it may have one of those kept for it, else one that nobody has. False: there is none. */
VAS_INTERNAL bool system_take_huge(struct vas_system *system, struct vas_object *object,
                                   bool may_have, bool *was_its);

/* What has become of the promise: `block` is in use, or FRAME_NONE: it is given back. */
VAS_INTERNAL void system_took_huge(struct vas_system *system, struct vas_object *object,
                                   uint32_t block, bool was_its);

/* Keeps so many more, or fewer (negative), whatever the pool has. */
VAS_INTERNAL void system_adjust_huge(struct vas_system *system, struct vas_object *object,
                                     int64_t npages);

/* Remembers that the page was written through a mapping: it is to be written back. */
VAS_INTERNAL void object_dirty(struct vas_object *object, uint64_t index);

VAS_INTERNAL bool object_is_dirty(struct vas_object *object, uint64_t index);

static inline bool object_is_written_back(const struct vas_object *object)
{
	return object->ops && object->ops->write_page;
}

/* Work that takes pages away or writes them back, from the first look to the last page: one at a
 * time for an object. Taken before any space's lock; who waits for it waits for callbacks too. */
VAS_INTERNAL void object_work_begin(struct vas_object *object);
VAS_INTERNAL void object_work_end(struct vas_object *object);

/* Dirty pages on their way to the file; neighbours, so that to reach where one is mapped is to
 * reach where most are. */
#define OBJECT_BATCH 64u
struct object_batch {
	uint64_t index[OBJECT_BATCH];
	uint32_t frame[OBJECT_BATCH];
	unsigned n;
};

/* Takes the next dirty pages of [*from, last), which count as clean from now on: before anyone
 * writes to them again he faults, once their mappings are made read-only, and then they are dirty
 * again. *from: where to go on; false: nowhere. */
VAS_INTERNAL bool object_take_dirty(struct vas_object *object, uint64_t *from, uint64_t last,
                                    struct object_batch *batch);

/* Writes them back, those after one that fails too. 0 or the first error; what was not written is
 * dirty again. */
VAS_INTERNAL int64_t object_write(struct vas_object *object, const struct object_batch *batch);

/* Pages [first, last) are about to go: whoever faults for one has to ask again, until the hole is
 * [0, 0). For those who work on the object. */
VAS_INTERNAL void object_hole(struct vas_object *object, uint64_t first, uint64_t last);
VAS_INTERNAL bool object_is_in_hole(struct vas_object *object, uint64_t index);

/* Lets go of the pages of [first, last): nothing maps them any more. */
VAS_INTERNAL void object_drop(struct vas_object *object, uint64_t first, uint64_t last);

/* The size in bytes, and in pages. */
VAS_INTERNAL uint64_t object_size(const struct vas_object *object);
VAS_INTERNAL void object_set_size(struct vas_object *object, uint64_t size);
VAS_INTERNAL uint64_t object_npages(const struct vas_object *object);

/* Calls visit for each frame the object holds: pages and radix nodes. */
VAS_INTERNAL void object_frames(const struct vas_object *object, void (*visit)(void *, uint32_t),
                                void *ctx);
VAS_INTERNAL const char *object_check(const struct vas_object *object);

#endif
