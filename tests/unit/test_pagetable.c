/* Page tables of every geometry against the truth: single pages in an array (pagemodel.h).
 *
 * SPDX-License-Identifier: MIT */
#include "pagemodel.h"

/* x86-64's words in tables of four entries: every boundary is near. */
static struct vas_format toy = {
	.name = "toy",
	.levels = 4,
	.page_shift = 12,
	.index_bits = 2,
	.max_leaf_level = 2,
	.readable = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC,
	.tables_protect = true,
	.task_size = 256 * 4096,
	.window = 256 * 4096,
};

static struct mapped mapped;
static struct unit unit;

static void begin(const struct vas_format *format)
{
	const struct vas_format shape = toy;

	/* Its words are x86-64's. */
	toy = vas_format_x86_64;
	toy.name = shape.name;
	toy.levels = shape.levels;
	toy.index_bits = shape.index_bits;
	toy.max_leaf_level = shape.max_leaf_level;
	toy.task_size = shape.task_size;
	toy.window = shape.window;
	unit_prepare(&unit);
	unit.config.format = format;
	unit.config.port.phys = (uint64_t)1 << 40;
	/* Only what is written uses memory. */
	unit_begin_with(&unit, (uint64_t)4 << 30);
	mapped_begin(&mapped, &unit);
}

static void end(void)
{
	mapped_end(&mapped);
	unit_end(&unit);
}

/* ---- One move, every way --------------------------------------------------------------------- */

enum fill { FILL_PAGES, FILL_SPARSE, FILL_LARGE, FILL_MIXED, FILLS };

/* Something to move in pages [first, first + n) of the toy. */
static void fill(enum fill how, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++) {
		unsigned level = 0;

		while (level < 2 && i % (4u << (2 * level)) == 0 &&
		       i + (4u << (2 * level)) <= first + n)
			level++;
		switch (how) {
		case FILL_PAGES:
			mapped_set(&mapped, i * UNIT_PAGE, 0, RIGHT_READ | RIGHT_WRITE);
			break;
		case FILL_SPARSE:
			if (i % 5 == 0)
				mapped_set(&mapped, i * UNIT_PAGE, 0, RIGHT_READ);
			break;
		case FILL_LARGE:
			mapped_set(&mapped, i * UNIT_PAGE, level, RIGHT_READ | RIGHT_WRITE);
			i += ((uint64_t)1 << (2 * level)) - 1;
			break;
		default:
			if (i % 7 == 3)
				mapped_mark(&mapped, i * UNIT_PAGE);
			else if (i % 3)
				mapped_set(&mapped, i * UNIT_PAGE, 0, i % 8);
			break;
		}
	}
}

static void move_once(enum fill how, uint64_t from, uint64_t to, uint64_t n)
{
	fill(how, from, n);
	/* Neighbours in the same tables, which stay. */
	mapped_set(&mapped, (from + n) * UNIT_PAGE, 0, RIGHT_READ);
	mapped_set(&mapped, (to + n) * UNIT_PAGE, 0, RIGHT_READ | RIGHT_EXEC);
	assert_mapped(&mapped);
	assert_true(mapped_try_move(&mapped, from * UNIT_PAGE, to * UNIT_PAGE, n * UNIT_PAGE));
	assert_mapped(&mapped);
	mapped_clear(&mapped, 0, toy.task_size, false);
	assert_int_equal(pagemap_count_tables(&mapped.pm), 0);
	mapped.cached.n = 0;
}

static void a_move_at_every_misalignment(void **state)
{
	(void)state;
	begin(&toy);
	for (unsigned how = 0; how < FILLS; how++) {
		for (uint64_t from = 0; from < 20; from++) {
			for (uint64_t to = 100; to < 116; to += 1 + from % 3) {
				for (uint64_t n = 1; n < 70; n += 1 + n / 3) {
					move_once((enum fill)how, from, to, n);
					move_once((enum fill)how, to, from, n);
				}
			}
		}
	}
	end();
}

/* Ranges that touch, within one table. */
static void a_move_to_next_door(void **state)
{
	(void)state;
	begin(&toy);
	for (uint64_t from = 0; from < 20; from++) {
		for (uint64_t n = 1; n < 20; n++) {
			fill(FILL_MIXED, from, n);
			mapped_move(&mapped, from * UNIT_PAGE, (from + n) * UNIT_PAGE,
			            n * UNIT_PAGE);
			assert_mapped(&mapped);
			mapped_move(&mapped, (from + n) * UNIT_PAGE, from * UNIT_PAGE,
			            n * UNIT_PAGE);
			assert_mapped(&mapped);
			mapped_clear(&mapped, 0, toy.task_size, false);
			mapped.cached.n = 0;
		}
	}
	end();
}

