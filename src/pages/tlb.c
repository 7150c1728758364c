/* tlb.c - the software TLB.
 *
 * Owns the entries of a TLB that is its owner's alone but while he is away, and the handshake by
 * which others make him leave: on return from tlb_invalidate nobody holds a stale pointer. Pages
 * and vmas are not known: what is filled in is what a leaf said under the space's lock.
 *
 * SPDX-License-Identifier: MIT */
#include "pages/tlb.h"

/* ---- For others ----------------------------------------------------------------------------- */

/* An owner that is away may look up, and will not find what it sees to be a match. */
static void forget_entry(struct vas_tlb_entry *entry)
{
	for (unsigned i = 0; i < 3; i++)
		__atomic_store_n(&entry->tag[i], 0, __ATOMIC_RELAXED);
}

static void forget_units(struct vas_tlb *tlb, uint64_t start, uint64_t end)
{
	uint64_t unit = start >> VAS_TLB_SHIFT;

	for (; unit << VAS_TLB_SHIFT < end; unit++)
		forget_entry(&tlb->entry[unit % VAS_TLB_ENTRIES]);
	unit = start >> VAS_TLB_LARGE_SHIFT;
	for (; unit << VAS_TLB_LARGE_SHIFT < end; unit++)
		forget_entry(&tlb->large[unit % VAS_TLB_LARGE_ENTRIES]);
}

/* The generation that the entries belong to. */
static uint32_t generation_of(const struct vas_tlb *tlb)
{
	return __atomic_load_n(&tlb->key, __ATOMIC_RELAXED) & VAS_TLB_GENERATIONS;
}

/* Forgets a range that has as many units as there are slots, or more: all. */
static void forget_all(struct vas_tlb *tlb)
{
	if (generation_of(tlb) < VAS_TLB_GENERATIONS) {
		__atomic_fetch_add(&tlb->key, 1, __ATOMIC_RELAXED);
		return;
	}
	for (unsigned i = 0; i < VAS_TLB_ENTRIES; i++)
		forget_entry(&tlb->entry[i]);
	for (unsigned i = 0; i < VAS_TLB_LARGE_ENTRIES; i++)
		forget_entry(&tlb->large[i]);
	__atomic_fetch_sub(&tlb->key, VAS_TLB_GENERATIONS - 1, __ATOMIC_RELAXED);
}

/* Whether an entry for units of 2^shift bytes is for some of [start, end). */
static bool has_part(const struct vas_tlb_entry *entry, uint32_t generation, unsigned shift,
                     uint64_t start, uint64_t end)
{
	const uint64_t size = (uint64_t)1 << shift;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t unit = __atomic_load_n(&entry->tag[i], __ATOMIC_ACQUIRE) - generation;

		if (is_aligned(unit, size) && unit < end && unit + size > start)
			return true;
	}
	return false;
}

/* Whether one of the entries, n slots of units of 2^shift bytes, is for some of [start, end). */
static bool has_part_among(const struct vas_tlb_entry *entries, uint64_t n, uint32_t generation,
                           unsigned shift, uint64_t start, uint64_t end)
{
	uint64_t first = start >> shift, last = (end - 1) >> shift;

	for (uint64_t i = 0; i < min_u64(last - first + 1, n); i++)
		if (has_part(&entries[(first + i) % n], generation, shift, start, end))
			return true;
	return false;
}

/* Whether the owner may have a pointer into [start, end), or find one. What it has was in an entry
 * when it was found, and is given up when that is overwritten. A new one comes of a walk, under the
 * space's lock that we hold, or is a part of a large one that is here. */
static bool can_touch(const struct vas_tlb *tlb, uint64_t start, uint64_t end)
{
	uint32_t generation = generation_of(tlb);

	return has_part_among(tlb->large, VAS_TLB_LARGE_ENTRIES, generation, VAS_TLB_LARGE_SHIFT,
	                      start, end) ||
	       has_part_among(tlb->entry, VAS_TLB_ENTRIES, generation, VAS_TLB_SHIFT, start, end);
}

/* With threads, an owner whom it does not concern is left alone. Else it announces itself, waits
 * until the owner holds no pointer, and only then touches the entries. The owner comes and goes by
 * changing the same word, so one of the two sees the other. */
static void invalidate_one(struct vas_tlb *tlb, const struct vas_port *port, uint64_t start,
                           uint64_t end)
{
	const uint32_t stale = VAS_TLB_STALE;
	unsigned looks = 0;

	if (tlb->threads) {
		if (!can_touch(tlb, start, end))
			return;
		__atomic_fetch_or(&tlb->key, stale, __ATOMIC_RELAXED);
		/* Perhaps it is one that we are in ourselves. */
		if (!(__atomic_load_n(&tlb->key, __ATOMIC_RELAXED) & VAS_TLB_AWAY))
			leave_all(port);
		while (!(__atomic_load_n(&tlb->key, __ATOMIC_ACQUIRE) & VAS_TLB_AWAY))
			lock_wait(port, &looks);
	}
	if (end - start >= (uint64_t)VAS_TLB_ENTRIES << VAS_TLB_SHIFT)
		forget_all(tlb);
	else
		forget_units(tlb, start, end);
	if (tlb->threads)
		__atomic_fetch_and(&tlb->key, ~stale, __ATOMIC_RELEASE);
}

