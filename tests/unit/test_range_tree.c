/* The tree of ranges against an array that tells the truth.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "memory/slab.h"
#include "space/space.h"
#include "tree/range_tree.h"

#define SLOTS 4096 /* pages of the little address space that the truth is about */

/* For each page: 0, or the number of the range that holds it, the first word of its body. */
struct truth {
	uint32_t page[SLOTS];
	uint64_t count;
	uint32_t last;
};

struct pair {
	struct unit unit;
	struct range_tree tree;
	struct truth truth;
};

static void pair_begin(struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	unit_begin(&pair->unit);
	pair->tree.slab = &pair->unit.system->slab;
}

static void pair_end(struct pair *pair)
{
	range_tree_destroy(&pair->tree);
	assert_null(pair->tree.root);
	unit_end(&pair->unit);
}

/* The first page of the run of equal pages that holds `page`. */
static uint64_t run_start(const struct truth *truth, uint64_t page)
{
	while (page > 0 && truth->page[page - 1] == truth->page[page])
		page--;
	return page;
}

static uint64_t run_end(const struct truth *truth, uint64_t page)
{
	uint32_t id = truth->page[page];

	while (page < SLOTS && truth->page[page] == id)
		page++;
	return page;
}

static void assert_is_run(const struct truth *truth, const struct range *range, uint64_t page)
{
	assert_int_equal(range->start, run_start(truth, page) * UNIT_PAGE);
	assert_int_equal(range->end, run_end(truth, page) * UNIT_PAGE);
	assert_int_equal(range->body.word[0], truth->page[page]);
}

static void insert(struct pair *pair, uint64_t first, uint64_t npages)
{
	struct range range = {.start = first * UNIT_PAGE, .end = (first + npages) * UNIT_PAGE};
	struct truth *truth = &pair->truth;

	range.body.word[0] = ++truth->last;
	assert_true(range_tree_reserve(&pair->tree, 1));
	range_tree_insert(&pair->tree, &range);
	for (uint64_t i = first; i < first + npages; i++)
		truth->page[i] = truth->last;
	truth->count++;
}

static void remove_at(struct pair *pair, uint64_t page)
{
	struct truth *truth = &pair->truth;
	uint64_t first = run_start(truth, page), end = run_end(truth, page);

	range_tree_splice(&pair->tree, first * UNIT_PAGE, 1, NULL, 0);
	for (uint64_t i = first; i < end; i++)
		truth->page[i] = 0;
	truth->count--;
}

/* Another range in the place of one: shorter or longer at either end, as far as there is room. */
static void replace_at(struct pair *pair, uint64_t page, struct random *random)
{
	struct truth *truth = &pair->truth;
	uint64_t first = run_start(truth, page), end = run_end(truth, page);
	uint64_t low = first, high = end;
	struct range range;

	while (low > 0 && truth->page[low - 1] == 0)
		low--;
	while (high < SLOTS && truth->page[high] == 0)
		high++;
	low += random_below(random, high - low);
	high -= random_below(random, high - low);
	range = (struct range){.start = low * UNIT_PAGE, .end = high * UNIT_PAGE};
	range.body.word[0] = ++truth->last;
	range_tree_replace(&pair->tree, first * UNIT_PAGE, &range);
	for (uint64_t i = first; i < end; i++)
		truth->page[i] = 0;
	for (uint64_t i = low; i < high; i++)
		truth->page[i] = truth->last;
}

/* Up to three ranges that follow each other, from the one at `page` on, or none of them; in their
 * place up to three others, which may have to do with less room or find more. */
