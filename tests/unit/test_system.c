/* Systems: their regions, several side by side, imported vmas; the audit sees what is wrong.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/space.h"

static struct unit unit;

/* ---- Regions --------------------------------------------------------------------------------- */

static void a_region_that_will_not_do(void **state)
{
	static _Alignas(16384) uint8_t memory[VAS_MEMORY_MIN + 16384];
	struct vas_config config = {.port = {.memory = memory, .memory_len = VAS_MEMORY_MIN}};
	struct vas_system *system;

	(void)state;
	vas_settings_default(&config.settings, 1000);
	assert_int_equal(vas_system_create(&config, &system), 0);
	config.port.memory_len -= 4096;
	assert_int_equal(vas_system_create(&config, &system), -VAS_ENOMEM);
	config.port.memory_len += 4097;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.port.memory_len -= 1;
	config.port.memory = memory + 8;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.port.memory = NULL;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.port.memory = memory;
	config.port.phys = 512;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.port.phys = 0;
	config.task_size = (uint64_t)1 << 47; /* the format has a page less */
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.task_size = ((uint64_t)1 << 40) + 1;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.task_size = (uint64_t)1 << 40;
	config.window = (uint64_t)1 << 41;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.window = 0;
	assert_int_equal(vas_system_create(&config, &system), 0);
	config.port.memory_len = (uint64_t)1 << 44;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
}

/* The smallest region holds a space of any format, and nothing is written outside of it. */
static void the_smallest_region(void **state)
{
	static _Alignas(16384) uint8_t memory[VAS_MEMORY_MIN + 2 * 16384];
	const struct vas_format *const formats[] = {
		&vas_format_x86_64,      &vas_format_x86_64_la57, &vas_format_aarch64_4k,
		&vas_format_aarch64_16k, &vas_format_riscv_sv39,  &vas_format_aarch64_4k_lpa2,
	};

	(void)state;
	for (unsigned f = 0; f < 6; f++) {
		struct vas_config config = {.format = formats[f]};
		struct vas_system *system;
		struct vas *space;
		uint8_t byte = 1;
		uint64_t page;

		memset(memory, 0xcc, sizeof(memory));
		vas_settings_default(&config.settings, 1000);
		config.port.memory = memory + 16384;
		config.port.memory_len = VAS_MEMORY_MIN;
		assert_int_equal(vas_system_create(&config, &system), 0);
		assert_int_equal(vas_create(system, NULL, &space), 0);
		page = vas_page_size(space);
		assert_call(space, vas_mmap(space, at(0), 100 * page, RW, ANON_FIXED, NULL, 0),
		            at(0));
		for (uint64_t i = 0; i < 100; i++) {
			if (vas_write(space, at(0) + i * page, &byte, 1, NULL) == -VAS_ENOMEM)
				break;
			assert_int_not_equal(i, 99);
		}
		assert_holds(vas_check(space));
		assert_holds(vas_audit(system));
		vas_destroy(space);
		assert_holds(vas_audit(system));
		for (unsigned i = 0; i < 16384; i++) {
			assert_int_equal(memory[i], 0xcc);
			assert_int_equal(memory[16384 + VAS_MEMORY_MIN + i], 0xcc);
		}
	}
}

