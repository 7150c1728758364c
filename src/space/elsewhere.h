/* elsewhere.h - the pages of a space that only keeps the books are changed by the embedder's hooks
 * (struct vas_pages in vas/port.h).
 *
 * Each function is the last step of its call that may fail, and is called by that step alone; over
 * a space whose pages are in frames it does nothing and answers 0. The space's page map stays
 * empty, so all that is done to pages after a hook has answered does nothing.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_ELSEWHERE_H
#define VAS_ELSEWHERE_H

#include "space/vma.h"

static inline bool space_is_elsewhere(const struct vas *space)
{
	return space->system->port.pages != NULL;
}

/* A new vma is about to be placed, with the call's MAP_* flags. */
VAS_INTERNAL int64_t elsewhere_map(struct vas *space, const struct vma *vma, uint64_t map);

VAS_INTERNAL int64_t elsewhere_unmap(struct vas *space, uint64_t start, uint64_t end);

/* [start, end) inside *vma is about to get other flags. */
VAS_INTERNAL int64_t elsewhere_protect(struct vas *space, const struct vma *vma, uint64_t start,
                                       uint64_t end, uint64_t flags);

/* *move lacks its vma yet. */
VAS_INTERNAL int64_t elsewhere_move(struct vas *space, const struct vma *vma,
                                    struct vas_move *move);

/* Of what lies in *vma. */
VAS_INTERNAL int64_t elsewhere_advise(struct vas *space, const struct vma *vma, uint64_t start,
                                      uint64_t end, uint64_t advice);

#endif
