/* bench_vas.c - the side of the benchmark that is vas.
 *
 * Its region is an ordinary mapping of this process, which asks for huge pages: a kernel's own
 * memory is mapped by such, and so is what an emulator sets aside.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/bench_plan.h"

#define MEMORY ((uint64_t)8 << 30) /* only what is used of it costs */
#define TLB_PAGES 64u              /* that fit the software TLB */
#define ASIDE (BASE - GIB)         /* where vmas are made that are moved */
#define SIDE_PAGE_BYTES 4096.0     /* side_bytes counts the pages themselves, too */

struct side {
	struct plan plan;
	struct vas_system *system;
	struct vas *space, *child;
	struct vas_tlb tlb;
	struct vas_object *object;
	struct vas_file *file;
	struct vas *other; /* somebody else's space */
	uint64_t sink;     /* keeps what is computed from being left out */
};

INLINE int64_t side_mmap(struct side *side, uint64_t addr, uint64_t len, uint64_t prot,
                         uint64_t flags)
{
	return vas_mmap(side->space, addr, len, prot, flags, NULL, 0);
}

INLINE int64_t side_munmap(struct side *side, uint64_t addr, uint64_t len)
{
	return vas_munmap(side->space, addr, len);
}

INLINE int64_t side_mprotect(struct side *side, uint64_t addr, uint64_t len, uint64_t prot)
{
	return vas_mprotect(side->space, addr, len, prot);
}

INLINE int64_t side_mremap(struct side *side, uint64_t addr, uint64_t old_len, uint64_t new_len,
                           uint64_t flags, uint64_t to)
{
	return vas_mremap(side->space, addr, old_len, new_len, flags, to);
}

INLINE int64_t side_madvise(struct side *side, uint64_t addr, uint64_t len, uint64_t advice)
{
	return vas_madvise(side->space, addr, len, advice);
}

INLINE int64_t side_touch(struct side *side, uint64_t addr, bool write)
{
	return vas_fault(side->space, addr, write ? VAS_WRITE : VAS_READ, NULL);
}

static int64_t side_fork(struct side *side)
{
	return vas_fork(side->space, &side->child);
}

static void side_reap(struct side *side)
{
	if (side->child)
		vas_destroy(side->child);
	side->child = NULL;
}

static double side_bytes(struct side *side)
{
	uint64_t total, unused;
	vas_system_frames(side->system, &total, &unused);
	return (double)(total - unused) * 4096;
}

#include "bench/bench_work.h"

static void side_place_roomy(struct side *side)
{
	vas_system_settings(side->system)->placement = VAS_PLACE_ROOMY;
}

#include "bench/bench_grow.h"

/* ---- Translation: the kernel has nothing to compare with ------------------------------------- */

static const char *prepare_tlb(struct side *side, uint64_t bytes)
{
	const char *why;
	(void)bytes;
	why = prepare_range(side, TLB_PAGES * PAGE);
	vas_tlb_register(side->space, &side->tlb);
	return why;
}

/* All pages are the frame of zeros: what is measured is the way to it. */
static const char *prepare_tlb_miss(struct side *side, uint64_t bytes)
{
	const char *why = NULL;
	vas_tlb_register(side->space, &side->tlb);
	side->plan.scale = bytes;
	if (side_mmap(side, BASE, bytes, RW, ANON_AT) < 0 ||
	    side_madvise(side, BASE, bytes, VAS_MADV_POPULATE_READ) < 0)
		why = "the range cannot be made present";
	return why;
}

static const char *prepare_tlb_miss_huge(struct side *side, uint64_t bytes)
{
	vas_tlb_register(side->space, &side->tlb);
	vas_system_settings(side->system)->thp_enabled = VAS_THP_ALWAYS;
	side->plan.scale = bytes;
	if (side_mmap(side, BASE, bytes, RW, ANON_AT) < 0 ||
	    side_madvise(side, BASE, bytes, VAS_MADV_POPULATE_WRITE) < 0)
		return "the range cannot be made present";
	return NULL;
}

/* Software trees have a record for each range that was moved, if it is large enough: each vma is,
 * and was. */
#define VMA_LEN (2 * MIB)
#define VMA_PAGES 4u /* present of each */

