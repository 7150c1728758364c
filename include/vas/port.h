/* port.h - all that an embedder supplies.
 *
 * The only thing that must be given is memory: one region, from which vas takes page frames,
 * page tables, their reference counts and its own small objects. Every hook may be NULL; each says
 * what happens then. Hooks are called with the locks of the calling public function held and must
 * not call back into vas for the same system.
 *
 * A broken promise of vas's own (never something that a guest or an argument can cause) ends in
 * __builtin_trap(); build with -DVAS_PANIC(file,line,what)=... to say more first.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_PORT_H
#define VAS_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vas;
struct vas_region;

/* A remapping, as the hook `move` is to carry it out. */
struct vas_move {
	const struct vas_region *vma;   /* that `old_addr` is in, as it is before */
	uint64_t old_addr, old_len;     /* whole pages; old_len 0: shared memory appears twice */
	uint64_t new_addr, new_len;     /* new_addr == old_addr: it grows in place; what is beyond
	                                   old_len shows fresh pages */
	bool keep;                      /* the source stays mapped, and empty (DONTUNMAP); what of
	                                   *vma loses its locks is [unlock_start, unlock_end) */
	uint64_t unlock_start, unlock_end;
	bool chosen;                    /* vas chose new_addr: see vas_pages.map */
};

/* Hooks of a system that only keeps the books: its spaces' pages are elsewhere (the process's
 * own memory, another MMU, another machine). vas decides everything about a call, then one hook
 * makes it so: the last step that may fail, under the space's lock. A hook answers 0, or a
 * negative errno with nothing changed, which is the call's answer then and vas is as it was
 * before the step (a call of several steps keeps those before: so does Linux). All hooks must be
 * given. Addresses are page aligned, ranges not empty. Hooks may not call vas but for
 * vas_object_ctx, vas_file_info and vas_file_object. */
struct vas_pages {
	/* Fresh pages for a new mapping, in the place of whatever is there. `map` holds the flags
	 * of the call (VAS_MAP_*); with neither MAP_FIXED nor MAP_FIXED_NOREPLACE vas chose the
	 * address, and knows of nothing there: a hook that finds something answers -VAS_EEXIST.
	 * The heap (brk) comes with MAP_FIXED_NOREPLACE. The file's pages begin at vma->offset. */
	int64_t (*map)(void *ctx, struct vas *space, const struct vas_region *vma, uint64_t map);

	/* [start, end) is unmapped; there may be holes in it. */
	int64_t (*unmap)(void *ctx, struct vas *space, uint64_t start, uint64_t end);

	/* The attributes of [start, end), which were those of *vma, become `flags` (VAS_VM_*):
	 * rights (mprotect), locks (mlock), what madvise sets, a seal. */
	int64_t (*protect)(void *ctx, struct vas *space, const struct vas_region *vma,
	                   uint64_t start, uint64_t end, uint64_t flags);

	int64_t (*move)(void *ctx, struct vas *space, const struct vas_move *move);

	/* madvise's advice (enum vas_advice) that concerns pages, not attributes: what discards
	 * must discard; the rest may be taken or left. */
	int64_t (*advise)(void *ctx, struct vas *space, const struct vas_region *vma,
	                  uint64_t start, uint64_t end, uint64_t advice);
};

/* What has become stale of a space's translations. A CPU may hold leaf entries in its TLB, and
 * entries that lead to tables in caches of their own (x86-64: paging-structure caches; AArch64:
 * intermediate entries; RISC-V: as it likes).
 *
 * To be invalidated, for every address of [start, end): the leaf entries that translate it, of any
 * size, and, if `tables`, the entries of every level that lead to it.
 *   x86-64   INVLPG for each (it drops all paging-structure entries as well), or all of the PCID
 *   AArch64  TLBI VALE1IS for each, with `tables` VAE1IS; or ASIDE1IS; then DSB ISH
 *   RISC-V   SFENCE.VMA for each; with `tables` without an address, on every hart
 *
 * Words that were absent become present without a call: on RISC-V, whoever has faulted executes
 * SFENCE.VMA for the address before he goes on (without Svvptc). */
struct vas_invalidation {
	uint64_t start, end; /* aligned to pages of the format; start < end */
	uint64_t leaf_len;   /* bytes that the smallest stale leaf entry covers: the stride */
	bool taken;   /* a right, a page or a table was taken away or replaced. False: rights were
	                 only given, and a CPU that has not heard of it faults once more, which
	                 vas_fault answers by saying so again: x86-64 can ignore it */
	bool tables;  /* entries that lead to tables have changed too */
	bool leaving; /* the space goes away: all of it, and its root (vas_root), which no CPU may
	                 have loaded when the call returns; its ASID or PCID can be used again */
};

