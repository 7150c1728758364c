/* test_public.c - every public function, called by several threads at once in one system. Worth
 * most under ThreadSanitizer: `make test` runs it there. run_NAME is what a thread does of each,
 * `calls` lists them; tests/tools/public.py compares the names with vas.h and tlb.h.
 *
 * Any answer is right as long as nothing breaks, but where a thread is alone with what it looks at.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>

#include "unit.h"

#define NTHREADS 4u
#define ROUNDS 20u
#define BURST 12u /* calls of one function at a time, at the most */
#define OWN_PAGES 16u
#define COMMON ((uint64_t)0x70000000)
#define COMMON_PAGES 32u
#define MEMORY ((uint64_t)64 << 20)

struct worker {
	pthread_t thread;
	struct random random;
	struct vas_system *system;
	struct vas *space;
	struct vas_object *object;
	struct vas_file *file;
	struct vas_group *group;
	struct vas_tlb tlb;
	uint64_t own; /* nobody else maps, reads or writes anything there */
	void *small;  /* memory for a system of its own */
	unsigned number, failures;
};

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void expect(struct worker *w, bool holds)
{
	w->failures += !holds;
}

/* A page that all threads map, unmap and protect. */
static uint64_t common(struct worker *w)
{
	return COMMON + random_below(&w->random, COMMON_PAGES) * UNIT_PAGE;
}

static uint64_t some(struct worker *w)
{
	return (1 + random_below(&w->random, 6)) * UNIT_PAGE;
}

static void throw_away(void *ctx, const char *text, size_t len)
{
	(void)text;
	*(size_t *)ctx += len;
}

/* ---- Systems --------------------------------------------------------------------------------- */

static void run_vas_settings_default(struct worker *w)
{
	struct vas_settings settings;
	vas_settings_default(&settings, 1 << 20);
	expect(w, settings.ram_pages == 1 << 20);
}

static void run_vas_system_change(struct worker *w)
{
	struct vas_settings settings;
	vas_settings_default(&settings, 1 << 20);
	settings.max_map_count = 60000 + w->number;
	settings.hugepages[0] = 2;
	settings.thp_enabled = VAS_THP_MADVISE;
	vas_system_change(w->system, &settings);
}

static void run_vas_system_settings(struct worker *w)
{
	expect(w, vas_system_settings(w->system) != NULL);
}

static void run_vas_system_version(struct worker *w)
{
	expect(w, vas_system_version(w->system) != 0);
}

static void run_vas_system_page_size(struct worker *w)
{
	expect(w, vas_system_page_size(w->system) == UNIT_PAGE);
}

static void run_vas_system_frames(struct worker *w)
{
	uint64_t total, left;
	vas_system_frames(w->system, &total, &left);
	expect(w, left <= total);
}

static void run_vas_system_committed(struct worker *w)
{
	vas_system_committed(w->system);
}

static void run_vas_system_fail_after(struct worker *w)
{
	vas_system_fail_after(w->system, -1);
}

static void run_vas_root_update(struct worker *w)
{
	vas_root_update(w->system);
}

static void own_system(struct worker *w, bool audit)
{
	struct vas_config config = {.format = &vas_format_riscv_sv39};
	struct vas_system *system;
	struct vas *space;

	config.port.memory = w->small;
	config.port.memory_len = VAS_MEMORY_MIN;
	vas_settings_default(&config.settings, 64);
	expect(w, vas_system_create(&config, &system) == 0);
	expect(w, vas_create(system, NULL, &space) == 0);
	expect(w, !audit || vas_audit(system) == NULL);
	vas_destroy(space);
}
static void run_vas_system_create(struct worker *w)
{
	own_system(w, false);
}

static void run_vas_audit(struct worker *w)
{
	own_system(w, true);
}

/* ---- Spaces ---------------------------------------------------------------------------------- */

static void run_vas_params_default(struct worker *w)
{
	struct vas_params params;
	vas_params_default(&params);
	expect(w, params.capabilities != 0);
}