static void splice_at(struct pair *pair, uint64_t page, struct random *random)
{
	struct truth *truth = &pair->truth;
	uint64_t low = page, high = page;
	unsigned nold = 0, nnew = 0, wanted = (unsigned)random_below(random, 4);
	struct range new[3];

	for (uint64_t at = page; at < SLOTS && nold < 3 && truth->page[at];) {
		low = nold++ == 0 ? run_start(truth, at) : low;
		high = at = run_end(truth, at);
		while (at < SLOTS && truth->page[at] == 0 && random_below(random, 4))
			at++;
	}
	page = low;
	memset(&truth->page[low], 0, (high - low) * sizeof(truth->page[0]));
	while (low > 0 && truth->page[low - 1] == 0 && random_below(random, 4))
		low--;
	while (high < SLOTS && truth->page[high] == 0 && random_below(random, 4))
		high++;
	while (low < high && nnew < wanted) {
		uint64_t end = low + 1 + random_below(random, high - low);

		new[nnew] = (struct range){.start = low * UNIT_PAGE, .end = end * UNIT_PAGE};
		new[nnew++].body.word[0] = ++truth->last;
		for (; low < end; low++)
			truth->page[low] = truth->last;
		low += random_below(random, 2);
	}
	assert_true(range_tree_reserve(&pair->tree, nnew));
	if (nold > 0 || nnew > 0)
		range_tree_splice(&pair->tree, nold > 0 ? page * UNIT_PAGE : new[0].start, nold,
		                  new, nnew);
	truth->count = truth->count - nold + nnew;
}

static void assert_find(struct pair *pair, uint64_t addr, bool seek)
{
	const struct truth *truth = &pair->truth;
	uint64_t page = addr / UNIT_PAGE;
	struct range range;
	bool found = seek ? range_tree_seek(&pair->tree, addr, &range)
	                  : range_tree_find(&pair->tree, addr, &range);

	while (page < SLOTS && truth->page[page] == 0)
		page++;
	assert_int_equal(found, page < SLOTS);
	if (found)
		assert_is_run(truth, &range, page);
}

static void assert_before(struct pair *pair, uint64_t addr)
{
	const struct truth *truth = &pair->truth;
	int64_t page = (int64_t)((addr + UNIT_PAGE - 1) / UNIT_PAGE) - 1;
	struct range range;
	bool found = range_tree_before(&pair->tree, addr, &range);

	while (page >= 0 && (page >= SLOTS || truth->page[page] == 0))
		page--;
	assert_int_equal(found, page >= 0);
	if (found)
		assert_is_run(truth, &range, (uint64_t)page);
}

