/* hollow.h - page tables that Linux keeps while nothing is in them.
 *
 * vas lets go of a table with its last entry, Linux with the last vma of the addresses it is for:
 * and where there is a table no access maps a large page, and MADV_COLLAPSE finds something to do.
 * So the blocks of addresses, one leaf table each, whose table Linux would still have are noted
 * here. A note may be there although pages are in the block too; one for which there is no memory
 * is not made.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_HOLLOW_H
#define VAS_HOLLOW_H

#include "space/space.h"

/* Whether there is a table, empty or not, where nothing larger is. `block` is aligned. */
VAS_INTERNAL bool hollow_at(const struct vas *space, uint64_t block);

/* Forgets everything. */
VAS_INTERNAL void hollow_end(struct vas *space);

/* The blocks at the ends of a range, of which a part lies outside. */
struct hollow_ends {
	uint64_t block[2];
	unsigned n; /* those in which something is */
};

/* Pages of [start, end) are about to go, and have gone. */
VAS_INTERNAL void hollow_watch(struct vas *space, uint64_t start, uint64_t end,
                               struct hollow_ends *ends);
VAS_INTERNAL void hollow_note(struct vas *space, const struct hollow_ends *ends);

/* All small pages of the whole blocks of [start, end) are about to go, their tables stay. */
VAS_INTERNAL void hollow_keep(struct vas *space, uint64_t start, uint64_t end);

/* The tables of the whole blocks of [start, end) go. */
VAS_INTERNAL void hollow_forget(struct vas *space, uint64_t start, uint64_t end);

/* Vmas of [start, end) have gone, and their pages with them. */
VAS_INTERNAL void hollow_unmapped(struct vas *space, uint64_t start, uint64_t end);

/* Pages are about to move, and have moved; `stays`: the source is not unmapped then. Tables of
 * which a part moves are made at the target even if no page lies in that part: those at the ends of
 * the source have been watched. */
VAS_INTERNAL void hollow_move(struct vas *space, uint64_t from, uint64_t to, uint64_t len,
                              bool stays);
VAS_INTERNAL void hollow_moved(struct vas *space, uint64_t from, uint64_t to,
                               const struct hollow_ends *ends);

/* A child gets the tables of [start, end). */
VAS_INTERNAL void hollow_fork(struct vas *child, const struct vas *parent, uint64_t start,
                              uint64_t end);

#endif
