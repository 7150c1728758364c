/* bench_rows.c - the rows of the benchmark.
 *
 * Their names are stable: scripts look for them. The first point is the one a row is named after
 * and its goal is set for; docs/speed.md says where the goals come from.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"

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
	 "mmap(FIXED_NOREPLACE) of 4 pages between random vmas, and its munmap"},
	{"mmap-munmap-anywhere", WORK_MMAP_ANYWHERE, AXIS_VMAS, {SPAN_VMAS}, 0, false,
	 "mmap(NULL) of 4 pages, and its munmap"},
	{"mprotect-split", WORK_SPLIT, AXIS_VMAS, {SPAN_VMAS}, 70, false,
	 "mprotect of half of a random vma, which splits it"},
	{"mprotect-merge", WORK_MERGE, AXIS_VMAS, {SPAN_VMAS}, 70, false,
	 "mprotect of that half back, which merges both"},
	{"grow-in-place", WORK_GROW, AXIS_VMAS, {SPAN_VMAS}, 35, false,
	 "mremap of a random vma from 4 to 5 pages, in place"},
	{"shrink", WORK_SHRINK, AXIS_VMAS, {SPAN_VMAS}, 60, false,
	 "mremap of a random vma from 5 to 4 pages"},
	{"mmap-1m-random", WORK_MMAP, AXIS_VMAS, {MI, FEW, KI, 64 * KI}, 450, false,
	 "mmap(FIXED_NOREPLACE) of 4 pages between random vmas of a million"},
	{"move-1g-by-1g", WORK_MOVE_1G, AXIS_BYTES, {GI, 4 * GI, 16 * GI}, 70, false,
	 "mremap of a present range to and fro, both places aligned to 1 GiB"},
	{"move-1g-by-2m", WORK_MOVE_2M, AXIS_BYTES,
	 {GI, 2 * MI, 32 * MI, 256 * MI, 4 * GI, 16 * GI}, 200, false,
	 "the same, one place 2 MiB past a multiple of 1 GiB"},
	{"move-1g-shifted", WORK_MOVE_SHIFTED, AXIS_BYTES, {SPAN_TO_16G}, 200e3, false,
	 "the same, one place a page past a multiple of 1 GiB"},
	{"move-1g-shifted-soft", WORK_COUNT, AXIS_BYTES, {GI}, 250, false,
	 "the same on software trees"},
	{"move-16g-shifted-soft", WORK_COUNT, AXIS_BYTES, {16 * GI}, 250, false,
	 "the same on software trees"},
	{"mprotect-1g", WORK_PROTECT, AXIS_BYTES, {SPAN_TO_4G}, 70e3, false,
	 "mprotect of a present range, read-only and back; after the call back the "
	 "kernel has made its pages writable, vas leaves that to their next write"},
	{"fork-1g", WORK_FORK, AXIS_BYTES, {SPAN_TO_1G}, 1500, false,
	 "vas_fork against the whole of fork (the smallest shows what a process "
	 "costs); the parent has written all over the range since the last one"},
	{"fork-first-write", WORK_FIRST_WRITE, AXIS_BYTES, {SPAN_TO_1G}, 1500, false,
	 "the parent's first write to a random page after fork: vas_fault against the "
	 "store; both copy the page"},
	{"fault", WORK_FAULT, AXIS_NONE, {0}, 60, false,
	 "a read fault of untouched memory: vas_fault against the load; both map the "
	 "page of zeros"},
	{"fault-write", WORK_FAULT_WRITE, AXIS_NONE, {0}, 0, false,
	 "a write fault of untouched memory: vas_fault against the store; both zero a "
	 "page"},
	{"tlb-hit", WORK_TLB_HIT, AXIS_NONE, {0}, 1, false,
	 "vas_translate of pages in the software TLB, one independent of the other"},
	{"tlb-hit-latency", WORK_TLB_HIT_LATENCY, AXIS_NONE, {0}, 4, false,
	 "the same, each address dependent on the answer before"},
	{"tlb-miss-1g", WORK_TLB_MISS, AXIS_BYTES, {GI}, 20, false,
	 "vas_translate of random pages of 1 GiB, nearly none in the software TLB"},
	{"tlb-miss-1g-latency", WORK_TLB_MISS_LATENCY, AXIS_BYTES, {GI}, 0, false,
	 "the same, each address dependent on the answer before"},
	{"translate-miss-64k-soft", WORK_COUNT, AXIS_VMAS, {64 * KI}, 45, false,
	 "vas_translate of random pages in 64 k vmas of a software tree"},
	{"vma-bytes", WORK_BYTES, AXIS_VMAS, {MI, 64 * KI}, 64, true,
	 "memory for each untouched vma with a gap behind it, mapped upwards: frames "
	 "used against the kernel's vm_area_struct and maple_node (slabinfo)"},
	{"vma-bytes-random", WORK_BYTES_RANDOM, AXIS_VMAS, {MI, 64 * KI}, 0, true,
	 "the same, mapped in disorder"},
	{"vma-bytes-touched", WORK_BYTES_TOUCHED, AXIS_VMAS, {VMAS_OF_ANY_KERNEL}, 80, true,
	 "the same, one page of each written (that page and page tables apart): "
	 "anon_vma and anon_vma_chain as well"},
};
const size_t bench_nrows = sizeof(bench_rows) / sizeof(bench_rows[0]);
