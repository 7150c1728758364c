/* What differs between versions and no script can tell: both sides of it. The others have cases
 * (tests/sides counts).
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#define HUGE ((uint64_t)2 << 20)
#define GUARD_BIT ((uint64_t)1 << 58)
#define SWAPPED_BIT ((uint64_t)1 << 62)

static struct vas *begin(struct unit *unit, uint32_t version)
{
	unit_prepare(unit);
	unit->config.linux_version = version;
	unit->config.settings.thp_zero_page = true;
	unit->config.settings.thp_enabled = VAS_THP_ALWAYS;
	unit_begin_with(unit, (uint64_t)16 << 20);
	return unit_space(unit);
}

/* pagemap's word of a page with a guard. */
static uint64_t guard_word(uint32_t version)
{
	struct unit unit;
	struct vas *space = begin(&unit, version);
	uint64_t word = 0;

	assert_call(space, vas_mmap(space, at(0), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	assert_call(space, vas_madvise(space, at(0), UNIT_PAGE, VAS_MADV_GUARD_INSTALL), 0);
	assert_int_equal(vas_pagemap(space, at(0), 1, &word), 1);
	unit_close(&unit, space);
	return word;
}

/* linux_pagemap_guard */
static void pagemap_tells_guards_from_swapped_pages_since_6_15(void **state)
{
	(void)state;
	assert_int_equal(guard_word(VAS_LINUX(6, 14)) & (SWAPPED_BIT | GUARD_BIT), SWAPPED_BIT);
	assert_int_equal(guard_word(VAS_LINUX(6, 15)) & (SWAPPED_BIT | GUARD_BIT),
	                 SWAPPED_BIT | GUARD_BIT);
}

/* How much one leaf covers once a huge page of zeros has been written to. */
static uint64_t written_after_zeros(uint32_t version)
{
	struct unit unit;
	struct vas *space = begin(&unit, version);
	uint64_t len = 0;
	uint8_t byte = 1;

	assert_call(space, vas_mmap(space, HUGE * 8, HUGE, RW, ANON_FIXED, NULL, 0), HUGE * 8);
	assert_call(space, vas_fault(space, HUGE * 8, VAS_READ, NULL), 0);
	assert_int_equal(vas_lookup(space, HUGE * 8, NULL, &len), VAS_PROT_READ);
	assert_int_equal(len, HUGE);
	assert_call(space, vas_write(space, HUGE * 8, &byte, 1, NULL), 0);
	assert_int_equal(vas_lookup(space, HUGE * 8, NULL, &len), RW);
	unit_close(&unit, space);
	return len;
}

/* linux_zeros_become_huge */
static void a_write_to_huge_zeros_takes_a_huge_page_since_6_13(void **state)
{
	(void)state;
	assert_int_equal(written_after_zeros(VAS_LINUX(6, 12)), UNIT_PAGE);
	assert_int_equal(written_after_zeros(VAS_LINUX(6, 13)), HUGE);
}

/* An old address that is not mapped, and a new one that is not aligned: which is seen. */
static int64_t misplaced(uint32_t version)
{
	struct unit unit;
	struct vas *space = begin(&unit, version);
	int64_t err = vas_mremap(space, at(0), UNIT_PAGE, UNIT_PAGE,
	                         VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, at(8) + 1);

	unit_close(&unit, space);
	return err;
}

/* linux_mremap_aligns_first */
static void mremap_aligns_the_new_address_first_in_6_15_and_6_16(void **state)
{
	(void)state;
	assert_int_equal(misplaced(VAS_LINUX(6, 14)), -VAS_EFAULT);
	assert_int_equal(misplaced(VAS_LINUX(6, 15)), -VAS_EINVAL);
	assert_int_equal(misplaced(VAS_LINUX(6, 16)), -VAS_EINVAL);
}

/* The rights of memory mapped for writing alone, on RISC-V. */
static uint64_t written_only(uint32_t version)
{
	struct vas_region region;
	struct unit unit;
	struct vas *space;

	unit_prepare(&unit);
	unit.config.linux_version = version;
	unit.config.format = &vas_format_riscv_sv39;
	unit_begin_with(&unit, (uint64_t)8 << 20);
	space = unit_space(&unit);
	assert_call(space, vas_mmap(space, at(0), UNIT_PAGE, VAS_PROT_WRITE, ANON_FIXED, NULL, 0),
	            at(0));
	assert_true(vas_next_region(space, at(0), &region));
	unit_close(&unit, space);
	return region.flags & (VAS_VM_READ | VAS_VM_WRITE);
}

/* linux_riscv_write_reads */
static void on_riscv_who_writes_may_read_since_7_2(void **state)
{
	(void)state;
	assert_int_equal(written_only(VAS_LINUX(7, 1)), VAS_VM_WRITE);
	assert_int_equal(written_only(VAS_LINUX(7, 2)), VAS_VM_READ | VAS_VM_WRITE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pagemap_tells_guards_from_swapped_pages_since_6_15),
		cmocka_unit_test(a_write_to_huge_zeros_takes_a_huge_page_since_6_13),
		cmocka_unit_test(mremap_aligns_the_new_address_first_in_6_15_and_6_16),
		cmocka_unit_test(on_riscv_who_writes_may_read_since_7_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
