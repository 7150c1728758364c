/* Software page trees: what a move leaves alone, and what must not be left behind.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "pages/pagetree.h"
#include "space/space.h"

#define MIB ((uint64_t)1 << 20)
#define FIXED_MOVE (VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED)
#define HOME ((uint64_t)0x10000000)
#define AWAY ((uint64_t)0x7000003000) /* congruent with nothing */

static struct unit unit;

static struct vas *begin(void)
{
	unit_prepare(&unit);
	unit.config.software = true;
	unit_begin_with(&unit, 64 * MIB);
	return unit_space(&unit);
}

static int64_t map(struct vas *space, uint64_t addr, uint64_t npages)
{
	return vas_mmap(space, addr, npages * UNIT_PAGE, RW, ANON_FIXED, NULL, 0);
}

static void map_and_write(struct vas *space, uint64_t addr, uint64_t npages)
{
	assert_call(space, map(space, addr, npages), addr);
	for (uint64_t i = 0; i < npages; i++)
		assert_call(space, vas_write(space, addr + i * UNIT_PAGE, &i, sizeof(i), NULL), 0);
}

static void assert_written(struct vas *space, uint64_t addr, uint64_t first, uint64_t npages)
{
	for (uint64_t i = 0; i < npages; i++) {
		uint64_t word = ~i;

		assert_int_equal(vas_read(space, &word, addr + i * UNIT_PAGE, 8, NULL), 0);
		assert_int_equal(word, first + i);
	}
}

static uint64_t leaf_table(struct vas *space, uint64_t addr)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	unsigned n = vas_walk(space, addr, step);

	assert_true(n > 0 && step[n - 1].leaf);
	return step[n - 1].table + step[n - 1].index;
}

static void there_is_no_root(void **state)
{
	struct vas_walk_step step[VAS_LEVELS_MAX];
	struct vas *space = begin();

	(void)state;
	assert_int_equal(vas_root(space), 0);
	assert_int_equal(vas_walk(space, HOME, step), 0);
	unit_close(&unit, space);
}

static void a_move_touches_no_table(void **state)
{
	const uint64_t npages = 2000, len = npages * UNIT_PAGE;
	struct vas *space = begin();
	uint64_t place, frames;

	(void)state;
	map_and_write(space, HOME, npages);
	/* The first move takes the pages out of the tree that all began in. */
	assert_call(space, vas_mremap(space, HOME, len, len, FIXED_MOVE, AWAY), AWAY);
	place = leaf_table(space, AWAY + 777 * UNIT_PAGE);
	frames = unit_free(&unit);
	for (uint64_t i = 1; i < 50; i++) {
		uint64_t from = AWAY + (i - 1) * 5 * MIB * 3 + (i - 1) * UNIT_PAGE;
		uint64_t to = AWAY + i * 5 * MIB * 3 + i * UNIT_PAGE;

		assert_call(space, vas_mremap(space, from, len, len, FIXED_MOVE, to), to);
		assert_int_equal(leaf_table(space, to + 777 * UNIT_PAGE), place);
		assert_true(unit_free(&unit) >= frames);
		assert_written(space, to, 0, npages);
		assert_int_equal(space->pages.records.count, 1);
	}
	unit_close(&unit, space);
}

static void parts_move_apart_and_together(void **state)
{
	const uint64_t part = 600 * UNIT_PAGE;
	struct vas *space = begin();

	(void)state;
	map_and_write(space, HOME, 1800);
	assert_call(space, vas_mremap(space, HOME + part, part, part, FIXED_MOVE, AWAY), AWAY);
	assert_written(space, HOME, 0, 600);
	assert_written(space, AWAY, 600, 600);
	assert_written(space, HOME + 2 * part, 1200, 600);
	/* Into the hole, and something else to where it was. */
	assert_call(space, vas_mremap(space, AWAY, part, part, FIXED_MOVE, HOME + part),
	            HOME + part);
	assert_written(space, HOME, 0, 1800);
	map_and_write(space, AWAY, 5);
	assert_written(space, AWAY, 0, 5);
	assert_written(space, HOME, 0, 1800);
	unit_close(&unit, space);
}

/* Moves, however many, cost no memory once what moved is gone. */
static void nothing_is_left_behind(void **state)
{
	struct random random = {.state = 5};
	struct vas *space = begin();
	uint64_t frames;

	(void)state;
	frames = unit_free(&unit);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t from = HOME + random_below(&random, 1 << 20) * UNIT_PAGE;
		uint64_t to = AWAY + random_below(&random, 1 << 20) * UNIT_PAGE;
		uint64_t npages = 1 + random_below(&random, 1500), len = npages * UNIT_PAGE;

		assert_call(space, map(space, from, npages), from);
		assert_int_equal(vas_write(space, from + len - 8, &from, 8, NULL), 0);
		assert_call(space, vas_mremap(space, from, len, len, FIXED_MOVE, to), to);
		assert_call(space, vas_munmap(space, to, len), 0);
	}
	assert_int_equal(space->pages.records.count, 0);
	assert_true(unit_free(&unit) + 4 >= frames); /* nodes in reserve */
	unit_close(&unit, space);
}