static void run_vas_create(struct worker *w)
{
	struct vas *space;
	expect(w, vas_create(w->system, NULL, &space) == 0);
	/* A space of its own takes part in what the system gives out: identities, frames. */
	for (unsigned i = 0; i < 4; i++) {
		vas_mmap(space, at(8 * i), 4 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0);
		expect(w, vas_fault(space, at(8 * i), VAS_WRITE, NULL) == 0);
	}
	vas_destroy(space);
}

static void run_vas_destroy(struct worker *w)
{
	struct vas *space;
	expect(w, vas_create(w->system, NULL, &space) == 0);
	vas_mmap(space, at(0), 4 * UNIT_PAGE, RW, VAS_MAP_SHARED | VAS_MAP_FIXED, w->file, 0);
	vas_fault(space, at(1), VAS_WRITE, NULL);
	vas_destroy(space);
}

static void run_vas_system_of(struct worker *w)
{
	expect(w, vas_system_of(w->space) == w->system);
}

static void run_vas_set_limit(struct worker *w)
{
	vas_set_limit(w->space, VAS_RLIMIT_MEMLOCK, (struct vas_limit){some(w) << 10, 1 << 30});
}

static void run_vas_get_limit(struct worker *w)
{
	expect(w, vas_get_limit(w->space, VAS_RLIMIT_MEMLOCK).soft <= 1 << 30);
}

static void run_vas_set_capabilities(struct worker *w)
{
	vas_set_capabilities(w->space, VAS_CAP_IPC_LOCK);
}

static void run_vas_root(struct worker *w)
{
	vas_root(w->space);
}

static void run_vas_task_size(struct worker *w)
{
	expect(w, vas_task_size(w->space) > COMMON);
}

static void run_vas_page_size(struct worker *w)
{
	expect(w, vas_page_size(w->space) == UNIT_PAGE);
}

static void run_vas_context(struct worker *w)
{
	struct vas *space;
	expect(w, vas_create(w->system, NULL, &space) == 0);
	expect(w, vas_context(space) == NULL);
	vas_destroy(space);
}

static void run_vas_set_context(struct worker *w)
{
	struct vas *space;
	expect(w, vas_create(w->system, NULL, &space) == 0);
	vas_set_context(space, w);
	expect(w, vas_context(space) == w);
	vas_destroy(space);
}

/* A group with a space in it, which takes some frames and is refused others. */
static void use_group(struct worker *w)
{
	struct vas_params params;
	struct vas_group_usage usage;
	struct vas *space;

	vas_params_default(&params);
	params.group = w->group;
	if (vas_create(w->system, &params, &space) != 0)
		return; /* the others have taken all */
	expect(w, vas_group_of(space) == w->group);
	vas_mmap(space, at(0), 64 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0);
	for (unsigned i = 0; i < 64; i++)
		vas_fault(space, at(i), VAS_WRITE, NULL);
	vas_group_get_usage(w->group, &usage);
	expect(w, usage.frames > 0);
	vas_destroy(space);
}

static void run_vas_group_create(struct worker *w)
{
	const struct vas_group_params params = {.max_frames = 100};
	struct vas_group *group;

	expect(w, vas_group_create(w->system, &params, &group) == 0);
	vas_group_put(group);
}

static void run_vas_group_put(struct worker *w)
{
	const struct vas_group_params limits = {.max_frames = ~(uint64_t)0};
	struct vas_params params;
	struct vas_group *group;
	struct vas *space;

	vas_params_default(&params);
	expect(w, vas_group_create(w->system, &limits, &group) == 0);
	params.group = group;
	expect(w, vas_create(w->system, &params, &space) == 0);
	vas_group_put(group); /* the space still has it */
	vas_destroy(space);
}

static void run_vas_group_set_limit(struct worker *w)
{
	vas_group_set_limit(w->group, 40 + random_below(&w->random, 100));
	use_group(w);
}

static void run_vas_group_get_usage(struct worker *w)
{
	struct vas_group_usage usage;

	vas_group_get_usage(w->group, &usage);
	expect(w, usage.max_frames > 0);
}