INLINE uint64_t vma_place(uint64_t vma)
{
	return BASE + vma * 2 * VMA_LEN + PAGE;
}

/* The address of a page that is present, by its number. */
typedef uint64_t page_addr(uint64_t number);

INLINE uint64_t range_page(uint64_t number)
{
	return BASE + number * PAGE;
}

/* Four in each vma, elsewhere in each, as they are in a program: not all in the same cache set. */
INLINE uint64_t vma_page(uint64_t number)
{
	uint64_t vma = number / VMA_PAGES;
	return vma_place(vma) + (vma * 37 + number % VMA_PAGES) % (VMA_LEN / PAGE) * PAGE;
}

static const char *prepare_tlb_miss_soft(struct side *side, uint64_t nvmas)
{
	vas_tlb_register(side->space, &side->tlb);
	side->plan.scale = nvmas * VMA_PAGES * PAGE;
	for (uint64_t vma = 0; vma < nvmas; vma++) {
		if (side_mmap(side, ASIDE, VMA_LEN, RW, ANON_AT) < 0)
			return "the vmas cannot be made";
		for (uint64_t i = 0; i < VMA_PAGES; i++)
			if (side_touch(side, vma_page(vma * VMA_PAGES + i) - vma_place(vma) + ASIDE,
			               false) < 0)
				return "the pages cannot be read";
		if (side_mremap(side, ASIDE, VMA_LEN, VMA_LEN,
		                VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, vma_place(vma)) < 0)
			return "the vmas cannot be moved";
	}
	return NULL;
}

/* As a caller of the library does it that looks nothing up by itself. */
INLINE void *translate_by_call(struct side *side, uint64_t addr)
{
	void *host = NULL;
	side->plan.failed += vas_translate(side->space, &side->tlb, addr, VAS_READ, &host, NULL) <
	                     0;
	return host;
}

/* As an emulator does it. */
INLINE void *translate_inline(struct side *side, uint64_t addr)
{
	void *host = vas_tlb_lookup(&side->tlb, addr, 8, VAS_READ);
	return host ? host : translate_by_call(side, addr);
}

typedef void *translate(struct side *side, uint64_t addr);

/* Where latency is wanted, each address depends on the answer before: on a bit of it that is
 * always 0, which the compiler cannot know. */
INLINE double translations(struct side *side, uint64_t *n, translate *how, page_addr *where,
                           bool misses, bool chain)
{
	uint64_t mask = side->plan.scale / PAGE - 1; /* the size is a power of two */
	uint64_t page = 0, dependent = 0, sum = 0, start = now_of_thread();
	for (uint64_t i = 0; i < *n; i++) {
		page = misses ? page * 6364136223846793005u + 1442695040888963407u : i;
		uint64_t number = misses ? (page >> 32) & mask : page % TLB_PAGES;
		uint64_t host = (uint64_t)(uintptr_t)how(side, where(number) + dependent);
		sum += host;
		dependent = chain ? (host >> 63) * PAGE : 0;
	}
	double ns = (double)(now_of_thread() - start);
	side->sink += sum;
	return side->plan.failed ? -1 : ns;
}

static double round_tlb_hit(struct side *side, uint64_t *n)
{
	return translations(side, n, translate_inline, range_page, false, false);
}

static double round_tlb_hit_latency(struct side *side, uint64_t *n)
{
	return translations(side, n, translate_inline, range_page, false, true);
}

static double round_tlb_hit_call(struct side *side, uint64_t *n)
{
	return translations(side, n, translate_by_call, range_page, false, false);
}

static double round_tlb_miss(struct side *side, uint64_t *n)
{
	return translations(side, n, translate_by_call, range_page, true, false);
}

static double round_tlb_miss_latency(struct side *side, uint64_t *n)
{
	return translations(side, n, translate_by_call, range_page, true, true);
}

static double round_tlb_miss_soft(struct side *side, uint64_t *n)
{
	return translations(side, n, translate_by_call, vma_page, true, false);
}

