/* tlb.h - the software TLB: the few lines of it that an emulator wants inline.
 *
 * An entry belongs to a *unit*: 4 KiB of addresses, aligned, whatever the page size of the format.
 * It stands in the slot that the address names and holds, for each kind of access, a *tag*: the
 * unit's address with the TLB's *key* in the low bits; 0 there matches no key. The host address
 * of a byte is `addend` + its address. A hit is one load of the key and one comparison:
 *
 *	tag of the slot  ==  unit of the last byte accessed | key
 *
 * - An access that crosses into another unit is a miss: the last byte's unit has another slot. The
 *   caller splits it, or gives it to vas_read and vas_write.
 * - To forget all, the key takes on the next *generation*, and no tag matches any more. After the
 *   last generation (every 1023 times) the entries are cleared and it starts again.
 * - To stop the owner for a while, another thread sets VAS_TLB_STALE in the key, which no tag has:
 *   the next lookup misses and the owner comes to vas_translate, which waits. VAS_TLB_AWAY says
 *   that the owner holds no pointer; it, too, makes each lookup miss. Neither is ever set without
 *   port.threads.
 * - The owner is away before its first vas_translate, after vas_tlb_leave, and once it has had to
 *   wait inside any call of vas: so two threads never wait for each other, whatever they call.
 *
 * Machine code that looks up by itself: the entry of `addr` is at
 * (addr >> 12) % VAS_TLB_ENTRIES * 32, its tag for an access at + 8 * (access >> 1), `addend` at
 * + 24; `key` is loaded for each lookup.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_TLB_H
#define VAS_TLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vas;

enum vas_access { VAS_READ = 1, VAS_WRITE = 2, VAS_EXEC = 4 };

#define VAS_TLB_SHIFT 12        /* log2 of a unit */
#define VAS_TLB_ENTRIES 256u    /* units */
#define VAS_TLB_LARGE_SHIFT 21  /* log2 of what a large entry covers */
#define VAS_TLB_LARGE_ENTRIES 64u

#define VAS_TLB_GENERATIONS 0x3ffu /* the generation in a key: 1 to this */
#define VAS_TLB_AWAY 0x400u
#define VAS_TLB_STALE 0x800u

struct vas_tlb_entry {
	uint64_t tag[3]; /* to read, write, execute */
	uint64_t addend; /* host address - guest address */
};

/* A translation cache for one CPU, of one thread at a time: another takes it over after the first
 * has left. Register it with a space (vas_tlb_register)
 * before its first use and unregister it before its memory goes; in between it is only read. */
struct vas_tlb {
	struct vas_tlb_entry entry[VAS_TLB_ENTRIES];
	struct vas_tlb_entry large[VAS_TLB_LARGE_ENTRIES]; /* asked on a miss: 2 MiB leaves */
	uint32_t key; /* generation | VAS_TLB_AWAY | VAS_TLB_STALE */
	bool threads; /* port.threads */
	struct vas *space;
	struct vas_tlb *next; /* of the space's */
	struct vas_tlb *all;  /* the next of the system's */
	uintptr_t owner;      /* the thread that entered last, see port.self */
};

/* Where the `len` bytes at `addr` are for the host, if the TLB knows them for this access and they
 * lie in one unit; else NULL: vas_translate knows more. `len` is at least 1; give it and `access`
 * as constants. The bytes may be accessed as long as an answer of vas_translate. */
static inline void *vas_tlb_lookup(const struct vas_tlb *tlb, uint64_t addr, unsigned len,
                                   enum vas_access access)
{
	const struct vas_tlb_entry *entry = &tlb->entry[(addr >> VAS_TLB_SHIFT) % VAS_TLB_ENTRIES];
	uint64_t unit = (addr + (len - 1)) & ~(((uint64_t)1 << VAS_TLB_SHIFT) - 1);

	if (__atomic_load_n(&entry->tag[access >> 1], __ATOMIC_RELAXED) !=
	    (unit | __atomic_load_n(&tlb->key, __ATOMIC_RELAXED)))
		return NULL;
	return (void *)(uintptr_t)(entry->addend + addr);
}

#endif