/* What starts and ends at a page. */
static void assert_borders(struct pair *pair, uint64_t page)
{
	const struct truth *truth = &pair->truth;
	bool starts = page < SLOTS && truth->page[page] != 0 &&
	              (page == 0 || truth->page[page] != truth->page[page - 1]);
	bool ends = page > 0 && truth->page[page - 1] != 0 &&
	            (page == SLOTS || truth->page[page] != truth->page[page - 1]);
	struct range range;

	assert_int_equal(range_tree_ending(&pair->tree, page * UNIT_PAGE, &range), ends);
	if (ends)
		assert_is_run(truth, &range, page - 1);
	assert_int_equal(range_tree_starting(&pair->tree, page * UNIT_PAGE, &range), starts);
	if (starts)
		assert_is_run(truth, &range, page);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The wanted hole by looking at every page; the space goes on empty to the end of the numbers. */
static bool truth_gap(const struct truth *truth, uint64_t low, uint64_t high, uint64_t len,
                      bool highest, uint64_t *start, uint64_t *end)
{
	bool found = false;

	for (uint64_t page = 0; page <= SLOTS;) {
		uint64_t hole = page, stop, from, to;

		if (page < SLOTS && truth->page[page]) {
			page++;
			continue;
		}
		while (page < SLOTS && truth->page[page] == 0)
			page++;
		stop = page == SLOTS ? ~(uint64_t)0 : page * UNIT_PAGE;
		page++;
		from = hole * UNIT_PAGE < low ? low : hole * UNIT_PAGE;
		to = least(stop, high);
		if (to <= from || to - from < len)
			continue;
		*start = from;
		*end = to;
		found = true;
		if (!highest)
			return true;
	}
	return found;
}

static void assert_gap(struct pair *pair, struct random *random)
{
	uint64_t low = random_below(random, SLOTS + 8) * UNIT_PAGE;
	uint64_t high = low + random_below(random, SLOTS) * UNIT_PAGE;
	uint64_t len = (1 + random_below(random, 12)) * UNIT_PAGE;
	bool highest = random_below(random, 2);
	uint64_t start = 0, end = 0, true_start = 0, true_end = 0;

	if (random_below(random, 8) == 0)
		high = ~(uint64_t)0;
	assert_int_equal(range_tree_gap(&pair->tree, low, high, len, highest, &start, &end),
	                 truth_gap(&pair->truth, low, high, len, highest, &true_start, &true_end));
	assert_int_equal(start, true_start);
	assert_int_equal(end, true_end);
}

static void step(struct pair *pair, struct random *random, unsigned inserts_of_8)
{
	uint64_t page = random_below(random, SLOTS);
	bool used = pair->truth.page[page] != 0;

	if (random_below(random, 8) == 0) {
		splice_at(pair, page, random);
	} else if (!used && random_below(random, 8) < inserts_of_8) {
		uint64_t room = run_end(&pair->truth, page) - page;

		insert(pair, page, 1 + random_below(random, least(room, 5)));
	} else if (used && random_below(random, 3) == 0) {
		replace_at(pair, page, random);
	} else if (used && random_below(random, 8) >= inserts_of_8) {
		remove_at(pair, page);
	}
}

static void random_steps_agree_with_the_truth(void **state)
{
	struct random random = {.state = 88172645463325252};
	struct pair pair;

	(void)state;
	pair_begin(&pair);
	for (unsigned i = 0; i < 40000; i++) {
		/* It fills, then empties, several times over. */
		step(&pair, &random, i / 5000 % 2 ? 2 : 6);
		if (i % 8 == 0)
			assert_holds(range_tree_check(&pair.tree));
		assert_int_equal(pair.tree.count, pair.truth.count);
		assert_find(&pair, random_below(&random, (SLOTS + 4) * UNIT_PAGE), i % 3 == 0);
		assert_borders(&pair, random_below(&random, SLOTS + 1));
		assert_before(&pair, random_below(&random, (SLOTS + 4) * UNIT_PAGE));
		assert_gap(&pair, &random);
	}
	pair_end(&pair);
}

/* All is asked again from where the position is and from the ranges around it. */
static void a_position_answers_as_a_search_does(void **state)
{
	struct random random = {.state = 7};
	struct pair pair;

	(void)state;
	pair_begin(&pair);
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t page = random_below(&random, SLOTS);
		uint64_t first = page > 24 ? page - 24 : 0;

		step(&pair, &random, i / 1000 % 2 ? 3 : 6);
		assert_find(&pair, page * UNIT_PAGE, true);
		assert_holds(range_tree_check(&pair.tree));
		for (page = first; page < first + 48 && page < SLOTS; page++) {
			assert_find(&pair, page * UNIT_PAGE + page % 3, false);
			assert_before(&pair, page * UNIT_PAGE);
			assert_borders(&pair, page);
		}
		if (i % 2)
			splice_at(&pair, first, &random);
		assert_holds(range_tree_check(&pair.tree));
	}
	pair_end(&pair);
}

static void an_empty_tree_is_one_hole(void **state)
{
	struct pair pair;
	struct range range;
	uint64_t start, end;

	(void)state;
	pair_begin(&pair);
	assert_holds(range_tree_check(&pair.tree));
	assert_false(range_tree_find(&pair.tree, 0, &range));
	assert_false(range_tree_seek(&pair.tree, 0, &range));
	assert_false(range_tree_before(&pair.tree, ~(uint64_t)0, &range));
	assert_false(range_tree_starting(&pair.tree, 4096, &range));
	assert_false(range_tree_ending(&pair.tree, 4096, &range));
	assert_true(range_tree_gap(&pair.tree, 4096, 8192, 4096, true, &start, &end));
	assert_int_equal(start, 4096);
	assert_int_equal(end, 8192);
	assert_false(range_tree_gap(&pair.tree, 4096, 8192, 4097, false, &start, &end));
	pair_end(&pair);
}