/* Who fills no settings has the defaults; who forgets those that nothing works without is told. */
static void settings_that_nobody_filled(void **state)
{
	static _Alignas(16384) uint8_t memory[VAS_MEMORY_MIN];
	struct vas_config config = {.port = {.memory = memory, .memory_len = sizeof(memory)}};
	struct vas_settings wanted, *got;
	struct vas_system *system;
	struct vas *space;

	(void)state;
	assert_int_equal(vas_system_create(&config, &system), 0);
	vas_settings_default(&wanted, sizeof(memory) / 4096);
	got = vas_system_settings(system);
	assert_int_equal(got->max_map_count, wanted.max_map_count);
	assert_int_equal(got->ram_pages, wanted.ram_pages);
	assert_int_equal(got->mmap_min_addr, wanted.mmap_min_addr);
	assert_int_equal(got->overcommit_ratio, wanted.overcommit_ratio);
	assert_true(got->thp && got->ksm && got->memory_failure && !got->leak_locked);
	assert_int_equal(vas_create(system, NULL, &space), 0);
	assert_call(space, vas_mmap(space, at(0), 4096, RW, ANON_FIXED, NULL, 0), at(0));
	vas_destroy(space);
	config.settings.thp = true;
	assert_int_equal(vas_system_create(&config, &system), -VAS_EINVAL);
	config.settings.max_map_count = 1;
	assert_int_equal(vas_system_create(&config, &system), 0);
	assert_int_equal(vas_system_settings(system)->max_map_count, 1);
}

/* What port.h says of the size of a region: enough, and of large ones not much too much. */
static void a_region_for_what_is_touched(void **state)
{
	const struct vas_format *const formats[] = {&vas_format_x86_64, &vas_format_x86_64_la57,
	                                            &vas_format_aarch64_16k, NULL};
	const uint64_t sizes[] = {1, 65536, (uint64_t)5 << 20, ((uint64_t)24 << 20) + 1};

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		uint64_t bytes = sizes[i % 4], len = VAS_MEMORY_FOR(bytes), total, left;
		struct vas_config config = {.format = formats[i / 4], .port.memory_len = len};
		struct vas_system *system;
		struct vas *space;
		uint8_t byte = 1;

		config.port.memory = aligned_alloc(16384, len);
		assert_non_null(config.port.memory);
		assert_int_equal(vas_system_create(&config, &system), 0);
		assert_int_equal(vas_create(system, NULL, &space), 0);
		assert_call(space, vas_mmap(space, at(0), bytes, RW, ANON_FIXED, NULL, 0), at(0));
		for (uint64_t byte_at = 0; byte_at < bytes; byte_at += 4096)
			assert_int_equal(vas_write(space, at(0) + byte_at, &byte, 1, NULL), 0);
		vas_system_frames(system, &total, &left);
		assert_true(left * vas_page_size(space) <= VAS_MEMORY_MIN + bytes / 64);
		assert_holds(vas_audit(system));
		vas_destroy(space);
		free(config.port.memory);
	}
}

static void systems_do_not_know_each_other(void **state)
{
	struct unit other;
	struct vas *a, *b;
	uint64_t word;

	(void)state;
	unit_begin(&unit);
	unit_prepare(&other);
	other.config.linux_version = VAS_LINUX(5, 6, 19);
	other.config.format = &vas_format_riscv_sv39;
	unit_begin_with(&other, (uint64_t)1 << 20);
	a = unit_space(&unit);
	b = unit_space(&other);
	assert_int_equal(vas_system_version(vas_system_of(a)), VAS_LINUX_LATEST);
	assert_int_equal(vas_system_version(vas_system_of(b)), VAS_LINUX(5, 6, 19));
	for (unsigned i = 0; i < 2; i++) {
		struct vas *space = i ? b : a;

		assert_call(space, vas_mmap(space, at(0), 4096, RW, ANON_FIXED, NULL, 0), at(0));
		word = 100 + i;
		assert_call(space, vas_write(space, at(0), &word, 8, NULL), 0);
	}
	vas_system_fail_after(unit.system, 0);
	assert_call(b, vas_mmap(b, at(10), 4096, RW, ANON_FIXED, NULL, 0), at(10));
	vas_system_fail_after(unit.system, -1);
	assert_call(a, vas_read(a, &word, at(0), 8, NULL), 0);
	assert_int_equal(word, 100);
	struct vas_settings settings = *vas_system_settings(other.system);
	settings.max_map_count = 1;
	vas_system_change(other.system, &settings);
	assert_int_equal(vas_system_settings(other.system)->max_map_count, 1);
	assert_int_equal(vas_system_settings(unit.system)->max_map_count, 65530);
	assert_call(a, vas_munmap(a, at(0), 4096), 0);
	assert_call(b, vas_read(b, &word, at(0), 8, NULL), 0);
	assert_int_equal(word, 101);
	unit_close(&unit, a);
	unit_close(&other, b);
}

