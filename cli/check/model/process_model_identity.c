/* process_model_identity.c - anonymous identities that could not be known for certain.
 *
 * Which identity memory has depends on when it was first written, beside which neighbours. That is
 * seen late, and of memory that another thread writes during a call not exactly. What may have
 * another identity than vas gave it is marked; if maps then differ only in whether such memory and
 * a neighbour are one, that is no difference found but something not known, and is taken over.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "check/model/process_model_internal.h"

/* ---- The marks ------------------------------------------------------------------------------- */

static size_t place_of(const struct model *model, uint64_t identity)
{
	size_t at = (size_t)(identity * 0x9e3779b97f4a7c15u >> 20) & (model->unsure_room - 1);
	while (model->unsure[at] && model->unsure[at] != identity)
		at = (at + 1) & (model->unsure_room - 1);
	return at;
}

static bool make_room(struct model *model)
{
	size_t old_room = model->unsure_room, room = old_room ? 2 * old_room : 64;
	uint64_t *old = model->unsure, *table = calloc(room, sizeof(*table));
	if (!table)
		return false;
	model->unsure = table;
	model->unsure_room = room;
	for (size_t i = 0; i < old_room; i++)
		if (old[i])
			table[place_of(model, old[i])] = old[i];
	free(old);
	return true;
}

bool model_is_marked(const struct model *model, uint64_t identity)
{
	return model->nunsure && identity && model->unsure[place_of(model, identity)] == identity;
}

/* Without memory for it a mark is lost: then a difference may be found that is none. */
void model_mark(struct model *model, uint64_t identity)
{
	if (!identity || model_is_marked(model, identity))
		return;
	if (2 * model->nunsure >= model->unsure_room && !make_room(model))
		return;
	model->unsure[place_of(model, identity)] = identity;
	model->nunsure++;
}

static bool region_at(struct vas *vas, uint64_t addr, struct vas_region *region)
{
	return vas_next_region(vas, addr, region) && region->start <= addr;
}

void model_mark_at(struct model *model, struct vas *vas, uint64_t addr)
{
	struct vas_region region;
	if (region_at(vas, addr, &region))
		model_mark(model, region.identity);
}

/* In a child all that was written has an identity of its own, if it was written. */
void model_mark_child(struct model *model, struct vas *parent, struct vas *child)
{
	struct vas_region region = {.end = 0};
	while (model->nunsure && vas_next_region(parent, region.end, &region))
		if (model_is_marked(model, region.identity))
			model_mark_at(model, child, region.start);
}

/* ---- Who may have whose identity ------------------------------------------------------------- */

static uint64_t unlike(const struct vas_region *a, const struct vas_region *b)
{
	return (a->flags ^ b->flags) & ~(uint64_t)VAS_VM_MAYBE_GUARD;
}

/* Whether either may take the other's identity when it is first written. */
static bool lends(const struct vas_region *low, const struct vas_region *high)
{
	const uint64_t rights = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_EXEC;
	return low->end == high->start && low->file == high->file &&
	       !(unlike(low, high) & ~rights) && !(low->flags & VAS_VM_POLICY) &&
	       low->offset + (low->end - low->start) == high->offset;
}

static bool is_recent(const struct space *space, const struct vas_region *region)
{
	unsigned n = space->nrecent < RECENT ? space->nrecent : RECENT;
	for (unsigned i = 0; i < n; i++)
		if (space->recent[i] >= region->start && space->recent[i] < region->end)
			return true;
	return false;
}

/* The row of mappings around one that has just been written, each of which may have another's
 * identity; so many of them have only now turned out to be written. */
struct row {
	struct vas_region first, last;
	unsigned n, nrecent;
};

static void enter(struct row *row, const struct space *space, const struct vas_region *region)
{
	row->n++;
	row->nrecent += is_recent(space, region);
}