static void run_vas_group_of(struct worker *w)
{
	use_group(w);
	expect(w, vas_group_of(w->space) == NULL);
}

/* ---- Objects and files ----------------------------------------------------------------------- */

static void run_vas_object_create(struct worker *w)
{
	struct vas_object *object;
	expect(w, vas_object_create(w->system, NULL, w, UNIT_PAGE, &object) == 0);
	expect(w, vas_object_ctx(object) == w);
	vas_object_put(object);
}

static void run_vas_object_put(struct worker *w)
{
	struct vas_object *object;
	struct vas_file *file;
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	expect(w, vas_object_create(w->system, NULL, NULL, 8 * UNIT_PAGE, &object) == 0);
	expect(w, vas_file_open(object, &info, &file) == 0);
	vas_mmap(w->space, common(w), some(w), RW, VAS_MAP_SHARED | VAS_MAP_FIXED, file, 0);
	vas_file_put(file);
	vas_object_put(object);
}

static void run_vas_object_resize(struct worker *w)
{
	vas_object_resize(w->object, random_below(&w->random, 16) * 1500);
}

static void run_vas_object_sync(struct worker *w)
{
	expect(w, vas_object_sync(w->object) == 0);
}

static void run_vas_object_ctx(struct worker *w)
{
	expect(w, vas_object_ctx(w->object) == NULL);
}

static void run_vas_file_open(struct worker *w)
{
	struct vas_file *file;
	const struct vas_file_info info = {.mode = VAS_FILE_READ, .path = "file"};
	expect(w, vas_file_open(w->object, &info, &file) == 0);
	vas_file_put(file);
}

static void run_vas_file_put(struct worker *w)
{
	struct vas_file *file;
	const struct vas_file_info info = {.mode = VAS_FILE_READ};
	expect(w, vas_file_open(w->object, &info, &file) == 0);
	vas_mmap(w->space, common(w), some(w), 1, VAS_MAP_PRIVATE | VAS_MAP_FIXED, file, 0);
	vas_file_put(file);
}

static void run_vas_file_get(struct worker *w)
{
	vas_file_get(w->file);
	vas_file_put(w->file);
}

static void run_vas_file_info(struct worker *w)
{
	expect(w, vas_file_info(w->file)->mode & VAS_FILE_WRITE);
}

static void run_vas_file_references(struct worker *w)
{
	expect(w, vas_file_references(w->file) > 0);
}

static void run_vas_file_object(struct worker *w)
{
	expect(w, vas_file_object(w->file) == w->object);
}

/* ---- The calls ------------------------------------------------------------------------------- */

static void run_vas_mmap(struct worker *w)
{
	vas_mmap(w->space, common(w), some(w), RW, ANON_FIXED, NULL, 0);
	vas_mmap(w->space, common(w), some(w), RW, VAS_MAP_SHARED | VAS_MAP_FIXED, w->file, 0);
	vas_mmap(w->space, 0, UNIT_PAGE, 1, ANON, NULL, 0);
	int64_t huge = vas_mmap(w->space, 0, 2 << 20, RW, ANON | VAS_MAP_HUGETLB, NULL, 0);
	if (huge > 0) {
		vas_fault(w->space, (uint64_t)huge, VAS_WRITE, NULL);
		vas_munmap(w->space, (uint64_t)huge, 2 << 20);
	}
}

static void run_vas_munmap(struct worker *w)
{
	vas_munmap(w->space, common(w), some(w));
}

static void run_vas_mremap(struct worker *w)
{
	vas_mremap(w->space, common(w), some(w), some(w), VAS_MREMAP_MAYMOVE, 0);
	vas_mremap(w->space, common(w), UNIT_PAGE, UNIT_PAGE, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
	           common(w));
}

static void run_vas_mprotect(struct worker *w)
{
	vas_mprotect(w->space, common(w), some(w), random_below(&w->random, 2) ? RW : 1);
}

static void run_vas_brk(struct worker *w)
{
	uint64_t now = (uint64_t)vas_brk(w->space, 0);
	vas_brk(w->space, now + some(w));
	vas_brk(w->space, now);
}

