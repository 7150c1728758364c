/* group.h - groups of spaces, and the frames that each may take.
 *
 * Whoever takes a frame is charged for it until it is freed, whoever else comes to use it. A group
 * is named by the frame that its record fills, in the frames' `payer` too. Small objects are
 * charged by the slab: each group has slabs of its own.
 *
 * Invariants (verified by vas_audit):
 *   the frames that a group is charged for are those whose payer it is
 *   a group is there as long as it has a handle, a space, or a frame
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_GROUP_H
#define VAS_GROUP_H

#include "vas/vas.h"
#include "memory/slab.h"

struct vas_group {
	struct vas_group *next, *prev; /* in frames->groups, under its lock */
	struct slab_cache slab;
	struct vas_group_params params; /* but for the limit constant */

	/* Atomic if there are threads. */
	uint64_t users;    /* frames charged, and GROUP_HOLDER for each handle and each space */
	uint64_t limit;    /* frames */
	uint64_t refusals; /* how often the limit has forbidden */

	uint64_t audited; /* vas_audit's */
};

#define GROUP_HOLDER ((uint64_t)1 << 40)

static inline struct vas_group *group_named(const struct frame_pool *pool, uint32_t payer)
{
	return payer == FRAME_NONE ? NULL : frame_host(pool, payer);
}

/* Charges n frames, if anybody pays. False: the limit forbids it. */
VAS_INTERNAL bool group_charge(struct frame_pool *pool, uint32_t payer, uint64_t n);
VAS_INTERNAL void group_uncharge(struct frame_pool *pool, uint32_t payer, uint64_t n);

/* One holder more, or one less: with the last user the group goes. */
VAS_INTERNAL void group_hold(struct vas_group *group);
VAS_INTERNAL void group_let_go(struct vas_group *group);

/* A new group, with one holder, or FRAME_NONE. */
VAS_INTERNAL uint32_t group_make(struct frame_pool *pool, const struct vas_group_params *params);

/* Frames charged. */
VAS_INTERNAL uint64_t group_used(const struct vas_group *group);

#endif
