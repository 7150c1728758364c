/* access.c - reading, writing and translating guest addresses for the host.
 *
 * Only frames that a leaf of the space allows are ever reached; every page is looked up, so no
 * address and no length can lead elsewhere.
 *
 * SPDX-License-Identifier: MIT */
#include "calls.h"

/* Where the byte at addr is, its page made present; the leaf that maps it. On 0 the space is locked
 * shared, so that the page stays until the caller unlocks. */
static int64_t locate(struct vas *space, uint64_t addr, enum vas_access access, uint8_t **host,
                      struct entry *leaf, struct vas_signal *signal)
{
	const struct frame_pool *frames = &space->system->frames;
	unsigned level = 0;
	int64_t err;

	if (signal)
		*signal = (struct vas_signal){0};
	for (;;) {
		space_lock_shared(space);
		*leaf = (struct entry){.kind = ENTRY_ABSENT};
		if (addr < vas_task_size(space))
			*leaf = pagemap_lookup(&space->pages, addr, &level);
		if (leaf->kind == ENTRY_LEAF && (leaf->rights & access))
			break;
		space_unlock_shared(space);
		err = vas_fault(space, addr, access, signal);
		if (err)
			return err;
	}
	*host = frames->memory + (leaf->phys - frames->phys) +
	        (addr & (format_span(space->system->format, level) - 1));
	return 0;
}

/* How much of len lies on the page of addr. */
static uint64_t page_part(const struct vas *space, uint64_t addr, uint64_t len)
{
	uint64_t page = space_page_size(space);

	return min_u64(len, page - (addr & (page - 1)));
}

int64_t vas_read(struct vas *space, void *to, uint64_t addr, uint64_t len,
                 struct vas_signal *signal)
{
	uint8_t *out = to;

	while (len > 0) {
		uint64_t n = page_part(space, addr, len);
		struct entry leaf;
		uint8_t *host;
		int64_t err = locate(space, addr, VAS_READ, &host, &leaf, signal);

		if (err)
			return err;
		memcpy(out, host, (size_t)n);
		space_unlock_shared(space);
		out += n;
		addr += n;
		len -= n;
	}
	return 0;
}

int64_t vas_write(struct vas *space, uint64_t addr, const void *from, uint64_t len,
                  struct vas_signal *signal)
{
	const uint8_t *in = from;

	while (len > 0) {
		uint64_t n = page_part(space, addr, len);
		struct entry leaf;
		uint8_t *host;
		int64_t err = locate(space, addr, VAS_WRITE, &host, &leaf, signal);

		if (err)
			return err;
		memcpy(host, in, (size_t)n);
		space_unlock_shared(space);
		in += n;
		addr += n;
		len -= n;
	}
	return 0;
}

int64_t vas_translate(struct vas *space, struct vas_tlb *tlb, uint64_t addr, enum vas_access access,
                      void **host, struct vas_signal *signal)
{
	const struct vas_port *port = &space->system->port;
	unsigned page_shift = space->system->format->page_shift;
	uint8_t *byte = NULL;
	struct entry leaf;
	int64_t err;

	if (tlb_enter(port, tlb))
		byte = tlb_find(tlb, addr, access, page_shift);
	if (!byte) {
		vas_tlb_leave(tlb);
		err = locate(space, addr, access, &byte, &leaf, signal);
		if (err)
			return err;
		/* Nobody invalidates while the lock is held. */
		if (leaf.rights & RIGHT_READ)
			tlb_fill(tlb, addr, leaf.rights & RIGHT_WRITE,
			         byte - (addr & (space_page_size(space) - 1)), page_shift);
		tlb_enter(port, tlb);
		space_unlock_shared(space);
	}
	*host = byte;
	return 0;
}
