/* check.c - every invariant of a space and every frame of a system, verified.
 *
 * The words of an answer are those that stand beside the structures.
 *
 * SPDX-License-Identifier: MIT */
#include "space/linux.h"
#include "space/mapped.h"
#include "space/vma.h"

/* ---- A space -------------------------------------------------------------------------------- */

struct census {
	struct vas *space;
	uint64_t locked;
	struct vma vma; /* the one whose leaves are being looked at */
	const char *broken;
};

static void census_vma(struct census *census, const struct vma *vma)
{
	struct vas *space = census->space;
	uint64_t npages = vma_pages(space, vma);

	if (vma->flags & VAS_VM_LOCKED)
		census->locked += npages;
	if (!space_is_aligned(space, vma->start | vma->end) || vma->end > vas_task_size(space))
		census->broken =
			"every vma is page aligned and below the end of the user's addresses";
	if (vma->anon && (vma->flags & VAS_VM_SHARED) && linux_notes_guards(space))
		census->broken = "a touched vma is private";
	if (vma->file && !file_has_users(vma->file))
		census->broken = "a vma's file has a reference";
	if (!pagemap_is_split_at(&space->pages, vma->start) ||
	    !pagemap_is_split_at(&space->pages, vma->end))
		census->broken = "no leaf and no shared table crosses the border of a vma";
	if ((vma->flags & VAS_VM_SHARED) && !(vma->flags & VAS_VM_MAYSHARE))
		census->broken = "what is shared was mapped shared";
}

static bool census_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct census *census = ctx;
	struct vas *space = census->space;
	const struct frame_pool *frames = &space->system->frames;
	uint64_t end = addr + format_span(space->system->format, level);
	struct vma *vma = &census->vma;

	if (vma->end <= addr || vma->start > addr) {
		if (!vma_at(space, addr, vma)) {
			census->broken = "every leaf and mark lies in a vma";
			return false;
		}
	}
	if (end > vma->end)
		census->broken = "no leaf reaches over the end of its vma";
	if (entry->kind != ENTRY_LEAF)
		return !census->broken;
	if (entry->rights & ~vma_rights(space, vma->flags))
		census->broken = "no leaf has a right that its vma has not";
	if (entry->rights && !(entry->accessed && (entry->dirty || !(entry->rights & RIGHT_WRITE))))
		census->broken = "a leaf that may be accessed is accessed, one that may be written "
				 "is dirty";
	if (entry->phys < frames->phys || frame_of_phys(frames, entry->phys) < frames->reserved ||
	    frame_of_phys(frames, entry->phys) >= frames->count)
		census->broken = "every leaf maps a frame of the region";
	else if (frame_refs(frames, frame_of_phys(frames, entry->phys)) == 0)
		census->broken = "every mapped frame has a reference";
	else if ((frame_of_phys(frames, entry->phys) == space->system->zero ||
	          frame_is_zeros(frames, frame_of_phys(frames, entry->phys))) &&
	         (entry->rights & RIGHT_WRITE))
		census->broken = "the frame and the block of zeros are never writable";
	return !census->broken;
}

static const char *census_counters(struct census *census)
{
	struct vas *space = census->space;
	struct vas sums = {.system = space->system};
	struct vma vma;

	for (uint64_t addr = 0; vma_from(space, addr, &vma); addr = vma.end) {
		census_vma(census, &vma);
		space_count(&sums, vma.flags, vma_pages(space, &vma));
	}
	if (census->broken)
		return census->broken;
	if (sums.size != space->size || sums.data != space->data || sums.stack != space->stack ||
	    sums.exec != space->exec)
		return "size, data, stack and exec are the sums over the vmas they count";
	if (space->peak < space->size)
		return "peak is not below size";
	if (census->locked != space->locked)
		return "locked is the sum over the locked vmas";
	return NULL;
}

/* The space is locked exclusively, or nobody else has it. */
static const char *check(struct vas *space)
{
	struct census census = {.space = space};
	const char *broken = range_tree_check(&space->tree);

	if (!broken)
		broken = mapped_check(space);
	if (!broken)
		broken = census_counters(&census);
	if (!broken)
		broken = pagemap_check(&space->pages);
	if (!broken) {
		pagemap_walk(&space->pages, 0, vas_task_size(space), census_leaf, &census);
		broken = census.broken;
	}
	return broken;
}

const char *vas_check(struct vas *space)
{
	const char *broken;

	space_lock(space);
	broken = check(space);
	space_let_go(space);
	return broken;
}

/* ---- A system ------------------------------------------------------------------------------- */

/* Counts references down over all users; what is right ends at zero, and is counted up again. */
struct audit {
	struct vas_system *system;
	uint32_t step; /* added to a frame's count per reference: -1, then +1 */
};

