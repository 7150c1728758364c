/* Where mmap and mremap put what nobody placed.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define TOP ((uint64_t)0x7ffff7fff000) /* mmap_base with a stack of 8 MiB */
#define TASK_SIZE ((uint64_t)0x7ffffffff000)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static struct unit unit;

static struct vas *begin(void)
{
	unit_begin(&unit);
	return unit_space(&unit);
}

static uint64_t map(struct vas *space, uint64_t hint, uint64_t len, uint64_t flags)
{
	int64_t addr = vas_mmap(space, hint, len, RW, ANON | flags, NULL, 0);

	assert_holds(vas_check(space));
	return (uint64_t)addr;
}

static void the_highest_hole_that_is_large_enough(void **state)
{
	struct vas *space = begin();
	uint64_t a = map(space, 0, 4 * UNIT_PAGE, 0), b = map(space, 0, UNIT_PAGE, 0);

	(void)state;
	assert_int_equal(a, TOP - 4 * UNIT_PAGE);
	assert_int_equal(b, a - UNIT_PAGE);
	assert_call(space, vas_munmap(space, a + UNIT_PAGE, 2 * UNIT_PAGE), 0);
	assert_int_equal(map(space, 0, 3 * UNIT_PAGE, 0), b - 3 * UNIT_PAGE);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), a + 2 * UNIT_PAGE);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), a + UNIT_PAGE);
	unit_close(&unit, space);
}

static void the_base_follows_the_stack_limit(void **state)
{
	static const struct {
		uint64_t limit, base;
	} rows[] = {
		{8 * MIB, TOP},
		{64 << 10, TOP},
		{GIB, 0x7fffbfeff000},
		{VAS_RLIM_INFINITY, 0x155555556000},
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct vas *space;

		unit_begin(&unit);
		unit.params.limit[VAS_RLIMIT_STACK].soft = rows[i].limit;
		space = unit_space(&unit);
		assert_int_equal(map(space, 0, UNIT_PAGE, 0), rows[i].base - UNIT_PAGE);
		unit_close(&unit, space);
	}
}

static void hints(void **state)
{
	struct vas *space = begin();

	(void)state;
	assert_int_equal(map(space, at(3) + 77, UNIT_PAGE, 0), at(3)); /* rounded down */
	assert_int_equal(map(space, at(3), UNIT_PAGE, 0), TOP - UNIT_PAGE);
	assert_int_equal(map(space, at(2), 2 * UNIT_PAGE, 0), TOP - 3 * UNIT_PAGE);
	assert_int_equal(map(space, 4096, UNIT_PAGE, 0), 65536); /* raised to the floor */
	assert_int_equal(map(space, 77, UNIT_PAGE, 0), TOP - 4 * UNIT_PAGE); /* as none */
	assert_int_equal(map(space, TASK_SIZE - UNIT_PAGE, UNIT_PAGE, 0), TASK_SIZE - UNIT_PAGE);
	assert_int_equal(map(space, TASK_SIZE, UNIT_PAGE, 0), TOP - 5 * UNIT_PAGE);
	assert_int_equal(map(space, ~(uint64_t)0, UNIT_PAGE, 0), TOP - 6 * UNIT_PAGE);
	unit_close(&unit, space);
}

static void fixed_addresses(void **state)
{
	struct vas *space = begin();
	const uint64_t noreplace = VAS_MAP_FIXED_NOREPLACE, fixed = VAS_MAP_FIXED;

	(void)state;
	assert_int_equal((int64_t)map(space, at(0) + 1, UNIT_PAGE, fixed), -VAS_EINVAL);
	assert_int_equal((int64_t)map(space, TASK_SIZE, UNIT_PAGE, fixed), -VAS_ENOMEM);
	assert_int_equal((int64_t)map(space, ~(uint64_t)0 << 12, UNIT_PAGE, fixed), -VAS_ENOMEM);
	assert_int_equal(map(space, 0, UNIT_PAGE, fixed), 0);
	assert_call(space, vas_munmap(space, 0, UNIT_PAGE), 0);
	assert_int_equal(map(space, at(0), UNIT_PAGE, noreplace), at(0));
	assert_int_equal((int64_t)map(space, at(0), UNIT_PAGE, noreplace), -VAS_EEXIST);
	assert_int_equal((int64_t)map(space, at(0), UNIT_PAGE, noreplace | fixed), -VAS_EEXIST);
	vas_set_capabilities(space, 0);
	assert_int_equal((int64_t)map(space, 4096, UNIT_PAGE, fixed), -VAS_EPERM);
	assert_int_equal(map(space, 65536, UNIT_PAGE, fixed), 65536);
	unit_close(&unit, space);
}

