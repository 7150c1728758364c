/* bare.c - blocks that are mappings of their own, where there may be no rooms: mremap grows them.
 *
 * They have no header, so that their pages can move by whole page tables; their sizes are in a
 * table of addresses, open addressing, at most half full. All of it is called under heap.lock.
 *
 * SPDX-License-Identifier: MIT */
#include "heap.h"

struct bare {
	uint64_t addr; /* 0: free */
	uint64_t size;
};

static struct bare *table;
static uint64_t slots, used; /* slots is a power of two */

static uint64_t hash(uint64_t addr)
{
	return (addr / PAGE * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (slots - 1);
}

static uint64_t find(uint64_t addr)
{
	uint64_t slot = hash(addr);

	while (table[slot].addr && table[slot].addr != addr)
		slot = (slot + 1) & (slots - 1);
	return slot;
}

static bool grow_table(void)
{
	uint64_t old_slots = slots, wanted = slots ? slots * 2 : PAGE / sizeof(struct bare);
	struct bare *old = table;
	uint64_t mapped = host_map(wanted * sizeof(struct bare));

	if (!mapped)
		return false;
	table = (struct bare *)(uintptr_t)mapped; // NOLINT
	slots = wanted;
	for (uint64_t i = 0; i < old_slots; i++) {
		if (old[i].addr)
			table[find(old[i].addr)] = old[i];
	}
	if (old)
		host_unmap((uint64_t)(uintptr_t)old, old_slots * sizeof(struct bare));
	return true;
}

static void insert(uint64_t addr, uint64_t size)
{
	table[find(addr)] = (struct bare){addr, size};
	used++;
}

/* What follows moves up as far as it may, so that no search ends too early. */
static void forget(uint64_t slot)
{
	uint64_t next = slot;

	used--;
	for (;;) {
		next = (next + 1) & (slots - 1);
		if (!table[next].addr)
			break;
		if (((next - hash(table[next].addr)) & (slots - 1)) >=
		    ((next - slot) & (slots - 1))) {
			table[slot] = table[next];
			slot = next;
		}
	}
	table[slot].addr = 0;
}

uint64_t bare_size(const void *block)
{
	uint64_t addr = (uint64_t)(uintptr_t)block, slot;

	if (addr % PAGE || !used)
		return 0;
	slot = find(addr);
	return table[slot].addr ? table[slot].size : 0;
}

void *bare_malloc(uint64_t size)
{
	uint64_t addr;

	if (2 * (used + 1) > slots && !grow_table())
		return NULL;
	addr = host_map(size);
	if (!addr)
		return NULL;
	insert(addr, size);
	heap.live += size;
	heap.blocks++;
	return (void *)(uintptr_t)addr; // NOLINT
}

void *bare_realloc(void *block, uint64_t size)
{
	uint64_t slot = find((uint64_t)(uintptr_t)block), old = table[slot].size;
	uint64_t addr = host_remap(table[slot].addr, old, size);

	if (!addr)
		return NULL;
	if (addr != table[slot].addr) {
		heap.moved += !heap_settings.portable;
		heap.copied += heap_settings.portable ? old : 0;
		forget(slot);
		insert(addr, size);
	}
	heap.grown += size > old && addr == (uint64_t)(uintptr_t)block;
	table[find(addr)].size = size;
	heap.live += size - old;
	return (void *)(uintptr_t)addr; // NOLINT
}

void bare_free(void *block)
{
	uint64_t slot = find((uint64_t)(uintptr_t)block), size = table[slot].size;

	forget(slot);
	host_unmap((uint64_t)(uintptr_t)block, size);
	heap.live -= size;
	heap.blocks--;
}