/* ---- Importing ------------------------------------------------------------------------------- */

static struct vas_region plain(uint64_t first, uint64_t npages)
{
	return (struct vas_region){
		.start = at(first),
		.end = at(first + npages),
		.flags = VAS_VM_READ | VAS_VM_WRITE | VAS_VM_MAYREAD | VAS_VM_MAYWRITE |
	                 VAS_VM_MAYEXEC | VAS_VM_ACCOUNT,
		.offset = at(first),
	};
}

static void what_is_imported_is_there_as_it_was(void **state)
{
	struct vas_region region = plain(0, 4), seen;
	struct vas_status status;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	region.touched = true;
	region.flags |= VAS_VM_LOCKED;
	assert_call(space, vas_import(space, &region), 0);
	assert_true(vas_next_region(space, 0, &seen));
	assert_int_equal(seen.start, region.start);
	assert_int_equal(seen.end, region.end);
	assert_int_equal(seen.flags, region.flags);
	assert_int_equal(seen.offset, region.offset);
	assert_true(seen.touched && !seen.forked);
	vas_get_status(space, &status);
	assert_int_equal(status.size, 4);
	assert_int_equal(status.locked, 4);
	assert_int_equal(vas_system_committed(unit.system), 4);
	/* It merges with nothing, not even its like. */
	region = plain(4, 2);
	region.flags |= VAS_VM_LOCKED;
	assert_call(space, vas_import(space, &region), 0);
	vas_get_status(space, &status);
	assert_int_equal(status.map_count, 2);
	unit_close(&unit, space);
}

/* Two mappings imported with one identity become one, of two they stay two. */
static void what_is_imported_has_the_identity_that_is_said(void **state)
{
	struct vas_region low = plain(0, 2), high = plain(2, 2), seen;
	struct vas_status status;
	struct vas *space;

	(void)state;
	for (int same = 0; same < 2; same++) {
		unit_begin(&unit);
		space = unit_space(&unit);
		low.touched = high.touched = true;
		low.identity = high.identity = 0;
		assert_call(space, vas_import(space, &low), 0);
		assert_true(vas_next_region(space, low.start, &seen));
		assert_true(seen.identity != 0);
		high.identity = same ? seen.identity : 0;
		assert_call(space, vas_import(space, &high), 0);
		assert_call(space, vas_mprotect(space, low.start, 4 * UNIT_PAGE, VAS_PROT_READ), 0);
		vas_get_status(space, &status);
		assert_int_equal(status.map_count, same ? 1 : 2);
		unit_close(&unit, space);
	}
}

static void what_cannot_be_is_refused(void **state)
{
	struct vas_region region;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	region = plain(0, 4);
	assert_call(space, vas_import(space, &region), 0);
	region = plain(3, 2);
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region = plain(10, 0);
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region = plain(10, 1);
	region.start++;
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region = plain(10, 1);
	region.end = vas_task_size(space) + UNIT_PAGE;
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region = plain(10, 1);
	region.forked = true;
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region = plain(10, 1);
	region.identity = 1; /* of what was never written */
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region = plain(10, 1);
	region.flags |= VAS_VM_SHARED;
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region.flags |= VAS_VM_MAYSHARE;
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	region.name = "[shared]";
	region.flags |= VAS_VM_GROWSDOWN;
	assert_call(space, vas_import(space, &region), -VAS_EINVAL);
	unit_close(&unit, space);
}

/* ---- The audit, and the check, see what is wrong --------------------------------------------- */