static const struct work works[WORK_COUNT] = {
	WORKS_OF_BOTH,
	WORKS_OF_GROWTH,
	[WORK_TLB_HIT] = {.prepare = prepare_tlb, .round = round_tlb_hit},
	[WORK_TLB_HIT_LATENCY] = {.prepare = prepare_tlb, .round = round_tlb_hit_latency},
	[WORK_TLB_HIT_CALL] = {.prepare = prepare_tlb, .round = round_tlb_hit_call},
	[WORK_TLB_MISS] = {.prepare = prepare_tlb_miss, .round = round_tlb_miss},
	[WORK_TLB_MISS_LATENCY] = {.prepare = prepare_tlb_miss, .round = round_tlb_miss_latency},
	[WORK_TLB_MISS_HUGE] = {.prepare = prepare_tlb_miss_huge, .round = round_tlb_miss},
	[WORK_TLB_MISS_SOFT] = {.prepare = prepare_tlb_miss_soft,
	                        .round = round_tlb_miss_soft,
	                        .how = SIDE_SOFTWARE},
};

/* ---- Several threads ------------------------------------------------------------------------- */

INLINE uint64_t side_load(struct side *side, uint64_t addr)
{
	const uint64_t *word = translate_inline(side, addr);
	return word ? *word : 0;
}

/* As a thread does that waits for something else. */
static void side_rest(struct side *side)
{
	vas_tlb_leave(&side->tlb);
}

#include "bench/bench_lanes.h"

static void wait_for_others(void *ctx)
{
	(void)ctx;
	(void)sched_yield();
}

/* ---- The worst of each call ------------------------------------------------------------------ */

static int64_t read_nothing(void *ctx, uint64_t index, void *page)
{
	(void)ctx;
	(void)index;
	(void)page;
	return 0;
}

static int64_t write_nothing(void *ctx, uint64_t index, const void *page)
{
	(void)ctx;
	(void)index;
	(void)page;
	return 0;
}

static bool side_file(struct side *side, uint64_t bytes)
{
	static const struct vas_object_ops ops = {.read_page = read_nothing,
	                                          .write_page = write_nothing};
	static const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE |
	                                                  VAS_FILE_SHMEM};
	return vas_object_create(side->system, &ops, NULL, bytes, &side->object) == 0 &&
	       vas_file_open(side->object, &info, &side->file) == 0;
}

static void side_file_close(struct side *side)
{
	if (side->file)
		vas_file_put(side->file);
	if (side->object)
		vas_object_put(side->object);
	side->file = NULL;
	side->object = NULL;
}

static int64_t side_mmap_file(struct side *side, uint64_t addr, uint64_t len, uint64_t offset)
{
	return vas_mmap(side->space, addr, len, RW, VAS_MAP_SHARED | VAS_MAP_FIXED, side->file,
	                offset);
}

static int64_t side_truncate(struct side *side, uint64_t bytes)
{
	return vas_object_resize(side->object, bytes);
}

static int64_t side_brk(struct side *side, uint64_t brk)
{
	return vas_brk(side->space, brk);
}

static int64_t side_mlock(struct side *side, uint64_t addr, uint64_t len)
{
	return vas_mlock(side->space, addr, len);
}

static int64_t side_munlock(struct side *side, uint64_t addr, uint64_t len)
{
	return vas_munlock(side->space, addr, len);
}

static int64_t side_mlockall(struct side *side, uint64_t flags)
{
	return vas_mlockall(side->space, flags);
}

static int64_t side_munlockall(struct side *side)
{
	return vas_munlockall(side->space);
}

static int64_t side_msync(struct side *side, uint64_t addr, uint64_t len)
{
	return vas_msync(side->space, addr, len, VAS_MS_SYNC);
}

static int64_t side_mincore(struct side *side, uint64_t addr, uint64_t len, uint64_t vec)
{
	return vas_mincore(side->space, addr, len, vec);
}

static int64_t side_mseal(struct side *side, uint64_t addr, uint64_t len)
{
	return vas_mseal(side->space, addr, len, 0);
}

static int64_t side_pagemap(struct side *side, uint64_t addr, uint64_t npages, uint64_t *to)
{
	return vas_pagemap(side->space, addr, npages, to);
}

static int64_t side_read(struct side *side, void *to, uint64_t addr, uint64_t len)
{
	return vas_read(side->space, to, addr, len, NULL);
}

static int64_t side_write(struct side *side, uint64_t addr, const void *from, uint64_t len)
{
	return vas_write(side->space, addr, from, len, NULL);
}

