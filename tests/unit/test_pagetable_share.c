/* Page tables shared by several maps, as after fork: each map keeps its own truth, nobody writes
 * what another can see, and no reference is lost.
 *
 * SPDX-License-Identifier: MIT */
#include "pagemodel.h"

#define MAPS 3

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

static struct mapped maps[MAPS];
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
	unit_begin_with(&unit, (uint64_t)1 << 30);
	for (unsigned i = 0; i < MAPS; i++) {
		mapped_begin(&maps[i], &unit);
		maps[i].shared = true;
	}
}

/* Subtracted once for each user, every count is 0 but for what the system itself holds. */
static void assert_counts(void)
{
	struct frame_pool *pool = &unit.system->frames;
	uint64_t left = 0;

	for (unsigned i = 0; i < MAPS; i++)
		pagemap_recount(&maps[i].pm, (uint32_t)-1);
	for (uint32_t i = pool->reserved; i < pool->count; i++)
		left += pool->frame[i].refs;
	assert_int_equal(left, 1 + unit.system->slab.nslabs); /* the frame of zeros */
	for (unsigned i = 0; i < MAPS; i++)
		pagemap_recount(&maps[i].pm, 1);
}

static void end(void)
{
	assert_counts();
	for (unsigned i = 0; i < MAPS; i++)
		mapped_end(&maps[i]);
	unit_end(&unit);
}

static bool sees(const struct mapped *mapped, uint64_t phys)
{
	for (unsigned i = 0; i < mapped->model.n; i++) {
		if (!mapped->model.page[i].mark && mapped->model.page[i].phys == phys)
			return true;
	}
	return false;
}

/* The cache holds what each map shows now: what may be written there, the others must not see. */
static void assert_private_writes(void)
{
	for (unsigned m = 0; m < MAPS; m++) {
		for (unsigned i = 0; i < maps[m].cached.n; i++) {
			const struct model_page *page = &maps[m].cached.page[i];

			if (page->mark || !(page->rights & RIGHT_WRITE))
				continue;
			for (unsigned other = 0; other < MAPS; other++)
				assert_false(other != m && sees(&maps[other], page->phys));
		}
	}
}

static void assert_all(void)
{
	for (unsigned i = 0; i < MAPS; i++)
		assert_mapped(&maps[i]);
	assert_private_writes();
}

/* [start, end) of `from` appears in `to`, where nothing is. */
static bool share(struct mapped *to, struct mapped *from, uint64_t start, uint64_t stop)
{
	/* Vmas begin and end there: no leaf crosses a border. */
	bool ok = pagemap_split_at(&from->pm, start) && pagemap_split_at(&from->pm, stop) &&
	          pagemap_share(&to->pm, &from->pm, start, stop, true);

	gather_close(&from->gather);
	gather_close(&to->gather);
	if (!ok)
		return false;
	/* The right to write is gone on both sides, but may come back: the truth keeps it. */
	for (unsigned i = model_above(&from->model, start);
	     i < from->model.n && from->model.page[i].addr < stop; i++)
		model_put(&to->model, &from->model.page[i]);
	return true;
}

static bool own(struct mapped *mapped)
{
	bool ok = pagemap_unshare(&mapped->pm, 0, toy.task_size);

	gather_close(&mapped->gather);
	return ok;
}

static uint64_t some_page(struct random *random)
{
	uint64_t page = random_below(random, 256);

	return random_below(random, 2) ? page & ~(uint64_t)15 : page;
}

/* As the calls pass them: what may be written may be read. */
static unsigned some_rights(struct random *random)
{
	return raised(&toy, (unsigned)random_below(random, 8));
}

static void random_step(struct random *random)
{
	struct mapped *mapped = &maps[random_below(random, MAPS)];
	struct mapped *other = &maps[random_below(random, MAPS)];
	uint64_t first = some_page(random) * UNIT_PAGE, to = some_page(random) * UNIT_PAGE;
	uint64_t len = (1 + random_below(random, 40)) * UNIT_PAGE;
	uint64_t stop = first + len < toy.task_size ? first + len : toy.task_size;

	switch (random_below(random, 8)) {
	case 0:
	case 1:
		mapped_set(mapped, first, (unsigned)random_below(random, 2), some_rights(random));
		break;
	case 2:
		mapped_clear(mapped, first, stop, false);
		break;
	case 3:
		mapped_protect(mapped, first, stop, some_rights(random));
		break;
	case 4:
		if (stop <= to && to + (stop - first) <= toy.task_size)
			mapped_move(mapped, first, to, stop - first);
		break;
	case 5:
		if (random_below(random, 20) == 0)
			mapped_mark(mapped, first);
		break;
	default:
		if (mapped == other)
			break;
		if (random_below(random, 2)) {
			first = 0;
			stop = toy.task_size;
		}
		mapped_clear(other, first, stop, false);
		assert_true(share(other, mapped, first, stop));
		break;
	}
}