/* Ascending and descending: all splits at one edge. Then it shrinks away from either edge. */
static void edges_split_and_join(void **state)
{
	struct pair pair;

	(void)state;
	for (unsigned form = 0; form < 4; form++) {
		pair_begin(&pair);
		for (unsigned i = 0; i < SLOTS / 2; i++) {
			insert(&pair, form % 2 ? i * 2u : SLOTS - 2 - i * 2u, 1);
			if (i % 16 == 0)
				assert_holds(range_tree_check(&pair.tree));
		}
		for (unsigned i = 0; i < SLOTS / 2; i++) {
			remove_at(&pair, form / 2 ? i * 2u : SLOTS - 2 - i * 2u);
			if (i % 16 == 0)
				assert_holds(range_tree_check(&pair.tree));
		}
		assert_int_equal(pair.tree.count, 0);
		assert_null(pair.tree.root);
		pair_end(&pair);
	}
}

/* What was reserved is enough for that many insertions, wherever they go. */
static void a_reserve_is_enough(void **state)
{
	struct random random = {.state = 1};
	struct pair pair;

	(void)state;
	pair_begin(&pair);
	while (pair.truth.count < SLOTS / 3) {
		uint64_t page = random_below(&random, SLOTS);

		assert_true(range_tree_reserve(&pair.tree, 4));
		vas_system_fail_after(pair.unit.system, 0);
		for (unsigned i = 0; i < 4; i++) {
			struct range range;

			while (pair.truth.page[page % SLOTS])
				page++;
			page %= SLOTS;
			range = (struct range){.start = page * UNIT_PAGE,
			                       .end = (page + 1) * UNIT_PAGE};
			range.body.word[0] = ++pair.truth.last;
			range_tree_insert(&pair.tree, &range);
			pair.truth.page[page] = pair.truth.last;
			pair.truth.count++;
		}
		vas_system_fail_after(pair.unit.system, -1);
		assert_holds(range_tree_check(&pair.tree));
	}
	pair_end(&pair);
}

/* As growth does it that fills a hole: it reserves nothing. */
static void one_in_the_place_of_several_needs_no_memory(void **state)
{
	struct pair pair;
	struct random random = {.state = 5};

	(void)state;
	pair_begin(&pair);
	for (uint64_t page = 0; page < SLOTS; page++)
		insert(&pair, page, 1);
	while (pair.tree.count > 3) {
		uint64_t addr = random_below(&random, SLOTS) * UNIT_PAGE;
		unsigned nspare = pair.tree.nspare, n = 2 + (unsigned)random_below(&random, 2);
		struct range first = {0}, last;

		assert_true(range_tree_find(&pair.tree, addr, &first));
		last = first;
		for (unsigned i = 1; i < n; i++)
			if (!range_tree_find(&pair.tree, last.end, &last))
				n = i;
		first.end = last.end;
		range_tree_splice(&pair.tree, first.start, n, &first, 1);
		assert_int_equal(pair.tree.nspare, nspare);
		assert_null(range_tree_check(&pair.tree));
	}
	pair_end(&pair);
}

static void a_reserve_that_fails_changes_nothing(void **state)
{
	struct pair pair;
	unsigned n = 0;
	bool ok = false;

	(void)state;
	pair_begin(&pair);
	for (unsigned i = 0; i < 100; i++)
		insert(&pair, i * 3u, 2);
	while (!ok) {
		vas_system_fail_after(pair.unit.system, n++);
		ok = range_tree_reserve(&pair.tree, 4 + n);
		vas_system_fail_after(pair.unit.system, -1);
		assert_holds(range_tree_check(&pair.tree));
		assert_int_equal(pair.tree.count, 100);
		assert_true(n < 100);
	}
	assert_true(n > 2);
	pair_end(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_tree_is_one_hole),
		cmocka_unit_test(edges_split_and_join),
		cmocka_unit_test(a_reserve_is_enough),
		cmocka_unit_test(one_in_the_place_of_several_needs_no_memory),
		cmocka_unit_test(a_reserve_that_fails_changes_nothing),
		cmocka_unit_test(a_position_answers_as_a_search_does),
		cmocka_unit_test(random_steps_agree_with_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
