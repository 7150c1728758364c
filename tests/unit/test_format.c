/* The laws of a page-table format, for every format, level, and combination.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "format/format.h"

static const struct vas_format *const formats[] = {
	&vas_format_x86_64,      &vas_format_x86_64_la57,     &vas_format_aarch64_4k,
	&vas_format_aarch64_16k, &vas_format_riscv_sv39,      &vas_format_riscv_sv48,
	&vas_format_riscv_sv57,  &vas_format_aarch64_4k_lpa2,
};

#define NFORMATS (sizeof(formats) / sizeof(formats[0]))

/* Physical addresses that every format can name: below 2^47, aligned to what a leaf covers. */
static uint64_t some_phys(struct random *random, const struct vas_format *format, unsigned level)
{
	return random_next(random) & (((uint64_t)1 << 47) - 1) & ~(format_span(format, level) - 1);
}

static void the_zero_word_is_absent(void **state)
{
	const struct entry absent = {.kind = ENTRY_ABSENT};

	(void)state;
	for (unsigned f = 0; f < NFORMATS; f++) {
		for (unsigned level = 0; level < formats[f]->levels; level++) {
			assert_int_equal(formats[f]->decode(0, level).kind, ENTRY_ABSENT);
			assert_int_equal(formats[f]->encode(&absent, level), 0);
		}
	}
}

static void assert_leaf_law(const struct vas_format *format, unsigned level,
                            const struct entry *leaf)
{
	uint64_t word = format->encode(leaf, level);
	struct entry back = format->decode(word, level);

	assert_int_not_equal(word, 0);
	assert_int_equal(back.kind, ENTRY_LEAF);
	assert_int_equal(back.phys, leaf->phys);
	assert_int_equal(back.accessed, leaf->accessed);
	assert_int_equal(back.dirty, leaf->dirty);
	/* Rights are raised to what can be expressed, never taken; none stay none. */
	assert_int_equal(back.rights & leaf->rights, leaf->rights);
	if (leaf->rights == 0)
		assert_int_equal(back.rights, 0);
	if (!(leaf->rights & RIGHT_WRITE))
		assert_false(back.rights & RIGHT_WRITE);
	if (!(leaf->rights & RIGHT_EXEC))
		assert_false(back.rights & RIGHT_EXEC);
	/* What a fault will count as readable is what the hardware will let be read. */
	assert_int_equal((back.rights & RIGHT_READ) != 0, (leaf->rights & format->readable) != 0);
	/* Encoding again what was read changes nothing. */
	assert_int_equal(format->encode(&back, level), word);
}

static void leaves_come_back_as_they_went(void **state)
{
	struct random random = {.state = 3};

	(void)state;
	for (unsigned f = 0; f < NFORMATS; f++) {
		const struct vas_format *format = formats[f];

		for (unsigned level = 0; level <= format->max_leaf_level; level++) {
			for (unsigned i = 0; i < 32 * 64; i++) {
				struct entry leaf = {
					.kind = ENTRY_LEAF,
					.rights = i % 8,
					.accessed = i & 8,
					.dirty = i & 16,
					.phys = i < 32 ? 0 : some_phys(&random, format, level),
				};

				assert_leaf_law(format, level, &leaf);
			}
		}
	}
}

/* Where the hardware heeds a table's rights, it says whether anything below may be written. */
static void tables_are_tables(void **state)
{
	struct random random = {.state = 5};

	(void)state;
	for (unsigned f = 0; f < NFORMATS; f++) {
		for (unsigned level = 1; level < formats[f]->levels; level++) {
			for (unsigned i = 0; i < 64; i++) {
				struct entry table = {.kind = ENTRY_TABLE}, back;

				table.phys = i > 1 ? some_phys(&random, formats[f], 0) : 0;
				table.rights = i % 2 ? RIGHT_WRITE : 0;
				back = formats[f]->decode(formats[f]->encode(&table, level), level);
				assert_int_equal(back.kind, ENTRY_TABLE);
				assert_int_equal(back.phys, table.phys);
				if (formats[f]->tables_protect)
					assert_int_equal(back.rights, table.rights);
				else
					assert_int_equal(back.rights, RIGHT_WRITE);
			}
		}
	}
}

static void marks_are_neither_pages_nor_nothing(void **state)
{
	(void)state;
	for (unsigned f = 0; f < NFORMATS; f++) {
		for (unsigned level = 0; level < formats[f]->levels; level++) {
			struct entry mark = {.kind = ENTRY_MARK, .mark = MARK_GUARD}, back;

			back = formats[f]->decode(formats[f]->encode(&mark, level), level);
			assert_int_equal(back.kind, ENTRY_MARK);
			assert_int_equal(back.mark, MARK_GUARD);
		}
	}
}

