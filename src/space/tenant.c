/* tenant.c - groups of spaces as their embedder sees them.
 *
 * Owns the handles and the question that an embedder is asked when a limit forbids (group_ask):
 * with no lock held, when the call has changed nothing that would keep it from being made again.
 *
 * SPDX-License-Identifier: MIT */
#include "space/space.h"

int64_t vas_group_create(struct vas_system *system, const struct vas_group_params *params,
                         struct vas_group **group)
{
	uint32_t index = group_make(&system->frames, params);

	if (index == FRAME_NONE)
		return -VAS_ENOMEM;
	*group = group_named(&system->frames, index);
	return 0;
}

void vas_group_put(struct vas_group *group)
{
	group_let_go(group);
}

void vas_group_set_limit(struct vas_group *group, uint64_t max_frames)
{
	__atomic_store_n(&group->limit, max_frames, __ATOMIC_RELAXED);
}

void vas_group_get_usage(const struct vas_group *group, struct vas_group_usage *usage)
{
	*usage = (struct vas_group_usage){
		.frames = group_used(group),
		.max_frames = __atomic_load_n(&group->limit, __ATOMIC_RELAXED),
		.refusals = group_refusals(group),
	};
}

struct vas_group *vas_group_of(const struct vas *space)
{
	return space->group;
}

static __attribute__((noinline)) bool ask(struct vas_group *group, struct vas *space,
                                          uint64_t *refusals)
{
	uint64_t before = *refusals;

	*refusals = group_refusals(group);
	return *refusals != before && group->params.reached &&
	       group->params.reached(group->params.ctx, group, space);
}

bool group_ask(struct vas_group *group, struct vas *space, uint64_t *refusals)
{
	return group && ask(group, space, refusals);
}
