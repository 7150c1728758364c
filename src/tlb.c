/* tlb.c - gathering invalidations, and the software TLB.
 *
 * SPDX-License-Identifier: MIT */
#include "tlb.h"

#define TLB_NO_PAGE (~(uint64_t)0)

/* ---- Gathering ------------------------------------------------------------------------------ */

void tlb_gather_begin(struct tlb_gather *gather, struct tlb_domain *domain)
{
	gather->domain = domain;
	gather->start = ~(uint64_t)0;
	gather->end = 0;
	gather->condemned = FRAME_NONE;
}

void tlb_gather_range(struct tlb_gather *gather, uint64_t start, uint64_t end)
{
	gather->start = min_u64(gather->start, start);
	gather->end = max_u64(gather->end, end);
}

void tlb_gather_put(struct tlb_gather *gather, uint32_t frame)
{
	struct frame_pool *frames = gather->domain->frames;

	if (!frame_put(frames, frame))
		return;
	frames->frame[frame].next = gather->condemned;
	gather->condemned = frame;
}

static void tlb_forget(struct vas_tlb *tlb, unsigned slot)
{
	tlb->entry[slot].page[0] = TLB_NO_PAGE;
	tlb->entry[slot].page[1] = TLB_NO_PAGE;
}

static void tlb_forget_range(struct vas_tlb *tlb, uint64_t start, uint64_t end, unsigned page_shift)
{
	uint64_t first = start >> page_shift, npages = (end - start) >> page_shift;

	if (npages > VAS_TLB_ENTRIES)
		npages = VAS_TLB_ENTRIES;
	for (uint64_t i = 0; i < npages; i++)
		tlb_forget(tlb, (unsigned)(first + i) % VAS_TLB_ENTRIES);
}

/* Announces itself, waits until the owner holds no pointer, and only then touches the entries; the
 * owner announces its use and looks for us: one of the two sees the other. */
static void tlb_invalidate(struct tlb_domain *domain, struct vas_tlb *tlb, uint64_t start,
                           uint64_t end)
{
	unsigned page_shift = domain->frames->page_shift;

	if (!domain->port->threads) {
		tlb_forget_range(tlb, start, end, page_shift);
		return;
	}
	__atomic_store_n(&tlb->stale, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&tlb->busy, __ATOMIC_SEQ_CST))
		lock_wait(domain->port);
	tlb_forget_range(tlb, start, end, page_shift);
	__atomic_store_n(&tlb->stale, 0, __ATOMIC_SEQ_CST);
}

void tlb_gather_end(struct tlb_gather *gather)
{
	struct tlb_domain *domain = gather->domain;
	uint32_t frame = gather->condemned;

	if (gather->start < gather->end) {
		for (struct vas_tlb *tlb = domain->tlbs; tlb; tlb = tlb->next)
			tlb_invalidate(domain, tlb, gather->start, gather->end);
		if (domain->port->invalidate)
			domain->port->invalidate(domain->port->ctx, domain->space, gather->start,
			                         gather->end);
	}
	while (frame != FRAME_NONE) {
		uint32_t next = domain->frames->frame[frame].next;

		frame_free(domain->frames, frame);
		frame = next;
	}
	gather->condemned = FRAME_NONE;
}

/* ---- The software TLB ----------------------------------------------------------------------- */

void tlb_init(struct vas_tlb *tlb)
{
	for (unsigned i = 0; i < VAS_TLB_ENTRIES; i++)
		tlb_forget(tlb, i);
	tlb->busy = tlb->stale = 0;
}

bool tlb_enter(const struct vas_port *port, struct vas_tlb *tlb)
{
	if (!port->threads)
		return true;
	__atomic_store_n(&tlb->busy, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&tlb->stale, __ATOMIC_SEQ_CST))
		return true;
	vas_tlb_leave(tlb);
	return false;
}

void vas_tlb_leave(struct vas_tlb *tlb)
{
	__atomic_store_n(&tlb->busy, 0, __ATOMIC_RELEASE);
}

uint8_t *tlb_find(const struct vas_tlb *tlb, uint64_t addr, enum vas_access access,
                  unsigned page_shift)
{
	uint64_t page = align_down(addr, (uint64_t)1 << page_shift);
	unsigned slot = (unsigned)(addr >> page_shift) % VAS_TLB_ENTRIES;

	/* Fetches are not cached: a read entry says nothing of the right to execute. */
	if (access == VAS_EXEC || tlb->entry[slot].page[access == VAS_WRITE] != page)
		return NULL;
	return tlb->entry[slot].host + (addr - page);
}

void tlb_fill(struct vas_tlb *tlb, uint64_t addr, bool writable, uint8_t *host, unsigned page_shift)
{
	uint64_t page = align_down(addr, (uint64_t)1 << page_shift);
	unsigned slot = (unsigned)(addr >> page_shift) % VAS_TLB_ENTRIES;

	tlb->entry[slot].page[0] = page;
	tlb->entry[slot].page[1] = writable ? page : TLB_NO_PAGE;
	tlb->entry[slot].host = host;
}