/* What the hardware takes as valid, by the manuals: bit 0 in all of these. */
static void the_hardware_sees_only_what_may_be_accessed(void **state)
{
	(void)state;
	for (unsigned f = 0; f < NFORMATS; f++) {
		for (unsigned level = 0; level <= formats[f]->max_leaf_level; level++) {
			struct entry e = {.kind = ENTRY_LEAF, .accessed = true, .dirty = true};

			assert_false(formats[f]->encode(&e, level) & 1);
			e.rights = RIGHT_READ;
			assert_true(formats[f]->encode(&e, level) & 1);
			e = (struct entry){.kind = ENTRY_MARK, .mark = MARK_GUARD};
			assert_false(formats[f]->encode(&e, level) & 1);
		}
	}
}

/* Words as an MMU would be fed them, worked out by hand from the manuals. */
static void known_words(void **state)
{
	const struct entry rw = {
		.kind = ENTRY_LEAF,
		.rights = RIGHT_READ | RIGHT_WRITE,
		.accessed = true,
		.dirty = true,
		.phys = 0x12345000,
	};
	const struct entry rx = {
		.kind = ENTRY_LEAF,
		.rights = RIGHT_READ | RIGHT_EXEC,
		.accessed = true,
		.phys = 0x40000000,
	};
	const struct entry table = {.kind = ENTRY_TABLE, .rights = RIGHT_WRITE, .phys = 0x7000};
	const struct entry guarded = {.kind = ENTRY_TABLE, .phys = 0x7000};

	(void)state;
	/* NX, D, A, U, W, P */
	assert_int_equal(vas_format_x86_64.encode(&rw, 0), 0x8000000012345067);
	/* PS, A, U, P */
	assert_int_equal(vas_format_x86_64.encode(&rx, 1), 0x400000a5);
	assert_int_equal(vas_format_x86_64.encode(&table, 3), 0x7027);
	assert_int_equal(vas_format_x86_64.encode(&guarded, 3), 0x7025);
	/* D, A, U, W, R, V; the frame number stands from bit 10 */
	assert_int_equal(vas_format_riscv_sv39.encode(&rw, 0), 0x12345000 >> 2 | 0xd7);
	assert_int_equal(vas_format_riscv_sv39.encode(&rx, 1), 0x40000000 >> 2 | 0x5b);
	assert_int_equal(vas_format_riscv_sv39.encode(&table, 1), 0x7000 >> 2 | 0x01);
	/* AArch64: page or block, AF, nG, inner shareable, AP, PXN, UXN; bit 55 is the dirty bit */
	assert_int_equal(vas_format_aarch64_4k.encode(&rw, 0) & ~((uint64_t)1 << 55),
	                 0x60000012345f43);
	assert_int_equal(vas_format_aarch64_4k.encode(&rx, 1), 0x20000040000fc1);
	assert_int_equal(vas_format_aarch64_4k.encode(&table, 2), 0x7003);
	/* APTable[1] */
	assert_int_equal(vas_format_aarch64_4k.encode(&guarded, 2), 0x4000000000007003);
}

static void geometries_are_consistent(void **state)
{
	(void)state;
	for (unsigned f = 0; f < NFORMATS; f++) {
		const struct vas_format *format = formats[f];
		unsigned bits = format_shift(format, format->levels);

		assert_true(format->levels <= VAS_LEVELS_MAX);
		assert_true(format->index_bits + 3 <= format->page_shift);
		assert_true(format->max_leaf_level < format->levels);
		assert_true(format->task_size <= (uint64_t)1 << bits);
		assert_true(format->window <= format->task_size);
		assert_int_equal(format->task_size % format_page_size(format), 0);
		assert_int_equal(format_index(format, ~(uint64_t)0, 0), format_entries(format) - 1);
	}
	assert_int_equal(format_index(&vas_format_x86_64, 0x8040201000, 3), 1);
	assert_int_equal(format_index(&vas_format_x86_64, 0x8040201000, 2), 1);
	assert_int_equal(format_index(&vas_format_x86_64, 0x8040201000, 1), 1);
	assert_int_equal(format_index(&vas_format_x86_64, 0x8040201000, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_zero_word_is_absent),
		cmocka_unit_test(leaves_come_back_as_they_went),
		cmocka_unit_test(tables_are_tables),
		cmocka_unit_test(marks_are_neither_pages_nor_nothing),
		cmocka_unit_test(the_hardware_sees_only_what_may_be_accessed),
		cmocka_unit_test(known_words),
		cmocka_unit_test(geometries_are_consistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
