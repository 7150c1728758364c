/* The tree of intervals against a list that tells the truth, and how much of it a question visits.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "memory/slab.h"
#include "space/space.h"
#include "tree/interval.h"

#define MANY 400u
#define GROUPS 5u
#define SPAN 1000u

struct truth {
	struct interval list[MANY];
	unsigned n;
};

static struct unit unit;
static struct interval_tree tree;
static struct interval_stock stock;

static void begin(void)
{
	unit_begin(&unit);
	tree = (struct interval_tree){NULL, 0};
	stock = (struct interval_stock){.slab = &unit.system->slab};
}

static void end(void)
{
	assert_null(tree.root);
	interval_stock_drain(&stock);
	unit_end(&unit);
}

static void add(uint64_t group, uint64_t first, uint64_t last, uint64_t id)
{
	struct interval *interval;

	assert_true(interval_stock_fill(&stock, 1));
	interval = interval_stock_take(&stock);
	interval->group = group;
	interval->first = first;
	interval->last = last;
	interval->id = id;
	interval_insert(&tree, interval);
}

static void drop(uint64_t group, uint64_t first, uint64_t id)
{
	struct interval *interval = interval_remove(&tree, group, first, id);

	assert_non_null(interval);
	interval_stock_give(&stock, interval);
}

/* What a question was answered: how many, in which order, and where to stop. */
struct answer {
	uint64_t group, first, last;
	unsigned n, stop_after;
	uint64_t before_first, before_id;
	uint64_t sum; /* of ids */
};

static bool take(void *ctx, const struct interval *interval)
{
	struct answer *answer = ctx;

	assert_int_equal(interval->group, answer->group);
	assert_true(interval->first < answer->last && interval->last > answer->first);
	assert_true(answer->n == 0 || interval->first > answer->before_first ||
	            (interval->first == answer->before_first && interval->id > answer->before_id));
	answer->before_first = interval->first;
	answer->before_id = interval->id;
	answer->sum += interval->id;
	return ++answer->n != answer->stop_after;
}

static void ask(const struct truth *truth, struct random *random)
{
	struct answer answer = {.group = random_below(random, GROUPS)}, expected = {.n = 0};

	answer.first = random_below(random, SPAN);
	answer.last = answer.first + 1 + random_below(random, SPAN / 10);
	for (unsigned i = 0; i < truth->n; i++) {
		const struct interval *t = &truth->list[i];

		if (t->group == answer.group && t->first < answer.last && t->last > answer.first) {
			expected.n++;
			expected.sum += t->id;
		}
	}
	assert_true(interval_each(&tree, answer.group, answer.first, answer.last, take, &answer));
	assert_int_equal(answer.n, expected.n);
	assert_int_equal(answer.sum, expected.sum);
	if (expected.n > 1) {
		answer.n = 0;
		answer.stop_after = 1;
		assert_false(interval_each(&tree, answer.group, answer.first, answer.last, take,
		                           &answer));
		assert_int_equal(answer.n, 1);
	}
}

static void ask_next(const struct truth *truth, struct random *random)
{
	uint64_t group = random_below(random, GROUPS), first = random_below(random, SPAN);
	const struct interval *next = interval_next(&tree, group, first);
	uint64_t lowest = ~(uint64_t)0;

	for (unsigned i = 0; i < truth->n; i++) {
		const struct interval *t = &truth->list[i];

		if (t->group == group && t->first >= first && t->first < lowest)
			lowest = t->first;
	}
	assert_int_equal(next ? next->first : ~(uint64_t)0, lowest);
}

static void random_step(struct truth *truth, struct random *random, uint64_t id)
{
	if (truth->n < MANY && random_below(random, 100) < (id / 3000 % 2 ? 70 : 30)) {
		struct interval *t = &truth->list[truth->n++];

		*t = (struct interval){.group = random_below(random, GROUPS),
		                       .first = random_below(random, SPAN),
		                       .id = id};
		t->last = t->first + 1 +
		          random_below(random, random_below(random, 4) ? 3 : SPAN / 2);
		add(t->group, t->first, t->last, t->id);
	} else if (truth->n > 0) {
		struct interval *t = &truth->list[random_below(random, truth->n)];

		assert_non_null(interval_find(&tree, t->group, t->first, t->id));
		drop(t->group, t->first, t->id);
		assert_null(interval_find(&tree, t->group, t->first, t->id));
		*t = truth->list[--truth->n];
	}
}

static void test_random(void **state)
{
	struct random random = {42};
	struct truth truth = {.n = 0};

	(void)state;
	begin();
	assert_null(interval_remove(&tree, 0, 0, 0));
	for (uint64_t id = 1; id < 20000; id++) {
		random_step(&truth, &random, id);
		assert_int_equal(tree.count, truth.n);
		ask(&truth, &random);
		ask_next(&truth, &random);
		if (id % 16 == 0)
			assert_holds(interval_check(&tree));
	}
	while (truth.n > 0) {
		truth.n--;
		drop(truth.list[truth.n].group, truth.list[truth.n].first, truth.list[truth.n].id);
		assert_holds(interval_check(&tree));
	}
	end();
}

/* Order of insertion and what others have make no tree deep: that would be a guest's to choose. */
static void test_depth_is_logarithmic(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 0; i < 4096; i++)
		add(i % 2, i, i + 1, 0);
	assert_in_range(tree.root->height, 12, 17);
	for (uint64_t i = 0; i < 4096; i++) {
		if (i % 64)
			drop(i % 2, i, 0);
	}
	assert_in_range(tree.root->height, 6, 9);
	assert_holds(interval_check(&tree));
	for (uint64_t i = 0; i < 4096; i += 64)
		drop(0, i, 0);
	end();
}

/* The checker sees what is broken. */
static void test_check(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 0; i < 3; i++)
		add(0, i, i + 1, 0);
	tree.root->highest++;
	assert_string_equal(interval_check(&tree), "a node knows the highest end below it");
	tree.root->highest--;
	tree.root->height++;
	assert_string_equal(interval_check(&tree),
	                    "the heights of two siblings differ by one at the most");
	tree.root->height--;
	tree.root->left->first = 1;
	assert_string_equal(interval_check(&tree),
	                    "intervals are in order of group, first and id, no two alike");
	tree.root->left->first = 0;
	tree.count++;
	assert_string_equal(interval_check(&tree), "count is the number of intervals");
	tree.count--;
	assert_holds(interval_check(&tree));
	for (uint64_t i = 0; i < 3; i++)
		drop(0, i, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_depth_is_logarithmic),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
