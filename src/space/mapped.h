/* mapped.h - from an object to where it is mapped.
 *
 * A space keeps an interval for each of its vmas that maps an object: of the object's group, the
 * pages it maps, named by the vma's start. An object keeps one for each space that has any: its
 * mappers, in order of the spaces' ids. Spaces change their intervals with their vmas, under their
 * lock, so that only a first and a last mapping touch what others share.
 *
 * Who reaches from an object to its mappings goes from mapper to mapper, and has one space's lock
 * at a time. Mappings come while he is on his way: new ones, which have no pages yet; those that
 * move within a space, which he sees before or after; those of a child, whose id is above its
 * parent's, so that it has nothing that he has taken away already, or he comes there later.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_MAPPED_H
#define VAS_MAPPED_H

#include "space/space.h"

/* `nnew` vmas are about to stand in the place of the `nold` from `start` on, all of one file:
 * forgets those and notes these. The memory has been reserved (space_reserve). */
VAS_INTERNAL RARELY void mapped_exchange(struct vas *space, struct vas_object *object,
                                         uint64_t start, unsigned nold, const struct vma *new,
                                         unsigned nnew);

/* Calls visit for each vma that maps some of pages [first, last) of the object, until it answers
 * false; false then. It may not change vmas. */
typedef bool mapped_visit(void *ctx, struct vas *space, const struct vma *vma);
VAS_INTERNAL bool mapped_each(struct vas *space, struct vas_object *object, uint64_t first,
                              uint64_t last, mapped_visit *visit, void *ctx);

/* The mapper with the lowest id from `id` on, which stays until it is unpinned; NULL: none. */
VAS_INTERNAL struct vas *object_mapper(struct vas_object *object, uint64_t id);
VAS_INTERNAL void space_unpin(struct vas *space);

/* NULL, or the words of the invariant that does not hold:
 *   a space has an interval for each of its vmas that maps an object, and no other
 *   an object's mappers are the spaces that map it */
VAS_INTERNAL const char *mapped_check(const struct vas *space);
VAS_INTERNAL const char *mappers_check(struct vas_object *object);

#endif
