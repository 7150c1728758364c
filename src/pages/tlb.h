/* tlb.h - translation caches: what must be invalidated, and what may be freed only then.
 *
 * A change of the page map collects, in a gather, the range whose translations have become stale
 * and the frames that lost their last user. Closing the gather invalidates everywhere, then frees:
 * no frame is used again while a CPU might still reach it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_SRC_TLB_H
#define VAS_SRC_TLB_H

#include "vas/vas.h"
#include "memory/frame.h"

/* Everyone who may cache translations of one space. */
struct tlb_domain {
	struct vas *space; /* only handed on to the hook */
	const struct vas_port *port;
	struct frame_pool *frames;
	struct vas_tlb *tlbs; /* the registered software TLBs */
};

struct tlb_gather {
	struct tlb_domain *domain;
	uint64_t start, end; /* the range that holds all that is stale; start >= end: none */
	uint32_t condemned;  /* frames to free, linked by frame.next */
};

VAS_INTERNAL void tlb_gather_begin(struct tlb_gather *gather, struct tlb_domain *domain);
VAS_INTERNAL void tlb_gather_range(struct tlb_gather *gather, uint64_t start, uint64_t end);

/* Drops one reference; the frame is freed when the gather ends, if that was the last. */
VAS_INTERNAL void tlb_gather_put(struct tlb_gather *gather, uint32_t frame);
VAS_INTERNAL void tlb_gather_end(struct tlb_gather *gather);

VAS_INTERNAL void tlb_init(struct vas_tlb *tlb, const struct vas_port *port);

/* After a miss of the owner's: the host address of `addr` if `tlb` knows it nevertheless, else NULL
 * and the owner is away. */
VAS_INTERNAL void *tlb_retry(struct vas_tlb *tlb, uint64_t addr, enum vas_access access);

/* Fills in what a leaf of `span` bytes that covers `addr` (found at `host`) allows, and the owner
 * may use it. The space's lock is held, at least shared. */
VAS_INTERNAL void tlb_fill(struct vas_tlb *tlb, uint64_t addr, unsigned rights, uint8_t *host,
                           uint64_t span);

#endif