static struct vas *with_something(void)
{
	struct vas *space;
	uint64_t word = 1;

	unit_begin(&unit);
	space = unit_space(&unit);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t kind = i == 1 ? VAS_MAP_SHARED : VAS_MAP_PRIVATE;

		assert_call(space,
		            vas_mmap(space, at(20 * i), 8 * UNIT_PAGE, RW,
		                     kind | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED, NULL, 0),
		            at(20 * i));
		assert_call(space, vas_write(space, at(20 * i), &word, 8, NULL), 0);
	}
	assert_holds(vas_audit(unit.system));
	return space;
}

/* Every count of every frame in use, one too high and one too low. */
static void every_wrong_count_is_found(void **state)
{
	struct vas *space = with_something();
	struct frame_pool *pool = &unit.system->frames;

	(void)state;
	for (uint32_t i = pool->reserved; i < pool->count; i++) {
		if (pool->frame[i].refs == 0)
			continue;
		pool->frame[i].refs++;
		assert_non_null(vas_audit(unit.system));
		pool->frame[i].refs -= 2;
		assert_non_null(vas_audit(unit.system));
		pool->frame[i].refs++;
		assert_holds(vas_audit(unit.system));
	}
	unit_close(&unit, space);
}

static void a_lost_frame_is_found(void **state)
{
	struct vas *space = with_something();
	uint32_t lost = frame_alloc(&unit.system->frames, FRAME_NONE, 0);

	(void)state;
	assert_non_null(vas_audit(unit.system));
	frame_put(&unit.system->frames, lost);
	frame_free(&unit.system->frames, lost);
	assert_holds(vas_audit(unit.system));
	unit.system->committed++;
	assert_non_null(vas_audit(unit.system));
	unit.system->committed--;
	unit_close(&unit, space);
}

static void wrong_counters_are_found(void **state)
{
	struct vas *space = with_something();
	uint64_t *const counters[] = {&space->size,  &space->locked, &space->data,
	                              &space->stack, &space->exec,   &space->tree.count};

	(void)state;
	for (unsigned i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		++*counters[i];
		assert_non_null(vas_check(space));
		--*counters[i];
		assert_holds(vas_check(space));
	}
	unit_close(&unit, space);
}

/* Words of the tables that say what they must not. */
static void wrong_entries_are_found(void **state)
{
	struct vas *space = with_something();
	uint8_t *memory = unit.config.port.memory;
	struct vas_walk_step step[VAS_LEVELS_MAX];
	const uint64_t no_right = (uint64_t)1 << 63;
	uint64_t *word, good;
	unsigned last;

	(void)state;
	last = vas_walk(space, at(0), step) - 1;
	word = (uint64_t *)(void *)(memory + step[last].table) + step[last].index;
	good = *word;
	*word = good & ~no_right; /* executable, which its vma is not */
	assert_non_null(vas_check(space));
	*word = 0; /* a word less than counted */
	assert_non_null(vas_check(space));
	*word = good;
	*word ^= (uint64_t)1 << 40; /* out of the region */
	assert_non_null(vas_check(space));
	*word = good;
	word[10] = good; /* where no vma is, and not counted */
	assert_non_null(vas_check(space));
	word[10] = 0;
	assert_holds(vas_check(space));
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_region_that_will_not_do),
		cmocka_unit_test(the_smallest_region),
		cmocka_unit_test(settings_that_nobody_filled),
		cmocka_unit_test(a_region_for_what_is_touched),
		cmocka_unit_test(systems_do_not_know_each_other),
		cmocka_unit_test(what_is_imported_is_there_as_it_was),
		cmocka_unit_test(what_is_imported_has_the_identity_that_is_said),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(every_wrong_count_is_found),
		cmocka_unit_test(a_lost_frame_is_found),
		cmocka_unit_test(wrong_counters_are_found),
		cmocka_unit_test(wrong_entries_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