static void count_text(void *ctx, const char *text, size_t len)
{
	(void)text;
	*(uint64_t *)ctx += len;
}

static int64_t side_report(struct side *side, enum report report)
{
	static void (*const reports[])(struct vas *space, vas_sink *out,
	                               void *ctx) = {[REPORT_maps] = vas_maps,
	                                             [REPORT_smaps] = vas_smaps,
	                                             [REPORT_smaps_rollup] = vas_smaps_rollup,
	                                             [REPORT_status] = vas_status_text};
	uint64_t len = 0;
	reports[report](side->space, count_text, &len);
	return (int64_t)len;
}

#include "bench/bench_worst.h"

static const char *make_string(struct side *side, uint64_t bytes)
{
	const char *why = make_buffer(side, bytes);
	if (!why && vas_write(side->space, BASE, words, bytes, NULL) < 0)
		why = "the string cannot be written";
	return why;
}

static int64_t call_string(struct side *side, uint64_t bytes)
{
	return vas_read_string(side->space, (char *)words, BASE, bytes, NULL);
}

static int64_t call_sync(struct side *side, uint64_t n)
{
	(void)n;
	return vas_object_sync(side->object);
}

static int64_t call_next_present(struct side *side, uint64_t bytes)
{
	uint64_t start, end;
	(void)bytes;
	return vas_next_present(side->space, BASE, &start, &end) ? -1 : 0;
}

static const struct worst_work worst[WORST_COUNT] = {
	WORST_WORKS_OF_BOTH,
	WORST_WORK(STRING, string, string),
	WORST_WORK(SYNC, mappings, sync),
	WORST_WORK(NEXT_PRESENT, emptied, next_present),
};

/* How long others wait, as they see it themselves. */
static void neighbour(struct side *side, bool *begun, const bool *over, struct waits *waits)
{
	const uint64_t at = BASE - GIB;
	if (!side->other && (vas_create(side->system, NULL, &side->other) < 0 ||
	                     vas_mmap(side->other, at, PAGE, RW, ANON_AT, NULL, 0) < 0))
		return;
	*waits = (struct waits){0};
	for (bool first = true; !__atomic_load_n(over, __ATOMIC_ACQUIRE); first = false) {
		uint64_t start = now(), between, end;
		side->sink += vas_present(side->space, at);
		between = now();
		side->plan.failed += vas_fault(side->other, at, VAS_WRITE, NULL) < 0;
		side->plan.failed += vas_madvise(side->other, at, PAGE, VAS_MADV_DONTNEED) < 0;
		end = now();
		if (!first && (double)(between - start) > waits->same)
			waits->same = (double)(between - start);
		if (!first && (double)(end - between) > waits->other)
			waits->other = (double)(end - between);
		if (first)
			__atomic_store_n(begun, true, __ATOMIC_RELEASE);
	}
}

/* ---- Opening --------------------------------------------------------------------------------- */

static struct side *open_side(unsigned how)
{
	struct vas_config config = {.format = &vas_format_x86_64,
	                            .software = how & SIDE_SOFTWARE,
	                            .port = {.memory_len = MEMORY, .zeroed = true}};
	struct vas_params params;
	struct side *side = calloc(1, sizeof(*side));
	void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!side || memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, MEMORY, MADV_HUGEPAGE);
	config.port.memory = memory;
	config.port.threads = how & SIDE_THREADS;
	config.port.wait = wait_for_others;
	vas_settings_default(&config.settings, MEMORY / PAGE);
	config.settings.max_map_count = UINT32_MAX;
	vas_params_default(&params);
	params.start_brk = GIB;
	if (vas_system_create(&config, &side->system) < 0 ||
	    vas_create(side->system, &params, &side->space) < 0)
		return NULL;
	plan_init(&side->plan);
	return side;
}

static struct side *join_side(struct side *first)
{
	struct side *side = calloc(1, sizeof(*side));
	if (!side)
		return NULL;
	side->system = first->system;
	side->space = first->space;
	vas_tlb_register(side->space, &side->tlb);
	return side;
}

const struct bench_side bench_vas = {"vas",     works, lane_works,  open_side,
	                             join_side, worst, clear_worst, neighbour};