void tlb_invalidate(struct vas_tlb *tlbs, const struct vas_port *port, uint64_t start, uint64_t end)
{
	for (struct vas_tlb *tlb = tlbs; tlb; tlb = tlb->next)
		invalidate_one(tlb, port, start, end);
}

/* ---- For its owner -------------------------------------------------------------------------- */

void tlb_init(struct vas_tlb *tlb, const struct vas_port *port)
{
	memset(tlb, 0, sizeof(*tlb));
	tlb->threads = port->threads;
	tlb->key = 1 | (port->threads ? VAS_TLB_AWAY : 0);
}

/* Whether the owner may look into its TLB: nobody is about to change it. If not, it leaves. */
static bool enter(struct vas_tlb *tlb)
{
	const uint32_t away = VAS_TLB_AWAY;

	return !(__atomic_fetch_and(&tlb->key, ~away, __ATOMIC_ACQ_REL) & VAS_TLB_STALE);
}

void vas_tlb_leave(struct vas_tlb *tlb)
{
	const uint32_t away = VAS_TLB_AWAY;

	if (tlb->threads)
		__atomic_fetch_or(&tlb->key, away, __ATOMIC_RELEASE);
}

/* Only the owner writes a tag that is not 0. Others may look at it: what the owner did with the
 * pointer that the old tag stood for is done. */
static void set_tag(struct vas_tlb_entry *entry, unsigned kind, uint64_t tag)
{
	__atomic_store_n(&entry->tag[kind], tag, __ATOMIC_RELEASE);
}

static uint64_t unit_of(uint64_t addr, unsigned shift)
{
	return align_down(addr, (uint64_t)1 << shift);
}

/* The small entry of addr becomes a part of the large one. (A tag of 0 stays of no generation.) */
static void *take_part(struct vas_tlb *tlb, uint64_t addr, const struct vas_tlb_entry *large)
{
	struct vas_tlb_entry *entry = &tlb->entry[(addr >> VAS_TLB_SHIFT) % VAS_TLB_ENTRIES];
	uint64_t offset = unit_of(addr, VAS_TLB_SHIFT) - unit_of(addr, VAS_TLB_LARGE_SHIFT);

	for (unsigned i = 0; i < 3; i++)
		set_tag(entry, i, large->tag[i] + offset);
	entry->addend = large->addend;
	return (void *)(uintptr_t)(entry->addend + addr);
}

void *tlb_retry(struct vas_tlb *tlb, const struct vas_port *port, uint64_t addr,
                enum vas_access access)
{
	const struct vas_tlb_entry *large =
		&tlb->large[(addr >> VAS_TLB_LARGE_SHIFT) % VAS_TLB_LARGE_ENTRIES];
	bool entered = true;

	if (tlb->threads) {
		void *host = NULL;

		/* Said before the owner enters, here or when the entry is filled. */
		__atomic_store_n(&tlb->owner, thread_self(port), __ATOMIC_RELAXED);
		entered = enter(tlb);
		if (entered)
			host = vas_tlb_lookup(tlb, addr, 1, access);
		if (host)
			return host;
	}
	if (entered &&
	    large->tag[access >> 1] == (unit_of(addr, VAS_TLB_LARGE_SHIFT) | generation_of(tlb)))
		return take_part(tlb, addr, large);
	vas_tlb_leave(tlb);
	return NULL;
}

static void fill_entry(struct vas_tlb_entry *entry, uint64_t tag, uint64_t addend, unsigned rights)
{
	set_tag(entry, 0, rights & VAS_READ ? tag : 0);
	set_tag(entry, 1, rights & VAS_WRITE ? tag : 0);
	set_tag(entry, 2, rights & VAS_EXEC ? tag : 0);
	entry->addend = addend;
}

void tlb_fill(struct vas_tlb *tlb, uint64_t addr, unsigned rights, uint8_t *host, uint64_t span)
{
	uint64_t addend = (uintptr_t)host - addr, generation = generation_of(tlb);

	fill_entry(&tlb->entry[(addr >> VAS_TLB_SHIFT) % VAS_TLB_ENTRIES],
	           unit_of(addr, VAS_TLB_SHIFT) | generation, addend, rights);
	if (span >> VAS_TLB_LARGE_SHIFT)
		fill_entry(&tlb->large[(addr >> VAS_TLB_LARGE_SHIFT) % VAS_TLB_LARGE_ENTRIES],
		           unit_of(addr, VAS_TLB_LARGE_SHIFT) | generation, addend, rights);
	if (tlb->threads)
		enter(tlb); /* nobody invalidates while the lock is held */
}