static void run_vas_mlock(struct worker *w)
{
	vas_mlock(w->space, common(w), some(w));
}

static void run_vas_mlock2(struct worker *w)
{
	vas_mlock2(w->space, common(w), some(w), VAS_MLOCK_ONFAULT);
}

static void run_vas_munlock(struct worker *w)
{
	vas_munlock(w->space, common(w), some(w));
}

static void run_vas_mlockall(struct worker *w)
{
	vas_mlockall(w->space, VAS_MCL_CURRENT | VAS_MCL_FUTURE);
}

static void run_vas_munlockall(struct worker *w)
{
	vas_munlockall(w->space);
}

static void run_vas_madvise(struct worker *w)
{
	static const unsigned char advice[] = {VAS_MADV_DONTNEED,       VAS_MADV_FREE,
	                                       VAS_MADV_REMOVE,         VAS_MADV_HUGEPAGE,
	                                       VAS_MADV_POPULATE_WRITE, VAS_MADV_GUARD_INSTALL,
	                                       VAS_MADV_GUARD_REMOVE,   VAS_MADV_COLD};
	vas_madvise(w->space, common(w), some(w), advice[random_below(&w->random, sizeof(advice))]);
}

static void run_vas_msync(struct worker *w)
{
	vas_msync(w->space, common(w), some(w), VAS_MS_SYNC);
}

static void run_vas_mincore(struct worker *w)
{
	vas_mincore(w->space, common(w), some(w), w->own + 64);
}

static void run_vas_prctl(struct worker *w)
{
	vas_prctl(w->space, VAS_PR_SET_MEMORY_MERGE, w->own >> 12 & 1);
}

static void run_vas_mseal(struct worker *w)
{
	struct vas *space;
	expect(w, vas_fork(w->space, &space) == 0);
	vas_mseal(space, common(w), UNIT_PAGE, 0);
	vas_munmap(space, COMMON, 1 << 20);
	vas_destroy(space);
}

static void run_vas_fork(struct worker *w)
{
	struct vas *child;
	uint64_t word = 7, back = 0;
	expect(w, vas_fork(w->space, &child) == 0);
	expect(w, vas_write(child, w->own, &word, 8, NULL) == 0);
	expect(w, vas_read(child, &back, w->own, 8, NULL) == 0 && back == 7);
	vas_fault(child, common(w), VAS_WRITE, NULL);
	vas_munmap(child, common(w), some(w));
	vas_destroy(child);
}

/* ---- Access ---------------------------------------------------------------------------------- */

static void run_vas_fault(struct worker *w)
{
	struct vas_signal signal;
	vas_fault(w->space, common(w), VAS_WRITE, &signal);
	vas_fault(w->space, common(w), VAS_READ, NULL);
}

static void run_vas_read(struct worker *w)
{
	uint64_t word;
	expect(w, vas_read(w->space, &word, w->own + 8, 8, NULL) == 0);
}

static void run_vas_write(struct worker *w)
{
	uint64_t word = w->number;
	expect(w, vas_write(w->space, w->own + UNIT_PAGE - 4, &word, 8, NULL) == 0);
}

static void run_vas_read_string(struct worker *w)
{
	char to[8];
	expect(w, vas_read_string(w->space, to, w->own + 16, sizeof(to), NULL) >= 0);
}

static void run_vas_compare_exchange(struct worker *w)
{
	uint64_t was = 0;
	vas_compare_exchange(w->space, common(w), 8, &was, w->number, NULL);
	expect(w, was <= NTHREADS);
}

static void run_vas_tlb_register(struct worker *w)
{
	struct vas_tlb *tlb = calloc(1, sizeof(*tlb));
	void *host;
	expect(w, vas_tlb_register(w->space, tlb) == 0);
	expect(w, vas_translate(w->space, tlb, w->own, VAS_READ, &host, NULL) == 0);
	vas_tlb_unregister(tlb);
	free(tlb);
}

