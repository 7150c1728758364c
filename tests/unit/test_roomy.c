/* VAS_PLACE_ROOMY: what nobody placed has room to grow, and moves in whole tables.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define LAZY (ANON | VAS_MAP_NORESERVE)

static struct unit unit;

static struct vas *begin(void)
{
	unit_begin(&unit);
	vas_system_settings(unit.system)->placement = VAS_PLACE_ROOMY;
	return unit_space(&unit);
}

static uint64_t map(struct vas *space, uint64_t len)
{
	int64_t addr = vas_mmap(space, 0, len, RW, LAZY, NULL, 0);

	assert_true(addr > 0);
	assert_holds(vas_check(space));
	return (uint64_t)addr;
}

static uint64_t grow(struct vas *space, uint64_t addr, uint64_t old_len, uint64_t new_len)
{
	int64_t to = vas_mremap(space, addr, old_len, new_len, VAS_MREMAP_MAYMOVE, 0);

	assert_true(to > 0);
	assert_holds(vas_check(space));
	return (uint64_t)to;
}

static void neighbours_grow_sixteenfold_in_place(void **state)
{
	struct vas *space = begin();
	uint64_t addr[50], len = 64 << 10;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		addr[i] = map(space, len);
	for (; len < (1 << 20); len += 64 << 10)
		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(grow(space, addr[i], len, len + (64 << 10)), addr[i]);
	unit_close(&unit, space);
}

static unsigned moves_while_growing(struct vas *space, uint64_t extra)
{
	uint64_t len = UNIT_PAGE + extra, addr;
	unsigned moves = 0;

	map(space, UNIT_PAGE);
	for (addr = map(space, len); len < 4 * GIB; len = 2 * (len - extra) + extra) {
		uint64_t to = grow(space, addr, len, 2 * (len - extra) + extra);

		if (to == addr)
			continue;
		moves++;
		/* Whole tables of whatever it fills go along. */
		if (len >= 2 * MIB)
			assert_int_equal(to % (2 * MIB), addr % (2 * MIB));
		if (len >= GIB)
			assert_int_equal(to % GIB, addr % GIB);
		addr = to;
	}
	return moves;
}

static void growth_moves_once_in_sixteenfold(void **state)
{
	struct vas *space = begin();

	(void)state;
	assert_in_range(moves_while_growing(space, 0), 1, 5);
	assert_in_range(moves_while_growing(space, UNIT_PAGE), 1, 5);
	vas_system_settings(unit.system)->placement = VAS_PLACE_LINUX;
	assert_in_range(moves_while_growing(space, 0), 15, 20);
	unit_close(&unit, space);
}

static void what_lies_askew_stays_congruent(void **state)
{
	struct vas *space = begin();
	const uint64_t fixed = LAZY | VAS_MAP_FIXED, from = 64 * GIB + 5 * UNIT_PAGE;
	int64_t to;

	(void)state;
	assert_call(space, vas_mmap(space, from, 3 * MIB, RW, fixed, NULL, 0), from);
	assert_call(space, vas_mmap(space, from + 3 * MIB, UNIT_PAGE, 0, fixed, NULL, 0),
	            from + 3 * MIB);
	to = vas_mremap(space, from, 3 * MIB, 4 * MIB, VAS_MREMAP_MAYMOVE, 0);
	assert_int_equal((uint64_t)to % (2 * MIB), 5 * UNIT_PAGE);
	/* Less than a table: nothing goes whole, so the new place may as well be aligned. */
	assert_call(space, vas_mmap(space, from, MIB, RW, fixed, NULL, 0), from);
	assert_call(space, vas_mmap(space, from + MIB, UNIT_PAGE, 0, fixed, NULL, 0), from + MIB);
	to = vas_mremap(space, from, MIB, 2 * MIB, VAS_MREMAP_MAYMOVE, 0);
	assert_int_equal((uint64_t)to % (2 * MIB), 0);
	to = vas_mremap(space, (uint64_t)to, 2 * MIB, 2 * MIB,
	                VAS_MREMAP_MAYMOVE | VAS_MREMAP_DONTUNMAP, 0);
	assert_int_equal((uint64_t)to % (2 * MIB), 0);
	unit_close(&unit, space);
}