static void a_move_without_memory_changes_nothing(void **state)
{
	(void)state;
	begin(&toy);
	for (unsigned how = 0; how < FILLS; how++) {
		for (uint64_t shift = 0; shift < 18; shift++) {
			fill((enum fill)how, 16, 50);
			mapped_move(&mapped, 16 * UNIT_PAGE, (128 + shift) * UNIT_PAGE,
			            50 * UNIT_PAGE);
			assert_mapped(&mapped);
			mapped_clear(&mapped, 0, toy.task_size, false);
			mapped.cached.n = 0;
		}
	}
	end();
}

/* What both addresses allow goes whole: the frames and tables are the same ones as before. */
static void an_aligned_move_takes_whole_entries(void **state)
{
	uint64_t free_before;

	(void)state;
	begin(&toy);
	fill(FILL_PAGES, 0, 64);
	free_before = unit_free(&unit);
	assert_true(mapped_try_move(&mapped, 0, 128 * UNIT_PAGE, 64 * UNIT_PAGE));
	assert_mapped(&mapped);
	assert_int_equal(unit_free(&unit), free_before);
	mapped_clear(&mapped, 0, toy.task_size, false);
	fill(FILL_LARGE, 0, 64);
	free_before = unit_free(&unit);
	assert_true(mapped_try_move(&mapped, 0, 192 * UNIT_PAGE, 64 * UNIT_PAGE));
	assert_int_equal(unit_free(&unit), free_before);
	assert_mapped(&mapped);
	end();
}

/* Then nothing is made, and nothing is let go of; but not to where it comes from. */
static void a_page_alone_in_its_tables_moves_with_them(void **state)
{
	static const uint64_t to[] = {4, 12, 16, 64, 192, 253};

	(void)state;
	begin(&toy);
	for (unsigned i = 0; i < sizeof(to) / sizeof(*to); i++) {
		uint64_t tables;

		mapped_set(&mapped, 0, 0, RIGHT_READ);
		tables = pagemap_count_tables(&mapped.pm);
		if (!mapped.pm.software && to[i] % 4 == 0)
			vas_system_fail_after(unit.system, 0);
		assert_true(mapped_try_move(&mapped, 0, to[i] * UNIT_PAGE, 4 * UNIT_PAGE));
		vas_system_fail_after(unit.system, -1);
		assert_mapped(&mapped);
		assert_int_equal(pagemap_count_tables(&mapped.pm), tables);
		mapped_clear(&mapped, 0, toy.task_size, false);
		mapped.cached.n = 0;
	}
	end();
}

/* ---- Random steps in all geometries ---------------------------------------------------------- */

/* A few pages on both sides of a boundary of a table of some level. */
static uint64_t some_addr(struct random *random)
{
	const struct vas_format *format = mapped.pm.table.format;
	unsigned level = (unsigned)random_below(random, format->levels);
	uint64_t span = format_span(format, level), page = format_page_size(format);
	uint64_t addr = span * (1 + random_below(random, 2)) + random_below(random, 9) * page;

	addr -= random_below(random, 9) * page;
	if (random_below(random, 4) == 0)
		addr = format->task_size - (1 + random_below(random, 8)) * page;
	return addr < format->task_size ? addr : 0;
}

/* A length in bytes that stays inside: some pages, or whole spans. */
static uint64_t some_len(struct random *random, uint64_t room)
{
	const struct vas_format *format = mapped.pm.table.format;
	unsigned level = (unsigned)random_below(random, format->levels);
	uint64_t page = format_page_size(format), len = page * (1 + random_below(random, 12));

	if (random_below(random, 3) == 0)
		len = format_span(format, level) * (1 + random_below(random, 2));
	return len < room ? len : room;
}

static void random_move(struct random *random)
{
	uint64_t task_size = mapped.pm.table.format->task_size;
	uint64_t from = some_addr(random), to = some_addr(random);
	uint64_t len = some_len(random, task_size - (from > to ? from : to));

	if (from + len <= to || to + len <= from)
		mapped_move(&mapped, from, to, len);
}