static void lengths_that_cannot_be(void **state)
{
	struct vas *space = begin();

	(void)state;
	assert_int_equal((int64_t)map(space, 0, 0, 0), -VAS_EINVAL);
	assert_int_equal((int64_t)map(space, 0, ~(uint64_t)0, 0), -VAS_ENOMEM);
	assert_int_equal((int64_t)map(space, 0, TASK_SIZE + 1, VAS_MAP_NORESERVE), -VAS_ENOMEM);
	assert_int_equal((int64_t)map(space, 0, TASK_SIZE, VAS_MAP_NORESERVE), -VAS_ENOMEM);
	unit_close(&unit, space);
}

static void two_mib_alignment(void **state)
{
	struct vas *space = begin();
	uint64_t a, b;

	(void)state;
	a = map(space, 0, 2 * MIB, 0);
	assert_int_equal(a, (TOP - 2 * MIB) & ~(2 * MIB - 1));
	assert_int_equal(map(space, 0, 2 * MIB + UNIT_PAGE, 0), a - 2 * MIB - UNIT_PAGE);
	/* A hole of just the size is not taken again: it would have to be larger by 2 MiB. */
	b = map(space, 0, 6 * MIB, 0);
	assert_int_equal(b % (2 * MIB), 0);
	assert_call(space, vas_munmap(space, b + 2 * MIB, 2 * MIB), 0);
	assert_true(map(space, 0, 2 * MIB, 0) < b);
	unit_close(&unit, space);

	space = begin();
	vas_system_settings(unit.system)->thp = false;
	assert_int_equal(map(space, 0, 2 * MIB, 0), TOP - 2 * MIB);
	unit_close(&unit, space);
}

static void files_for_huge_pages(void **state)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_THP_ALIGN};
	struct vas *space = begin();
	struct vas_object *object;
	struct vas_file *file;
	int64_t addr;

	(void)state;
	assert_int_equal(vas_object_create(unit.system, NULL, NULL, 16 * MIB, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	addr = vas_mmap(space, 0, 5 * MIB, VAS_PROT_READ, VAS_MAP_PRIVATE, file, 3 * UNIT_PAGE);
	assert_int_equal(((uint64_t)addr - 3 * UNIT_PAGE) % (2 * MIB), 0);
	addr = vas_mmap(space, 0, 2 * MIB - UNIT_PAGE, VAS_PROT_READ, VAS_MAP_PRIVATE, file,
	                3 * UNIT_PAGE);
	assert_int_not_equal(((uint64_t)addr - 3 * UNIT_PAGE) % (2 * MIB), 0); /* no whole block */
	vas_file_put(file);
	vas_object_put(object);
	unit_close(&unit, space);
}

static void below_a_stack_is_a_gap(void **state)
{
	struct vas *space = begin();
	uint64_t stack = TOP - 16 * UNIT_PAGE;

	(void)state;
	assert_int_equal(map(space, stack, UNIT_PAGE, VAS_MAP_FIXED | VAS_MAP_GROWSDOWN), stack);
	assert_int_equal(map(space, 0, 15 * UNIT_PAGE, 0), stack + UNIT_PAGE);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), stack - 257 * UNIT_PAGE);
	assert_int_equal(map(space, stack - 2 * UNIT_PAGE, UNIT_PAGE, 0), stack - 258 * UNIT_PAGE);
	assert_int_equal(map(space, stack - 2 * UNIT_PAGE, UNIT_PAGE, VAS_MAP_FIXED),
	                 stack - 2 * UNIT_PAGE); /* FIXED does not care */
	unit_close(&unit, space);
}

static void below_two_gib(void **state)
{
	struct vas *space = begin();

	(void)state;
	assert_int_equal(map(space, 0, UNIT_PAGE, VAS_MAP_32BIT), GIB);
	assert_int_equal(map(space, 0, UNIT_PAGE, VAS_MAP_32BIT), GIB + UNIT_PAGE);
	assert_int_equal(map(space, at(0), UNIT_PAGE, VAS_MAP_32BIT), at(0));
	assert_int_equal((int64_t)map(space, 0, GIB + UNIT_PAGE, VAS_MAP_32BIT | VAS_MAP_NORESERVE),
	                 -VAS_ENOMEM);
	unit_close(&unit, space);
}

static void the_legacy_layout_goes_up(void **state)
{
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	unit.params.legacy = true;
	space = unit_space(&unit);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), 0x2aaaaaaab000);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), 0x2aaaaaaac000);
	unit_close(&unit, space);
}

static void downwards_full_then_upwards(void **state)
{
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	unit.params.mmap_base = 0x40000;
	space = unit_space(&unit);
	assert_int_equal(map(space, 0, 0x30000, 0), 0x10000);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), 0x2aaaaaaab000);
	unit_close(&unit, space);
}