static void find_row(struct row *row, const struct space *space, const struct vas_region *middle)
{
	struct vas_region region;
	row->first = row->last = *middle;
	row->n = row->nrecent = 0;
	enter(row, space, middle);
	while (row->n < RECENT && row->first.start &&
	       region_at(space->vas, row->first.start - 1, &region) && region.identity &&
	       !region.forked && lends(&region, &row->first)) {
		row->first = region;
		enter(row, space, &region);
	}
	while (row->n < 2 * RECENT && region_at(space->vas, row->last.end, &region) &&
	       region.identity && !region.forked && lends(&row->last, &region)) {
		row->last = region;
		enter(row, space, &region);
	}
}

/* Two that are written in either order have one identity. Of three the outer ones may have been
 * written first, each by itself. */
void model_written(struct model *model, struct space *space, uint64_t addr)
{
	struct vas_region region;
	struct row row;
	space->recent[space->nrecent++ % RECENT] = addr;
	if (space->nrecent == 2 * RECENT)
		space->nrecent = RECENT;
	if (!region_at(space->vas, addr, &region))
		return;
	find_row(&row, space, &region);
	if (row.n < 3 || row.nrecent < 2)
		return;
	for (uint64_t at = row.first.start; at < row.last.end; at = region.end) {
		region_at(space->vas, at, &region);
		model_mark(model, region.identity);
	}
}

/* It grew before its neighbour was written or afterwards. */
void model_mark_grown(struct model *model, struct vas *vas, uint64_t addr)
{
	struct vas_region region, below;
	if (!region_at(vas, addr, &region) || !region.start ||
	    !region_at(vas, region.start - 1, &below) || !lends(&below, &region))
		return;
	model_mark(model, region.identity);
	model_mark(model, below.identity);
}

/* ---- Maps that differ ------------------------------------------------------------------------ */

/* A write beyond the end of a private file fails, no page shows it, but Linux counts it. */
static bool may_be_written(const struct model *model, const struct vas_region *region)
{
	const uint64_t shared = VAS_VM_SHARED | VAS_VM_MAYSHARE;
	const struct object *object = region->file ? model_object(model, region->file) : NULL;
	return object && !region->touched && !(region->flags & shared) &&
	       (region->flags & VAS_VM_MAYWRITE) &&
	       region->offset + (region->end - region->start) > object->size;
}

static bool is_unknown(const struct model *model, const struct vas_region *region)
{
	return model_is_marked(model, region->identity) || may_be_written(model, region);
}

/* Whether the mappings that meet at `at` may be one, or two, as far as is known. */
static bool border_unknown(const struct model *model, struct vas *vas, uint64_t at)
{
	struct vas_region low, high;
	if (!at || !region_at(vas, at, &high) || !region_at(vas, at - 1, &low))
		return false;
	return !unlike(&low, &high) && low.file == high.file &&
	       (is_unknown(model, &low) || is_unknown(model, &high));
}

bool model_joins_unknown(struct model *model, struct vas *vas, const struct map_lines *kernel,
                         const struct map_lines *own)
{
	size_t i = 0, k = 0;
	uint64_t at = 0;
	while (i < kernel->n && k < own->n) {
		const struct map_line *a = &kernel->line[i], *b = &own->line[k];
		uint64_t from = a->start > at ? a->start : at;
		if (from != (b->start > at ? b->start : at) || !map_line_alike(a, b))
			return false;
		if ((a->start == from) != (b->start == from) && !border_unknown(model, vas, from))
			return false;
		at = a->end < b->end ? a->end : b->end;
		i += a->end == at;
		k += b->end == at;
	}
	return i == kernel->n && k == own->n;
}

bool model_reaches_unknown(struct model *model, struct vas *vas, uint64_t start, uint64_t end)
{
	struct vas_region region = {.end = start};
	while (vas_next_region(vas, region.end, &region) && region.start < end)
		if (is_unknown(model, &region))
			return true;
	return false;
}