static void audit_frame(void *ctx, uint32_t frame)
{
	struct audit *audit = ctx;

	audit->system->frames.frame[frame].refs += audit->step;
}

static void audit_users(struct audit *audit)
{
	struct vas_system *system = audit->system;

	audit_frame(audit, system->zero);
	for (uint32_t i = 0; i < format_frames(system->format, 1) && system->frames.zeros; i++)
		audit_frame(audit, system->frames.zeros + i);
	for (struct vas *space = system->spaces; space; space = space->next)
		pagemap_recount(&space->pages, audit->step);
	for (struct vas_object *object = system->objects; object; object = object->next)
		object_frames(object, audit_frame, audit);
}

/* Frames that still have references after all users were subtracted: those of slabs. */
static const char *audit_left(const struct vas_system *system, uint64_t *left)
{
	const struct frame_pool *frames = &system->frames;

	*left = 0;
	for (uint32_t i = frames->reserved; i < frames->count; i++) {
		if (frames->frame[i].refs > 1)
			return "a frame's count is the number of its users";
		*left += frames->frame[i].refs;
		if (frames->frame[i].refs && frames->frame[i].state == FRAME_FREE)
			return "a free frame has no references";
	}
	return NULL;
}

/* Frames of slabs, of all groups and of none; and the groups' own records. */
static uint64_t count_records(const struct vas_system *system)
{
	uint64_t n = system->slab.nslabs;

	for (const struct vas_group *group = system->frames.groups; group; group = group->next)
		n += 1 + group->slab.nslabs;
	return n;
}

/* Frames by who pays for them. */
static const char *audit_groups(struct vas_system *system)
{
	const struct frame_pool *frames = &system->frames;

	for (struct vas_group *group = frames->groups; group; group = group->next)
		group->audited = 0;
	for (uint32_t i = frames->reserved; i < frames->count; i++) {
		if (frames->frame[i].refs && frames->payer[i] != FRAME_NONE)
			group_named(frames, frames->payer[i])->audited++;
	}
	for (struct vas_group *group = frames->groups; group; group = group->next) {
		if (group->audited != group_used(group))
			return "the frames that a group is charged for are those whose payer it is";
	}
	return NULL;
}

static const char *audit_free(const struct vas_system *system)
{
	const struct frame_pool *frames = &system->frames;
	uint64_t used = 0;

	for (uint32_t i = frames->reserved; i < frames->count; i++)
		used += frames->frame[i].refs > 0;
	if (used + frames->nfree != frames->count - frames->reserved)
		return "every frame is free or in use";
	return NULL;
}

static const char *audit_committed(const struct vas_system *system)
{
	uint64_t charged = 0;
	struct vma vma;

	for (struct vas *space = system->spaces; space; space = space->next) {
		for (uint64_t addr = 0; vma_from(space, addr, &vma); addr = vma.end)
			charged += vma.flags & VAS_VM_ACCOUNT ? vma_pages(space, &vma) : 0;
	}
	for (struct vas_object *object = system->objects; object; object = object->next)
		charged += object->charged;
	return charged == system->committed ? NULL : "committed is the sum of what is charged";
}

const char *vas_audit(struct vas_system *system)
{
	struct audit audit = {.system = system, .step = (uint32_t)-1};
	const char *broken;
	uint64_t left;

	for (struct vas_object *object = system->objects; object; object = object->next) {
		broken = object_check(object);
		if (!broken)
			broken = mappers_check(object);
		if (broken)
			return broken;
	}
	audit_users(&audit);
	broken = audit_left(system, &left);
	if (!broken && left != count_records(system))
		broken = "no frame is lost";
	audit.step = 1;
	audit_users(&audit);
	if (!broken)
		broken = audit_free(system);
	if (!broken)
		broken = audit_groups(system);
	return broken ? broken : audit_committed(system);
}

/* ---- After each call ------------------------------------------------------------------------ */

#ifdef VAS_CHECKED

/* What a check looks at, in words or records, may on the average be so much for each call: those of
 * an empty space are checked after every 64th, of larger ones the more seldom. */
#define CHECK_CREDIT 32u
#define AUDIT_CREDIT 256u

void space_verify(struct vas *space)
{
	space->check_credit += CHECK_CREDIT;
	if (space->ends || space_is_paused(space) || space->check_credit < space->check_cost)
		return;
	vas_assert(check(space) == NULL);
	space->check_credit = 0;
	space->check_cost = space->tree.count * 8 + pagemap_count_tables(&space->pages) *
	                                                    format_entries(space->system->format);
}

void system_verify(struct vas_system *system)
{
	if (system->port.threads)
		return; /* others change what it counts */
	system->audit_credit += AUDIT_CREDIT;
	if (system->audit_credit < system->frames.count)
		return;
	system->audit_credit = 0;
	vas_assert(vas_audit(system) == NULL);
}

#endif
