/* elsewhere.c - the hooks of a space whose pages are elsewhere.
 *
 * Owns the translation of a vma into the embedder's struct vas_region, and nothing else: whether a
 * hook may still refuse is what elsewhere.h and its callers know.
 *
 * SPDX-License-Identifier: MIT */
#include "space/elsewhere.h"

static struct vas_region region_of(const struct vas *space, const struct vma *vma)
{
	return (struct vas_region){
		.start = vma->start,
		.end = vma->end,
		.flags = vma->flags,
		.offset = vma->pgoff * space_page_size(space),
		.file = vma->file,
		.touched = vma->anon != 0,
		.forked = vma_is_forked(vma),
		.identity = vma->anon >> 1,
	};
}

int64_t elsewhere_map(struct vas *space, const struct vma *vma, uint64_t map)
{
	const struct vas_port *port = &space->system->port;
	struct vas_region region;

	if (!port->pages)
		return 0;
	region = region_of(space, vma);
	return port->pages->map(port->ctx, space, &region, map);
}

int64_t elsewhere_unmap(struct vas *space, uint64_t start, uint64_t end)
{
	const struct vas_port *port = &space->system->port;

	return port->pages ? port->pages->unmap(port->ctx, space, start, end) : 0;
}

int64_t elsewhere_protect(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end,
                          uint64_t flags)
{
	const struct vas_port *port = &space->system->port;
	struct vas_region region;

	if (!port->pages)
		return 0;
	region = region_of(space, vma);
	return port->pages->protect(port->ctx, space, &region, start, end, flags);
}

int64_t elsewhere_move(struct vas *space, const struct vma *vma, struct vas_move *move)
{
	const struct vas_port *port = &space->system->port;
	struct vas_region region;

	if (!port->pages)
		return 0;
	region = region_of(space, vma);
	move->vma = &region;
	return port->pages->move(port->ctx, space, move);
}

int64_t elsewhere_advise(struct vas *space, const struct vma *vma, uint64_t start, uint64_t end,
                         uint64_t advice)
{
	const struct vas_port *port = &space->system->port;
	struct vas_region region;

	if (!port->pages || start >= end)
		return 0;
	region = region_of(space, vma);
	return port->pages->advise(port->ctx, space, &region, start, end, advice);
}
