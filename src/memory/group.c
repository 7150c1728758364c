/* group.c - what a group of spaces is charged for.
 *
 * Owns the count of a group's frames and holders in one word, so that the last one who goes is told
 * from all others; the limit is asked before a frame is taken. Which spaces are in it is not known.
 *
 * SPDX-License-Identifier: MIT */
#include "memory/group.h"

uint64_t group_used(const struct vas_group *group)
{
	return __atomic_load_n(&group->users, __ATOMIC_RELAXED) & (GROUP_HOLDER - 1);
}

/* Counted in one step, so that nobody is refused for what another has asked for in vain. Apart, so
 * that those without a group save no registers. */
static __attribute__((noinline)) bool charge(struct frame_pool *pool, uint32_t payer, uint64_t n)
{
	struct vas_group *group = group_named(pool, payer);
	uint64_t limit = __atomic_load_n(&group->limit, __ATOMIC_RELAXED);
	uint64_t users = __atomic_load_n(&group->users, __ATOMIC_RELAXED);

	do {
		uint64_t used = users & (GROUP_HOLDER - 1);

		if (used >= limit || n > limit - used) {
			__atomic_fetch_add(&group->refusals, 1, __ATOMIC_RELAXED);
			return false;
		}
	} while (!__atomic_compare_exchange_n(&group->users, &users, users + n, true,
	                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

bool group_charge(struct frame_pool *pool, uint32_t payer, uint64_t n)
{
	return payer == FRAME_NONE || charge(pool, payer, n);
}

static void end_group(struct frame_pool *pool, struct vas_group *group)
{
	uint32_t index = frame_of_host(pool, group);

	vas_assert(group->slab.nslabs == 0);
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	if (group->prev)
		group->prev->next = group->next;
	else
		pool->groups = group->next;
	if (group->next)
		group->next->prev = group->prev;
	spin_unlock(pool->port, &pool->lock);
	if (frame_put(pool, index))
		frame_free(pool, index);
}

static __attribute__((noinline)) void users_drop(struct frame_pool *pool, struct vas_group *group,
                                                 uint64_t n)
{
	if (__atomic_sub_fetch(&group->users, n, __ATOMIC_ACQ_REL) == 0)
		end_group(pool, group);
}

void group_uncharge(struct frame_pool *pool, uint32_t payer, uint64_t n)
{
	if (payer != FRAME_NONE)
		users_drop(pool, group_named(pool, payer), n);
}

void group_hold(struct vas_group *group)
{
	__atomic_fetch_add(&group->users, GROUP_HOLDER, __ATOMIC_RELAXED);
}

void group_let_go(struct vas_group *group)
{
	users_drop(group->slab.frames, group, GROUP_HOLDER);
}

uint32_t group_make(struct frame_pool *pool, const struct vas_group_params *params)
{
	uint32_t index = frame_alloc_zeroed(pool, FRAME_NONE);
	struct vas_group *group = frame_host(pool, index);

	if (index == FRAME_NONE)
		return FRAME_NONE;
	slab_init(&group->slab, pool, index);
	group->params = *params;
	group->limit = params->max_frames;
	group->users = GROUP_HOLDER;
	spin_lock(pool->port, &pool->lock, LOCK_FRAMES);
	group->next = pool->groups;
	if (group->next)
		group->next->prev = group;
	pool->groups = group;
	spin_unlock(pool->port, &pool->lock);
	return index;
}