static void run_vas_tlb_unregister(struct worker *w)
{
	struct vas_tlb *tlb = calloc(1, sizeof(*tlb));
	vas_tlb_unregister(tlb);
	expect(w, vas_tlb_register(w->space, tlb) == 0);
	vas_tlb_unregister(tlb);
	vas_tlb_unregister(tlb);
	free(tlb);
}

static void run_vas_tlb_leave(struct worker *w)
{
	vas_tlb_leave(&w->tlb);
}

static void run_vas_translate(struct worker *w)
{
	void *host;
	expect(w, vas_translate(w->space, &w->tlb, w->own, VAS_WRITE, &host, NULL) == 0);
}

static void run_vas_tlb_lookup(struct worker *w)
{
	uint64_t *found = vas_tlb_lookup(&w->tlb, w->own, 8, VAS_WRITE);
	if (found)
		++*found;
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void run_vas_next_region(struct worker *w)
{
	struct vas_region region;
	for (uint64_t addr = 0; vas_next_region(w->space, addr, &region); addr = region.end)
		expect(w, region.start < region.end);
}

static void run_vas_vmflags(struct worker *w)
{
	struct vas_region region;
	char text[VAS_VMFLAGS_MAX];
	expect(w, vas_next_region(w->space, w->own, &region));
	expect(w, vas_vmflags(&region, text) > 0);
}

static void run_vas_import(struct worker *w)
{
	struct vas_region region = {.start = w->own + (1 << 20),
	                            .end = w->own + (1 << 20) + UNIT_PAGE,
	                            .flags = VAS_VM_SPECIAL | VAS_VM_READ | VAS_VM_MAYREAD,
	                            .name = "[vdso]"};
	expect(w, vas_import(w->space, &region) == 0);
	expect(w, vas_munmap(w->space, region.start, UNIT_PAGE) == 0);
}

static void run_vas_get_status(struct worker *w)
{
	struct vas_status status;
	vas_get_status(w->space, &status);
	expect(w, status.size > 0 && status.map_count > 0);
}

static void run_vas_present(struct worker *w)
{
	vas_present(w->space, common(w));
}

static void run_vas_next_present(struct worker *w)
{
	uint64_t start, end;
	vas_next_present(w->space, COMMON, &start, &end);
}

static void run_vas_lookup(struct worker *w)
{
	vas_lookup(w->space, common(w), NULL, NULL);
}

static void run_vas_maps(struct worker *w)
{
	size_t n = 0;
	vas_maps(w->space, throw_away, &n);
	expect(w, n > 0);
}

static void run_vas_smaps(struct worker *w)
{
	size_t n = 0;
	vas_smaps(w->space, throw_away, &n);
	expect(w, n > 0);
}

static void run_vas_smaps_rollup(struct worker *w)
{
	size_t n = 0;
	vas_smaps_rollup(w->space, throw_away, &n);
	expect(w, n > 0);
}

static void run_vas_status_text(struct worker *w)
{
	size_t n = 0;
	vas_status_text(w->space, throw_away, &n);
	expect(w, n > 0);
}

static void run_vas_pagemap(struct worker *w)
{
	uint64_t words[8];
	expect(w, vas_pagemap(w->space, common(w), 8, words) == 8);
}

static void run_vas_walk(struct worker *w)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	vas_walk(w->space, common(w), step);
}

