/* tlb.h - the software TLB, as vas sees it: looked up and filled for its owner, emptied for others.
 *
 * vas/tlb.h is the owner's side of it, inlined in his program.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_SRC_TLB_H
#define VAS_SRC_TLB_H

#include "vas/vas.h"
#include "base/lock.h"

/* What a list of TLBs knows of [start, end) is forgotten; on return no owner holds a pointer into
 * it. The space's lock is held exclusively. */
VAS_INTERNAL void tlb_invalidate(struct vas_tlb *tlbs, const struct vas_port *port, uint64_t start,
                                 uint64_t end);

VAS_INTERNAL void tlb_init(struct vas_tlb *tlb, const struct vas_port *port);

/* After a miss of the owner's: the host address of `addr` if `tlb` knows it nevertheless, else NULL
 * and the owner is away. */
VAS_INTERNAL void *tlb_retry(struct vas_tlb *tlb, const struct vas_port *port, uint64_t addr,
                             enum vas_access access);

/* Fills in what a leaf of `span` bytes that covers `addr` (found at `host`) allows, and the owner
 * may use it. The space's lock is held, at least shared. */
VAS_INTERNAL void tlb_fill(struct vas_tlb *tlb, uint64_t addr, unsigned rights, uint8_t *host,
                           uint64_t span);

#endif