static void five_levels_only_for_who_asks(void **state)
{
	const uint64_t beyond = (uint64_t)1 << 50;
	struct vas *space;

	(void)state;
	unit_prepare(&unit);
	unit.config.format = &vas_format_x86_64_la57;
	unit_begin_with(&unit, 8 * MIB);
	space = unit_space(&unit);
	assert_int_equal(vas_task_size(space), ((uint64_t)1 << 56) - 4096);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), TOP - UNIT_PAGE);
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0), beyond);
	/* The hint is taken, so the search goes down from as far below the end as always. */
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0), 0xfffffff7fff000 - UNIT_PAGE);
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0), 0xfffffff7fff000 - 2 * UNIT_PAGE);
	unit_close(&unit, space);
}

/* AArch64 with LPA2 has 2^52 in a window of 2^48; with pages of 16 KiB Debian has 2^47, all of it,
 * which the format's four levels could go beyond. */
static void what_linux_has_of_a_format(void **state)
{
	const uint64_t beyond = (uint64_t)1 << 50, base = ((uint64_t)1 << 48) - 128 * MIB;
	struct vas *space;

	(void)state;
	unit_prepare(&unit);
	unit.config.format = &vas_format_aarch64_4k_lpa2;
	unit_begin_with(&unit, 8 * MIB);
	space = unit_space(&unit);
	assert_int_equal(vas_task_size(space), (uint64_t)1 << 52);
	assert_int_equal(map(space, 0, UNIT_PAGE, 0), base - UNIT_PAGE);
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0), beyond);
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0),
	                 base + ((uint64_t)1 << 52) - ((uint64_t)1 << 48) - UNIT_PAGE);
	assert_holds(vas_check(space));
	unit_close(&unit, space);

	unit_prepare(&unit);
	unit.config.format = &vas_format_aarch64_16k;
	unit.config.task_size = (uint64_t)1 << 47;
	unit_begin_with(&unit, 8 * MIB);
	space = unit_space(&unit);
	assert_int_equal(vas_task_size(space), (uint64_t)1 << 47);
	assert_int_equal(map(space, 0, 16384, 0), ((uint64_t)1 << 47) - 128 * MIB - 16384);
	assert_int_equal((int64_t)map(space, (uint64_t)1 << 47, 16384, VAS_MAP_FIXED), -VAS_ENOMEM);
	assert_holds(vas_check(space));
	unit_close(&unit, space);
}

/* RISC-V takes the hint, but the next one does not raise the base. */
static void sv57_keeps_its_base(void **state)
{
	const uint64_t beyond = (uint64_t)1 << 50, base = ((uint64_t)1 << 47) - 128 * MIB;
	struct vas *space;

	(void)state;
	unit_prepare(&unit);
	unit.config.format = &vas_format_riscv_sv57;
	unit_begin_with(&unit, 8 * MIB);
	space = unit_space(&unit);
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0), beyond);
	assert_int_equal(map(space, beyond, UNIT_PAGE, 0), base - UNIT_PAGE);
	unit_close(&unit, space);
}

static void a_move_asks_the_same_question(void **state)
{
	struct vas *space = begin();
	uint64_t a = map(space, at(0), 2 * UNIT_PAGE, 0);
	int64_t moved;

	(void)state;
	map(space, at(2), UNIT_PAGE, 0);
	moved = vas_mremap(space, a, UNIT_PAGE, 4 * UNIT_PAGE, VAS_MREMAP_MAYMOVE, 0);
	assert_int_equal(moved, TOP - 4 * UNIT_PAGE);
	moved = vas_mremap(space, a + UNIT_PAGE, UNIT_PAGE, 2 * MIB, VAS_MREMAP_MAYMOVE, 0);
	assert_int_equal(moved % (int64_t)(2 * MIB), 0);
	assert_holds(vas_check(space));
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_hole_that_is_large_enough),
		cmocka_unit_test(the_base_follows_the_stack_limit),
		cmocka_unit_test(hints),
		cmocka_unit_test(fixed_addresses),
		cmocka_unit_test(lengths_that_cannot_be),
		cmocka_unit_test(two_mib_alignment),
		cmocka_unit_test(files_for_huge_pages),
		cmocka_unit_test(below_a_stack_is_a_gap),
		cmocka_unit_test(below_two_gib),
		cmocka_unit_test(the_legacy_layout_goes_up),
		cmocka_unit_test(downwards_full_then_upwards),
		cmocka_unit_test(five_levels_only_for_who_asks),
		cmocka_unit_test(what_linux_has_of_a_format),
		cmocka_unit_test(sv57_keeps_its_base),
		cmocka_unit_test(a_move_asks_the_same_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