static void files_keep_to_their_offset(void **state)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ};
	struct vas *space = begin();
	struct vas_object *object;
	struct vas_file *file;
	int64_t addr;

	(void)state;
	assert_int_equal(vas_object_create(unit.system, NULL, NULL, 16 * MIB, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	addr = vas_mmap(space, 0, 5 * MIB, VAS_PROT_READ, VAS_MAP_PRIVATE, file, 3 * UNIT_PAGE);
	assert_int_equal((uint64_t)addr % (2 * MIB), 3 * UNIT_PAGE);
	vas_file_put(file);
	vas_object_put(object);
	unit_close(&unit, space);
}

static void who_names_an_address_gets_it(void **state)
{
	struct vas *space = begin();
	int64_t addr;

	(void)state;
	assert_call(space, vas_mmap(space, at(3), UNIT_PAGE, RW, LAZY, NULL, 0), at(3));
	assert_call(space, vas_mmap(space, at(9), UNIT_PAGE, RW, LAZY | VAS_MAP_FIXED, NULL, 0),
	            at(9));
	addr = vas_mmap(space, 0, UNIT_PAGE, RW, LAZY | VAS_MAP_32BIT, NULL, 0);
	assert_in_range(addr, 1, ((uint64_t)1 << 31) - UNIT_PAGE);
	unit_close(&unit, space);
}

static void room_counts_for_no_limit(void **state)
{
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	vas_system_settings(unit.system)->placement = VAS_PLACE_ROOMY;
	unit.params.limit[VAS_RLIMIT_AS].soft = 2 * MIB;
	space = unit_space(&unit);
	map(space, 2 * MIB);
	assert_int_equal(vas_mmap(space, 0, UNIT_PAGE, RW, LAZY, NULL, 0), -VAS_ENOMEM);
	unit_close(&unit, space);
}

/* An address space that is full but for some holes: there is no room, but every place that the
 * exact search finds something for is found. */
static void a_full_space_is_used_to_the_last_page(void **state)
{
	struct random random = {.state = 4711};
	const uint64_t npages = ((uint64_t)256 << 30) / UNIT_PAGE - 16;
	struct vas *space;
	unsigned found = 0;

	(void)state;
	unit_prepare(&unit);
	unit.config.format = &vas_format_riscv_sv39;
	unit_begin_with(&unit, 64 * MIB);
	space = unit_space(&unit);
	assert_int_equal(vas_mmap(space, 16 * UNIT_PAGE, (npages - 1) * UNIT_PAGE, 0,
	                          LAZY | VAS_MAP_FIXED, NULL, 0),
	                 16 * UNIT_PAGE);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t len = UNIT_PAGE << random_below(&random, 14);
		uint64_t addr = (16 + random_below(&random, npages / 2)) * UNIT_PAGE;
		int64_t roomy, exact;

		if (i % 4 == 0)
			vas_munmap(space, addr, len + random_below(&random, 7) * UNIT_PAGE);
		len -= random_below(&random, 2) * (len - UNIT_PAGE) / 3 / UNIT_PAGE * UNIT_PAGE;
		vas_system_settings(unit.system)->placement = VAS_PLACE_ROOMY;
		roomy = vas_mmap(space, 0, len, RW, LAZY, NULL, 0);
		if (roomy > 0 && i % 8)
			assert_int_equal(vas_munmap(space, (uint64_t)roomy, len), 0);
		vas_system_settings(unit.system)->placement = VAS_PLACE_LINUX;
		exact = vas_mmap(space, 0, len, RW, LAZY, NULL, 0);
		if (i % 8)
			assert_true((roomy < 0) == (exact < 0));
		if (roomy < 0)
			assert_int_equal(roomy, -VAS_ENOMEM);
		found += roomy > 0;
	}
	assert_in_range(found, 500, 1950);
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_grow_sixteenfold_in_place),
		cmocka_unit_test(growth_moves_once_in_sixteenfold),
		cmocka_unit_test(what_lies_askew_stays_congruent),
		cmocka_unit_test(files_keep_to_their_offset),
		cmocka_unit_test(who_names_an_address_gets_it),
		cmocka_unit_test(room_counts_for_no_limit),
		cmocka_unit_test(a_full_space_is_used_to_the_last_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