struct vas_port {
	/* The region: `memory` is where vas can read and write it, aligned to the page size of the
	 * format; `memory_len` is its length in bytes (whole pages; at least VAS_MEMORY_MIN);
	 * `phys` is the physical address of its first byte as the page tables name it (page
	 * aligned; 0 is a good value for an emulator). vas writes no byte outside it. */
	void *memory;
	uint64_t memory_len;
	uint64_t phys;
	bool zeroed; /* all its bytes are zero already (fresh from mmap) */

	/* Handed to every hook. */
	void *ctx;

	/* Whether several threads use the system. If so, vas takes locks (they spin), and any
	 * public function may be called by any thread, except where it says otherwise. */
	bool threads;

	/* Called again and again while a thread waits for a lock or for a TLB: pause, or yield to
	 * others. Others may wait for this very thread meanwhile, so the hook has to serve what
	 * they may ask of it: on a machine's CPU that waits with interrupts disabled, a shootdown
	 * (`invalidate` of another CPU). Software TLBs need nothing: vas leaves those that the
	 * waiting thread is in. NULL: just spins. */
	void (*wait)(void *ctx);

	/* The calling thread: a number that no other thread has meanwhile, not 0. Asked when a
	 * software TLB has missed, and when a thread has to wait. NULL: the thread pointer, where
	 * vas is compiled for a hosted environment. Needed (with `threads`) for software TLBs
	 * where there is no such thing, and where threads of the embedder's own making share one
	 * of the host's. */
	uintptr_t (*self)(void *ctx);

	/* Invalidates what any CPU may have cached of the tables of `space`, see struct
	 * vas_invalidation; when it returns, no CPU uses any of that any more, and what it wrote
	 * through it is in memory. Called after the tables were changed and before anything that
	 * was reached through the old words is given up: frames and tables freed or left to
	 * another space, files written back, bytes copied. It is called with the space's lock held
	 * exclusively, so a CPU that waits for a lock of vas has to serve the request that other
	 * CPUs invalidate (`wait` is the place). NULL: nothing but the registered software TLBs
	 * (struct vas_tlb) caches translations. */
	void (*invalidate)(void *ctx, struct vas *space, const struct vas_invalidation *what);

	/* The pages of all spaces are elsewhere, see above; no page table is kept. vas_fork copies
	 * the books alone, vas_destroy forgets them: neither calls a hook. vas_fault, vas_mincore
	 * and what reads, writes or translates answer -VAS_ENOSYS. Never-written memory that moves
	 * counts as written, for nobody tells. NULL: pages are in frames of the region. */
	const struct vas_pages *pages;
};

/* The smallest usable region: the system's own records and one empty space. */
#define VAS_MEMORY_MIN ((uint64_t)256 * 1024)

/* A region in which one space can touch `bytes` bytes of a mapping: page tables, the records of
 * frames and vmas are in the 1/64 more. What lies scattered takes a page table more for each 2 MiB
 * in which something is touched (32 MiB with pages of 16 KiB), a mapping about 100 bytes. */
#define VAS_MEMORY_FOR(bytes) \
	(VAS_MEMORY_MIN + \
	 (((uint64_t)(bytes) + (uint64_t)(bytes) / 64 + 0x3fff) & ~(uint64_t)0x3fff))

/* What stands behind a file's pages. A memory file (an object created with `ops` NULL) needs none
 * of it. */
struct vas_object_ops {
	/* Fills `page` (one zeroed page) with page number `index` of the file. 0, or a negative
	 * errno: the access that needed it gets SIGBUS (a call that populates: its documented
	 * errno). */
	int64_t (*read_page)(void *ctx, uint64_t index, void *page);

	/* Writes page number `index` back. 0 or a negative errno, which msync returns; the page
	 * stays dirty then. Called by msync, vas_object_sync and when the object goes. NULL: pages
	 * are never written back (they live in the object only). */
	int64_t (*write_page)(void *ctx, uint64_t index, const void *page);

	/* The object is gone: nothing maps it and no handle is left. NULL: nothing to do. */
	void (*release)(void *ctx);

	/* Before release, for each page that write_page has refused with `err` even now: the last
	 * chance to keep its bytes, or to say that they are lost. NULL: nothing is done. */
	void (*lose_page)(void *ctx, uint64_t index, const void *page, int64_t err);
};

#endif