static void run_vas_check(struct worker *w)
{
	expect(w, vas_check(w->space) == NULL);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static void (*const calls[])(struct worker *) = {
	run_vas_settings_default,
	run_vas_system_change,
	run_vas_system_settings,
	run_vas_system_version,
	run_vas_system_page_size,
	run_vas_system_frames,
	run_vas_system_committed,
	run_vas_system_fail_after,
	run_vas_root_update,
	run_vas_system_create,
	run_vas_audit,
	run_vas_params_default,
	run_vas_create,
	run_vas_destroy,
	run_vas_system_of,
	run_vas_set_limit,
	run_vas_get_limit,
	run_vas_set_capabilities,
	run_vas_root,
	run_vas_task_size,
	run_vas_page_size,
	run_vas_context,
	run_vas_set_context,
	run_vas_group_create,
	run_vas_group_put,
	run_vas_group_set_limit,
	run_vas_group_get_usage,
	run_vas_group_of,
	run_vas_object_create,
	run_vas_object_put,
	run_vas_object_resize,
	run_vas_object_sync,
	run_vas_object_ctx,
	run_vas_file_open,
	run_vas_file_put,
	run_vas_file_get,
	run_vas_file_info,
	run_vas_file_object,
	run_vas_file_references,
	run_vas_mmap,
	run_vas_munmap,
	run_vas_mremap,
	run_vas_mprotect,
	run_vas_brk,
	run_vas_mlock,
	run_vas_mlock2,
	run_vas_munlock,
	run_vas_mlockall,
	run_vas_munlockall,
	run_vas_madvise,
	run_vas_msync,
	run_vas_mincore,
	run_vas_prctl,
	run_vas_mseal,
	run_vas_fork,
	run_vas_fault,
	run_vas_read,
	run_vas_write,
	run_vas_read_string,
	run_vas_compare_exchange,
	run_vas_tlb_register,
	run_vas_tlb_unregister,
	run_vas_tlb_leave,
	run_vas_translate,
	run_vas_tlb_lookup,
	run_vas_next_region,
	run_vas_vmflags,
	run_vas_import,
	run_vas_get_status,
	run_vas_present,
	run_vas_next_present,
	run_vas_lookup,
	run_vas_maps,
	run_vas_smaps,
	run_vas_smaps_rollup,
	run_vas_status_text,
	run_vas_pagemap,
	run_vas_walk,
	run_vas_check,
};

static void *work(void *arg)
{
	const unsigned n = sizeof(calls) / sizeof(calls[0]);
	struct worker *w = arg;

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned first = (unsigned)random_below(&w->random, n);

		/* Some together: what one that takes no lock does is then beside what others do. */
		for (unsigned i = 0; i < n; i++) {
			unsigned times = 1 + (unsigned)random_below(&w->random, BURST);

			while (times-- > 0)
				calls[(first + i) % n](w);
		}
		vas_tlb_leave(&w->tlb);
	}
	return NULL;
}

static void start(struct worker *w)
{
	w->small = aligned_alloc(UNIT_PAGE, VAS_MEMORY_MIN);
	w->random.state = w->number + 1;
	w->own = at(0) + w->number * 0x1000000;
	assert_call(w->space,
	            vas_mmap(w->space, w->own, OWN_PAGES * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            w->own);
	assert_int_equal(vas_tlb_register(w->space, &w->tlb), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
}

static void all_calls_at_once(void **state)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};
	const struct vas_group_params limits = {.max_frames = 200};
	struct worker *workers = calloc(NTHREADS, sizeof(*workers)), first = {0};
	struct unit unit;

	(void)state;
	unit_prepare(&unit);
	unit.params.start_brk = 0x50000000;
	unit.config.port.threads = true;
	unit.config.port.wait = yield;
	unit_begin_with(&unit, MEMORY);
	first.system = unit.system;
	first.space = unit_space(&unit);
	assert_int_equal(vas_object_create(unit.system, NULL, NULL, 16 * UNIT_PAGE, &first.object),
	                 0);
	assert_int_equal(vas_file_open(first.object, &info, &first.file), 0);
	assert_int_equal(vas_group_create(unit.system, &limits, &first.group), 0);
	for (unsigned n = 0; n < NTHREADS; n++) {
		workers[n] = first;
		workers[n].number = n;
		start(&workers[n]);
	}
	for (unsigned n = 0; n < NTHREADS; n++) {
		pthread_join(workers[n].thread, NULL);
		assert_int_equal(workers[n].failures, 0);
		free(workers[n].small);
	}
	assert_holds(vas_check(first.space));
	assert_holds(vas_audit(unit.system));
	vas_destroy(first.space);
	vas_file_put(first.file);
	vas_object_put(first.object);
	vas_group_put(first.group);
	unit_end(&unit);
	free(workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_calls_at_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