static void random_step(struct random *random)
{
	const struct vas_format *format = mapped.pm.table.format;
	uint64_t addr = some_addr(random), len = some_len(random, format->task_size - addr);
	unsigned rights = (unsigned)random_below(random, 8);

	switch (random_below(random, 8)) {
	case 0:
	case 1:
		mapped_set(&mapped, addr, 0, rights);
		break;
	case 2:
		if (mapped.model.n < 8000 && format_span(format, 1) <= format->task_size - addr)
			mapped_set(&mapped, addr, 1, rights);
		break;
	case 3:
		mapped_mark(&mapped, addr);
		break;
	case 4:
		mapped_clear(&mapped, addr, addr + len, random_below(random, 2));
		break;
	case 5:
		mapped_protect(&mapped, addr, addr + len, rights);
		break;
	default:
		random_move(random);
		break;
	}
}

static void random_steps_in_every_geometry(void **state)
{
	const struct vas_format *formats[] = {
		&toy,
		&vas_format_x86_64,
		&vas_format_x86_64_la57,
		&vas_format_aarch64_4k,
		&vas_format_aarch64_16k,
		&vas_format_riscv_sv39,
		&vas_format_riscv_sv48,
		&vas_format_riscv_sv57,
	};

	(void)state;
	for (unsigned f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		struct random random = {.state = 1000 + f};

		begin(formats[f]);
		for (unsigned i = 0; i < (f ? 250u : 5000u); i++) {
			random_step(&random);
			assert_mapped(&mapped);
		}
		end();
	}
}

/* ---- One by one ------------------------------------------------------------------------------ */

#define GIB ((uint64_t)1 << 30)
#define MIB2 ((uint64_t)2 << 20)

struct shape {
	unsigned n[3]; /* leaves of each level */
};

static bool count_leaf(void *ctx, uint64_t addr, unsigned level, const struct entry *entry)
{
	struct shape *shape = ctx;

	(void)addr;
	(void)entry;
	shape->n[level]++;
	return true;
}

static void assert_shape(unsigned n2, unsigned n1, unsigned n0)
{
	struct shape shape = {{0}};

	pagemap_walk(&mapped.pm, 0, mapped.pm.table.format->task_size, count_leaf, &shape);
	assert_int_equal(shape.n[2], n2);
	assert_int_equal(shape.n[1], n1);
	assert_int_equal(shape.n[0], n0);
	assert_holds(pagemap_check(&mapped.pm));
}

static void set_gib(uint64_t addr)
{
	struct entry leaf = {.kind = ENTRY_LEAF, .rights = RIGHT_READ | RIGHT_WRITE};
	uint32_t frame = frame_alloc(mapped.pm.table.frames, FRAME_NONE, 18);

	assert_int_not_equal(frame, FRAME_NONE);
	leaf.phys = frame_phys(mapped.pm.table.frames, frame);
	assert_true(pagemap_set(&mapped.pm, addr, 2, &leaf));
	assert_shape(1, 0, 0);
}

/* 1 GiB leaves: the truth would be too long, their shape says it. */
static void a_gib_leaf_moves_whole_or_is_split(void **state)
{
	unsigned level;

	(void)state;
	begin(&vas_format_x86_64);
	set_gib(4 * GIB);
	assert_true(pagemap_prepare_move(&mapped.pm, 4 * GIB, 9 * GIB, GIB));
	pagemap_move(&mapped.pm, 4 * GIB, 9 * GIB, GIB);
	assert_shape(1, 0, 0);
	assert_int_equal(pagemap_lookup(&mapped.pm, 9 * GIB + MIB2, &level).kind, ENTRY_LEAF);
	assert_int_equal(level, 2);
	assert_int_equal(pagemap_lookup(&mapped.pm, 4 * GIB, &level).kind, ENTRY_ABSENT);

	/* Moved by 2 MiB, it becomes 512 leaves of 2 MiB. */
	assert_true(pagemap_prepare_move(&mapped.pm, 9 * GIB, 20 * GIB + MIB2, GIB));
	pagemap_move(&mapped.pm, 9 * GIB, 20 * GIB + MIB2, GIB);
	assert_shape(0, 512, 0);

	/* Cut inside one: 512 pages, twice the same cut. */
	assert_true(pagemap_split_at(&mapped.pm, 20 * GIB + 3 * MIB2 + UNIT_PAGE));
	assert_shape(0, 511, 512);
	assert_true(pagemap_split_at(&mapped.pm, 20 * GIB + 3 * MIB2 + UNIT_PAGE));
	assert_true(pagemap_split_at(&mapped.pm, 20 * GIB + 4 * MIB2));
	assert_shape(0, 511, 512);

	/* Moved by a page: nothing but pages is left. */
	assert_true(pagemap_prepare_move(&mapped.pm, 20 * GIB, 40 * GIB + UNIT_PAGE, 2 * GIB));
	pagemap_move(&mapped.pm, 20 * GIB, 40 * GIB + UNIT_PAGE, 2 * GIB);
	assert_shape(0, 0, 1u << 18);
	pagemap_clear(&mapped.pm, 0, mapped.pm.table.format->task_size);
	gather_close(&mapped.gather);
	end();
}

