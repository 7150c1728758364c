/* access.c - reading, writing and translating guest addresses for the host.
 *
 * Only frames that a leaf of the space allows are ever reached; every page is looked up, so no
 * address and no length can lead elsewhere.
 *
 * SPDX-License-Identifier: MIT */
#include "calls/calls.h"
#include "pages/tlb.h"

/* A byte of a space, in a page that is present. */
struct byte {
	uint8_t *host;
	unsigned rights; /* of the leaf that maps it, */
	uint64_t span;   /* and how much that covers */
};

/* Finds the byte at addr, its page made present. On 0 the space is locked shared, so that the page
 * stays until the caller unlocks. */
static int64_t locate(struct vas *space, uint64_t addr, enum vas_access access, struct byte *byte,
                      struct vas_signal *signal)
{
	const struct frame_pool *frames = &space->system->frames;
	unsigned level = 0;
	int64_t err;

	if (signal)
		*signal = (struct vas_signal){0};
	for (;;) {
		struct entry leaf = {.kind = ENTRY_ABSENT};

		space_visit_shared(space);
		if (addr < vas_task_size(space))
			leaf = pagemap_lookup(&space->pages, addr, &level);
		if (leaf.kind == ENTRY_LEAF && (leaf.rights & access)) {
			byte->span = format_span(space->system->format, level);
			byte->host = frames->memory + (leaf.phys - frames->phys) +
			             (addr & (byte->span - 1));
			byte->rights = leaf.rights;
			return 0;
		}
		space_unlock_shared(space);
		err = vas_fault(space, addr, access, signal);
		if (err)
			return err;
	}
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
		struct byte byte;
		int64_t err = locate(space, addr, VAS_READ, &byte, signal);

		if (err)
			return err;
		memcpy(out, byte.host, (size_t)n);
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
		struct byte byte;
		int64_t err = locate(space, addr, VAS_WRITE, &byte, signal);

		if (err)
			return err;
		memcpy(byte.host, in, (size_t)n);
		space_unlock_shared(space);
		in += n;
		addr += n;
		len -= n;
	}
	return 0;
}

/* How many of the n bytes were copied up to a NUL, it included; n if there is none. */
static uint64_t copy_to_nul(char *to, const uint8_t *from, uint64_t n, bool *found)
{
	for (uint64_t i = 0; i < n; i++) {
		to[i] = (char)from[i];
		if (to[i] == '\0') {
			*found = true;
			return i + 1;
		}
	}
	return n;
}

int64_t vas_read_string(struct vas *space, char *to, uint64_t addr, uint64_t max,
                        struct vas_signal *signal)
{
	uint64_t len = 0;
	bool found = false;

	while (len < max && !found) {
		struct byte byte;
		int64_t err = locate(space, addr + len, VAS_READ, &byte, signal);

		if (err)
			return err;
		len += copy_to_nul(to + len, byte.host, page_part(space, addr + len, max - len),
		                   &found);
		space_unlock_shared(space);
	}
	return (int64_t)(found ? len - 1 : len);
}

/* One or two bytes, by way of the aligned word that they are in: not every machine has such steps
 * for less (and a compiler calls a library for them then, which freestanding code has not). The
 * step is for the whole word, so who changes its other bytes meanwhile makes us look again. */
static bool exchange_part(void *host, unsigned len, uint64_t *expected, uint64_t desired)
{
	uintptr_t at = (uintptr_t)host;
	uint32_t *whole = (uint32_t *)(at & ~(uintptr_t)3);
	unsigned shift = (unsigned)(at & 3) * 8;
	uint32_t mask = ((1u << len * 8) - 1) << shift;
	uint32_t was = __atomic_load_n(whole, __ATOMIC_RELAXED), next;
	bool equal;

	/* If they differ, the word is written as it is: so that is told in order with all else,
	 * too. */
	do {
		equal = (was & mask) == ((uint32_t)*expected << shift & mask);
		next = equal ? (was & ~mask) | ((uint32_t)desired << shift & mask) : was;
	} while (!__atomic_compare_exchange_n(whole, &was, next, false, __ATOMIC_SEQ_CST,
	                                      __ATOMIC_SEQ_CST));
	if (!equal)
		*expected = (was & mask) >> shift;
	return equal;
}

/* One size of compare-and-exchange; `len` is one of them. */
static bool exchange(void *host, unsigned len, uint64_t *expected, uint64_t desired)
{
	uint32_t was4 = (uint32_t)*expected, *at4 = host;
	uint64_t *at8 = host;
	bool done;

	if (len < 4)
		return exchange_part(host, len, expected, desired);
	if (len == 8)
		return __atomic_compare_exchange_n(at8, expected, desired, false, __ATOMIC_SEQ_CST,
		                                   __ATOMIC_SEQ_CST);
	done = __atomic_compare_exchange_n(at4, &was4, (uint32_t)desired, false, __ATOMIC_SEQ_CST,
	                                   __ATOMIC_SEQ_CST);
	*expected = was4;
	return done;
}

int64_t vas_compare_exchange(struct vas *space, uint64_t addr, unsigned len, uint64_t *expected,
                             uint64_t desired, struct vas_signal *signal)
{
	struct byte byte;
	int64_t err;
	bool done;

	if (signal)
		*signal = (struct vas_signal){0};
	if ((len != 1 && len != 2 && len != 4 && len != 8) || !is_aligned(addr, len))
		return -VAS_EINVAL;
	err = locate(space, addr, VAS_WRITE, &byte, signal);
	if (err)
		return err;
	done = exchange(byte.host, len, expected, desired);
	space_unlock_shared(space);
	return done;
}

/* What the TLB does not tell at once. Apart, so that a hit saves no registers. */
static __attribute__((noinline)) int64_t translate(struct vas *space, struct vas_tlb *tlb,
                                                   uint64_t addr, enum vas_access access,
                                                   void **host, struct vas_signal *signal)
{
	void *known = tlb_retry(tlb, &space->system->port, addr, access);
	struct byte byte;
	int64_t err;

	if (!known) {
		err = locate(space, addr, access, &byte, signal);
		if (err)
			return err;
		tlb_fill(tlb, addr, byte.rights, byte.host, byte.span);
		space_unlock_shared(space);
		known = byte.host;
	}
	*host = known;
	return 0;
}

int64_t vas_translate(struct vas *space, struct vas_tlb *tlb, uint64_t addr, enum vas_access access,
                      void **host, struct vas_signal *signal)
{
	void *byte = vas_tlb_lookup(tlb, addr, 1, access);

	if (!byte)
		return translate(space, tlb, addr, access, host, signal);
	*host = byte;
	return 0;
}