/* Large pages are aligned by address, wherever the pages around them came from. */
static void moved_pages_collapse(void **state)
{
	const uint64_t npages = 1600, len = npages * UNIT_PAGE, block = 0x7000200000;
	struct vas *space = begin();

	(void)state;
	map_and_write(space, HOME, npages);
	assert_call(space, vas_mremap(space, HOME, len, len, FIXED_MOVE, AWAY), AWAY);
	assert_call(space, vas_madvise(space, block, 2 * MIB, VAS_MADV_COLLAPSE), 0);
	assert_written(space, AWAY, 0, npages);
	/* By 2 MiB it moves whole, by a page it is parted. */
	assert_call(space, vas_mremap(space, AWAY, len, len, FIXED_MOVE, AWAY + 64 * MIB),
	            AWAY + 64 * MIB);
	assert_written(space, AWAY + 64 * MIB, 0, npages);
	assert_call(space,
	            vas_mremap(space, AWAY + 64 * MIB, len, len, FIXED_MOVE, HOME + UNIT_PAGE),
	            HOME + UNIT_PAGE);
	assert_written(space, HOME + UNIT_PAGE, 0, npages);
	unit_close(&unit, space);
}

static void both_sides_of_a_fork_move(void **state)
{
	const uint64_t npages = 1300, len = npages * UNIT_PAGE;
	struct vas *space = begin(), *child;

	(void)state;
	map_and_write(space, HOME, npages);
	assert_call(space, vas_mremap(space, HOME, len, len, FIXED_MOVE, AWAY), AWAY);
	assert_int_equal(vas_fork(space, &child), 0);
	assert_call(child, vas_mremap(child, AWAY, len, len, FIXED_MOVE, HOME), HOME);
	assert_call(space, vas_mremap(space, AWAY, len / 2, len / 2, FIXED_MOVE, HOME + 2 * len),
	            HOME + 2 * len);
	assert_call(space, vas_munmap(space, AWAY + len / 2, 100 * UNIT_PAGE), 0);
	assert_written(child, HOME, 0, npages);
	assert_written(space, HOME + 2 * len, 0, npages / 2);
	assert_written(space, AWAY + len / 2 + 100 * UNIT_PAGE, npages / 2 + 100, npages / 2 - 100);
	vas_destroy(child);
	unit_close(&unit, space);
}

/* ---- What the check finds -------------------------------------------------------------------- */

/* The words of a record (pagetree.c), as the tree of ranges keeps them. */
enum { START, END, KEY, ROOT, TOP, WORDS };

/* The answer where the record of HOME says something else: `add` more in one word or two. */
static const char *found(struct vas *space, unsigned word, unsigned word2, uint64_t add)
{
	struct range_tree *records = &space->pages.records;
	struct range was, is;
	uint64_t words[WORDS];
	const char *answer;

	assert_true(range_tree_find(records, HOME, &was));
	memcpy(words, &was, sizeof(words));
	words[word] += add;
	if (word2 != word)
		words[word2] += add;
	is = was;
	memcpy(&is, words, sizeof(words));
	range_tree_replace(records, was.start, &is);
	answer = tree_check(&space->pages);
	range_tree_replace(records, is.start, &was);
	assert_holds(tree_check(&space->pages));
	return answer ? answer : "nothing";
}

static void assert_finds(struct vas *space)
{
	struct range range;
	uint64_t words[WORDS];
	struct frame *root;
	uint16_t live;

	assert_string_equal(found(space, TOP, TOP, 100),
	                    "all that a record says lies below its root");
	assert_string_equal(found(space, END, END, (uint64_t)1 << 46),
	                    "all that a record says lies below its root");
	assert_string_equal(found(space, START, KEY, UNIT_PAGE),
	                    "a tree holds nothing but what its record says");
	assert_string_equal(found(space, END, END, -(uint64_t)UNIT_PAGE),
	                    "a tree holds nothing but what its record says");
	assert_true(range_tree_find(&space->pages.records, HOME, &range));
	memcpy(words, &range, sizeof(words));
	root = &unit.system->frames.frame[words[ROOT]];
	live = root->live;
	root->live = 0;
	assert_string_equal(tree_check(&space->pages), "no tree of a record is empty");
	root->live = live;
}

static void the_check_finds_what_is_broken(void **state)
{
	struct vas *space = begin();

	(void)state;
	map_and_write(space, HOME, 512);
	assert_finds(space);
	/* As a large page, which then would not be aligned by its address. */
	assert_call(space, vas_madvise(space, HOME, 2 * MIB, VAS_MADV_COLLAPSE), 0);
	assert_string_equal(found(space, START, END, UNIT_PAGE),
	                    "a large leaf is aligned by its address as by its place in the tree");
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_no_root),
		cmocka_unit_test(a_move_touches_no_table),
		cmocka_unit_test(parts_move_apart_and_together),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(moved_pages_collapse),
		cmocka_unit_test(both_sides_of_a_fork_move),
		cmocka_unit_test(the_check_finds_what_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