static void a_gib_leaf_is_freed_whole(void **state)
{
	(void)state;
	begin(&vas_format_x86_64);
	set_gib(4 * GIB);
	assert_true(pagemap_split_at(&mapped.pm, 4 * GIB));
	assert_true(pagemap_split_at(&mapped.pm, 5 * GIB));
	assert_shape(1, 0, 0);
	mapped_clear(&mapped, 4 * GIB, 5 * GIB, false);
	end();
}

static void a_set_without_memory_leaves_no_tables(void **state)
{
	const struct entry mark = {.kind = ENTRY_MARK, .mark = MARK_GUARD};

	(void)state;
	unit_hardware_only();
	begin(&vas_format_x86_64_la57);
	for (int64_t n = 0; n < 4; n++) {
		mapped.pm.table.frames->fail_after = n;
		assert_false(pagemap_set(&mapped.pm, 0x123456789000, 0, &mark));
		mapped.pm.table.frames->fail_after = -1;
		assert_mapped(&mapped);
		assert_int_equal(pagemap_count_tables(&mapped.pm), 0);
	}
	end();
}

static void the_zero_frame_is_not_counted(void **state)
{
	struct entry zero = {.kind = ENTRY_LEAF, .rights = RIGHT_READ};
	uint32_t refs;

	(void)state;
	begin(&vas_format_x86_64);
	refs = mapped.pm.table.frames->frame[mapped.pm.table.zero].refs;
	zero.phys = frame_phys(mapped.pm.table.frames, mapped.pm.table.zero);
	for (unsigned i = 0; i < 4; i++)
		assert_true(pagemap_set(&mapped.pm, at(i), 0, &zero));
	pagemap_clear(&mapped.pm, at(0), at(4));
	gather_close(&mapped.gather);
	assert_int_equal(mapped.pm.table.frames->frame[mapped.pm.table.zero].refs, refs);
	end();
}

static void a_trace_names_every_table_on_the_way(void **state)
{
	struct spot steps[VAS_LEVELS_MAX];

	(void)state;
	unit_hardware_only();
	begin(&vas_format_x86_64_la57);
	assert_int_equal(pagemap_trace(&mapped.pm, at(0), steps), 1);
	mapped_set(&mapped, at(0), 0, RIGHT_READ);
	assert_int_equal(pagemap_trace(&mapped.pm, at(0), steps), 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(steps[i].level, 4 - i);
		assert_ptr_equal(steps[i].word,
		                 (uint64_t *)frame_host(mapped.pm.table.frames, steps[i].table) +
		                         format_index(mapped.pm.table.format, at(0), 4 - i));
		assert_int_not_equal(*steps[i].word, 0);
	}
	assert_int_equal(steps[0].table, mapped.pm.table.root);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_at_every_misalignment),
		cmocka_unit_test(a_move_to_next_door),
		cmocka_unit_test(a_move_without_memory_changes_nothing),
		cmocka_unit_test(an_aligned_move_takes_whole_entries),
		cmocka_unit_test(a_page_alone_in_its_tables_moves_with_them),
		cmocka_unit_test(random_steps_in_every_geometry),
		cmocka_unit_test(a_gib_leaf_moves_whole_or_is_split),
		cmocka_unit_test(a_gib_leaf_is_freed_whole),
		cmocka_unit_test(a_set_without_memory_leaves_no_tables),
		cmocka_unit_test(the_zero_frame_is_not_counted),
		cmocka_unit_test(a_trace_names_every_table_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