static void random_sharing(bool tables_protect)
{
	struct random random = {.state = 77};

	toy.tables_protect = tables_protect;
	for (unsigned round = 0; round < 20; round++) {
		begin(&toy);
		for (unsigned i = 0; i < 300; i++) {
			random_step(&random);
			assert_all();
			if (i % 16 == 0)
				assert_counts();
		}
		end();
	}
	toy.tables_protect = true;
}

static void random_steps_with_shared_tables(void **state)
{
	(void)state;
	random_sharing(true);
}

static void random_steps_where_tables_cannot_protect(void **state)
{
	(void)state;
	random_sharing(false);
}

static void fill(struct mapped *mapped, unsigned rights)
{
	for (unsigned i = 0; i < 256; i++)
		mapped_set(mapped, i * UNIT_PAGE, 0, rights);
}

/* Leaf tables are shared, those above copied; the first change copies one leaf table. */
static void sharing_costs_the_upper_tables_only(void **state)
{
	uint64_t upper = 256 / 16 + 256 / 64; /* tables of 4 entries, below the root */
	uint64_t before;

	(void)state;
	unit_hardware_only();
	begin(&toy);
	fill(&maps[0], RIGHT_READ | RIGHT_WRITE);
	before = unit_free(&unit);
	assert_true(share(&maps[1], &maps[0], 0, toy.task_size));
	upper += 2 * STOCK_TABLES; /* both have something to keep now */
	assert_int_equal(unit_free(&unit), before - upper);
	assert_all();
	mapped_clear(&maps[1], 5 * UNIT_PAGE, 6 * UNIT_PAGE, false);
	assert_int_equal(unit_free(&unit), before - upper - 1);
	assert_all();
	assert_counts();
	end();
}

/* Who is left alone gets back what was only taken because of the others. */
static void the_last_user_may_write_again(void **state)
{
	unsigned level;

	(void)state;
	begin(&toy);
	fill(&maps[0], RIGHT_READ | RIGHT_WRITE);
	assert_true(share(&maps[1], &maps[0], 0, toy.task_size));
	assert_false(pagemap_lookup(&maps[0].pm, 0, &level).rights & RIGHT_WRITE);
	mapped_clear(&maps[1], 0, toy.task_size, false);
	assert_true(own(&maps[0]));
	assert_true(pagemap_lookup(&maps[0].pm, 0, &level).rights & RIGHT_WRITE);
	assert_all();
	end();
}

static void sharing_without_memory_loses_nothing(void **state)
{
	bool done = false;

	(void)state;
	toy.tables_protect = false; /* so that it needs memory */
	begin(&toy);
	fill(&maps[0], RIGHT_READ | RIGHT_WRITE);
	for (int64_t n = 0; !done; n++) {
		assert_true(n < 1000);
		unit.system->frames.fail_after = n;
		done = share(&maps[1], &maps[0], 0, toy.task_size);
		unit.system->frames.fail_after = -1;
		if (done)
			break;
		/* What was done is right: it can be cleared, and nothing is lost. */
		pagemap_clear(&maps[1].pm, 0, toy.task_size);
		gather_close(&maps[1].gather);
		assert_all();
		assert_counts();
	}
	assert_all();
	end();
	toy.tables_protect = true;
}

static void owning_without_memory_loses_nothing(void **state)
{
	bool done = false;

	(void)state;
	begin(&toy);
	fill(&maps[0], RIGHT_READ | RIGHT_WRITE);
	assert_true(share(&maps[1], &maps[0], 0, toy.task_size));
	assert_true(share(&maps[2], &maps[1], 0, toy.task_size));
	for (int64_t n = 0; !done; n++) {
		assert_true(n < 1000);
		unit.system->frames.fail_after = n;
		done = own(&maps[1]);
		unit.system->frames.fail_after = -1;
		assert_all();
		assert_counts();
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sharing_costs_the_upper_tables_only),
		cmocka_unit_test(the_last_user_may_write_again),
		cmocka_unit_test(sharing_without_memory_loses_nothing),
		cmocka_unit_test(owning_without_memory_loses_nothing),
		cmocka_unit_test(random_steps_with_shared_tables),
		cmocka_unit_test(random_steps_where_tables_cannot_protect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
