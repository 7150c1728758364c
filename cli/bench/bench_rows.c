/* bench_rows.c - the rows of the benchmark.
 *
 * Their names are stable: scripts look for them. The first point is the one a row is named after
 * and its goal is set for; docs/speed.md says where the goals come from.
 *
 * SPDX-License-Identifier: MIT */
#include "bench/bench.h"

#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
#define GI ((uint64_t)1 << 30)

#define FEW 16
#define SPAN_VMAS FEW, KI, 64 * KI, MI
#define SPAN_TO_4G GI, 4 * KI, 64 * KI, 2 * MI, 32 * MI, 256 * MI, 4 * GI
#define SPAN_TO_16G SPAN_TO_4G, 16 * GI
#define SPAN_TO_1G GI, 4 * KI, 2 * MI, 32 * MI, 256 * MI
#define VMAS_OF_ANY_KERNEL 60000 /* below the usual vm.max_map_count */

const struct row bench_rows[] = {
	{"mmap-munmap", WORK_MMAP_MUNMAP, AXIS_VMAS, {SPAN_VMAS}, 70, false,
	 "mmap(FIXED_NOREPLACE) of 4 pages between random vmas, and its munmap", NULL},
	{"mmap-munmap-anywhere", WORK_MMAP_ANYWHERE, AXIS_VMAS, {SPAN_VMAS}, 0, false,
	 "mmap(NULL) of 4 pages, and its munmap", NULL},
	{"mprotect-split", WORK_SPLIT, AXIS_VMAS, {SPAN_VMAS}, 70, false,
	 "mprotect of half of a random vma, which splits it", NULL},
	{"mprotect-merge", WORK_MERGE, AXIS_VMAS, {SPAN_VMAS}, 70, false,
	 "mprotect of that half back, which merges both", NULL},
	{"grow-in-place", WORK_GROW, AXIS_VMAS, {SPAN_VMAS}, 35, false,
	 "mremap of a random vma from 4 to 5 pages, in place", NULL},
	{"shrink", WORK_SHRINK, AXIS_VMAS, {SPAN_VMAS}, 60, false,
	 "mremap of a random vma from 5 to 4 pages", NULL},
	{"mmap-1m-random", WORK_MMAP, AXIS_VMAS, {MI, FEW, KI, 64 * KI}, 450, false,
	 "mmap(FIXED_NOREPLACE) of 4 pages between random vmas of a million",
	 "It waits for memory. Tried: one search in a call, and asking for all cache lines of a "
	 "node at once, which made two or three waits out of eight. Left: smaller nodes."},
	{"move-1g-by-1g", WORK_MOVE_1G, AXIS_BYTES, {GI, 4 * GI, 16 * GI}, 70, false,
	 "mremap of a present range to and fro, both places aligned to 1 GiB",
	 "Tried: one search in a call, runs of words. Profile: 1,700 instructions, none of the "
	 "functions takes a tenth of them. Left: to cut and to plan for both ranges in one walk."},
	{"move-1g-by-2m", WORK_MOVE_2M, AXIS_BYTES,
	 {GI, 2 * MI, 32 * MI, 256 * MI, 4 * GI, 16 * GI}, 200, false,
	 "the same, one place 2 MiB past a multiple of 1 GiB",
	 "Tried: runs of words at every level. Profile: a quarter zeroes the target's new table, "
	 "a seventh copies 511 words. Left: not to zero what is about to be written."},
	{"move-1g-shifted", WORK_MOVE_SHIFTED, AXIS_BYTES, {SPAN_TO_16G}, 200e3, false,
	 "the same, one place a page past a multiple of 1 GiB",
	 "262,144 words are moved. Tried: runs of words instead of entries, 30 % fewer "
	 "instructions. Left: the copy, and zeroing tables that are about to be written; software "
	 "trees move none."},
	{"move-1g-shifted-soft", WORK_MOVE_SHIFTED_SOFT, AXIS_BYTES, {SPAN_TO_16G}, 250, false,
	 "the same, in software trees on vas", NULL},
	{"move-16g-shifted-soft", WORK_MOVE_SHIFTED_SOFT, AXIS_BYTES, {16 * GI}, 250, false,
	 "the same, of 16 GiB", NULL},
	{"mprotect-1g", WORK_PROTECT, AXIS_BYTES, {SPAN_TO_4G}, 70e3, false,
	 "mprotect of a present range, read-only and back; after the call back the kernel has "
	 "made its pages writable, vas leaves that to their next write",
	 "262,144 words are rewritten. Tried: one loop over words, eight at a time in vector "
	 "code. Profile: nearly all of it is that loop, and its time varies with what else is in "
	 "the caches."},
	{"fork-1g", WORK_FORK, AXIS_BYTES, {SPAN_TO_1G}, 1500, false,
	 "vas_fork against the whole of fork (the smallest shows what a process costs); the "
	 "parent has written all over the range since the last one", NULL},
	{"fork-first-write", WORK_FIRST_WRITE, AXIS_BYTES, {SPAN_TO_1G}, 1500, false,
	 "the parent's first write to a random page after fork: vas_fault against the store; both "
	 "copy the page",
	 "Tried: sharing leaf tables only, so that one is copied. Profile: 83 % count up the "
	 "references of its 512 frames, each in another record. Left: counting for a whole table "
	 "at once."},
	{"fault", WORK_FAULT, AXIS_NONE, {0}, 60, false,
	 "a read fault of untouched memory: vas_fault against the load; both map the page of "
	 "zeros", NULL},
	{"fault-write", WORK_FAULT_WRITE, AXIS_NONE, {0}, 0, false,
	 "a write fault of untouched memory: vas_fault against the store; both zero a page", NULL},
	{"grow-x2-4g", WORK_GROW_X2, AXIS_NONE, {0}, 0, false,
	 "mremap of one buffer from 4 KiB to 4 GiB, twice as large each time: all calls", NULL},
	{"grow-x2-4g-roomy", WORK_GROW_X2_ROOMY, AXIS_NONE, {0}, 0.5e6, false,
	 "the same with VAS_PLACE_ROOMY on vas", NULL},
	{"grow-x2-4g-odd", WORK_GROW_X2_ODD, AXIS_NONE, {0}, 0, false,
	 "the same, each size a page larger, as an allocator with a header asks", NULL},
	{"grow-x2-4g-odd-roomy", WORK_GROW_X2_ODD_ROOMY, AXIS_NONE, {0}, 0, false,
	 "the same with VAS_PLACE_ROOMY on vas", NULL},
	{"grow-1m-2g", WORK_GROW_1M, AXIS_NONE, {0}, 0, false,
	 "mremap of one buffer by 1 MiB at a time, to 2 GiB: all calls", NULL},
	{"grow-1m-2g-roomy", WORK_GROW_1M_ROOMY, AXIS_NONE, {0}, 3e6, false,
	 "the same with VAS_PLACE_ROOMY on vas", NULL},
	{"grow-64k-4m-1000", WORK_GROW_MANY_64K, AXIS_NONE, {0}, 0, false,
	 "mremap of 1000 buffers in turn by 64 KiB, from 64 KiB to 4 MiB: all calls", NULL},
	{"grow-64k-4m-1000-roomy", WORK_GROW_MANY_64K_ROOMY, AXIS_NONE, {0}, 6e6, false,
	 "the same with VAS_PLACE_ROOMY on vas",
	 "62,000 of 63,000 calls grow in place, each on another vma than the one before. Tried: "
	 "room for 16-fold growth, which leaves 750 moves of 5,238. Left: the calls in place."},
	{"grow-x2-4m-1000", WORK_GROW_MANY_X2, AXIS_NONE, {0}, 0, false,
	 "mremap of 1000 buffers in turn from 4 KiB to 4 MiB, twice as large each time: all calls",
	 NULL},
	{"grow-x2-4m-1000-roomy", WORK_GROW_MANY_X2_ROOMY, AXIS_NONE, {0}, 0, false,
	 "the same with VAS_PLACE_ROOMY on vas", NULL},
	{"tlb-hit", WORK_TLB_HIT, AXIS_NONE, {0}, 1, false,
	 "vas_tlb_lookup, inline, of pages in the software TLB, one independent of the other",
	 NULL},
	{"tlb-hit-latency", WORK_TLB_HIT_LATENCY, AXIS_NONE, {0}, 4, false,
	 "the same, each address dependent on the answer before", NULL},
	{"tlb-hit-call", WORK_TLB_HIT_CALL, AXIS_NONE, {0}, 0, false,
	 "the same by vas_translate, one independent of the other", NULL},
	{"tlb-miss-1g", WORK_TLB_MISS, AXIS_BYTES, {GI, 32 * MI}, 20, false,
	 "vas_translate of random pages of 1 GiB, nearly none in the software TLB",
	 "A walk of four levels, a filled entry. Tried: masks of the format kept in registers, no "
	 "entry built on the way. Left: the walk."},
	{"tlb-miss-1g-latency", WORK_TLB_MISS_LATENCY, AXIS_BYTES, {GI}, 0, false,
	 "the same, each address dependent on the answer before", NULL},
	{"tlb-miss-1g-huge", WORK_TLB_MISS_HUGE, AXIS_BYTES, {GI, 32 * MI}, 0, false,
	 "the same, independent, in pages of 2 MiB", NULL},
	{"translate-miss-64k-soft", WORK_TLB_MISS_SOFT, AXIS_VMAS, {64 * KI, KI}, 45, false,
	 "vas_translate of random pages in software trees, four in each vma of 2 MiB; each vma "
	 "was moved once, so there are as many records as can be",
	 "Profile: half of it waits for memory, in the leaves of the records (3 MiB) and in the "
	 "roots (one line each); at 1 k vmas it takes 33 ns. Tried: searching without asking for "
	 "whole nodes ahead: a tenth less, but searches for calls among a million vmas are slower "
	 "then. Left: records of 24 bytes instead of 48."},
	{"vma-bytes", WORK_BYTES, AXIS_VMAS, {MI, 64 * KI}, 64, true,
	 "memory for each untouched vma with a gap behind it, mapped upwards: frames used against "
	 "the kernel's vm_area_struct and maple_node (slabinfo)", NULL},
	{"vma-bytes-random", WORK_BYTES_RANDOM, AXIS_VMAS, {MI, 64 * KI}, 0, true,
	 "the same, mapped in disorder", NULL},
	{"vma-bytes-touched", WORK_BYTES_TOUCHED, AXIS_VMAS, {VMAS_OF_ANY_KERNEL}, 80, true,
	 "the same, one page of each written (that page and page tables apart): anon_vma and "
	 "anon_vma_chain as well", NULL},
};
const size_t bench_nrows = sizeof(bench_rows) / sizeof(bench_rows[0]);
