/* Groups of spaces: who is charged for what, what the limit forbids, whom the hook helps.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/space.h"

#define NO_LIMIT (~(uint64_t)0)
#define HUGE_LEN ((uint64_t)64 << 40)
#define FAR ((uint64_t)1 << 40)
#define MANY ((uint64_t)1 << 30)

static struct vas_group *group_with(struct unit *unit, uint64_t max_frames)
{
	const struct vas_group_params params = {.max_frames = max_frames};
	struct vas_group *group;

	assert_int_equal(vas_group_create(unit->system, &params, &group), 0);
	return group;
}

static struct vas *space_in(struct unit *unit, struct vas_group *group)
{
	struct vas_params params = unit->params;
	struct vas *space;

	params.group = group;
	assert_int_equal(vas_create(unit->system, &params, &space), 0);
	assert_ptr_equal(vas_group_of(space), group);
	return space;
}

static uint64_t frames_of(const struct vas_group *group)
{
	struct vas_group_usage usage;

	vas_group_get_usage(group, &usage);
	return usage.frames;
}

static uint64_t refusals_of(const struct vas_group *group)
{
	struct vas_group_usage usage;

	vas_group_get_usage(group, &usage);
	return usage.refusals;
}

static void map_and_write(struct vas *space, uint64_t addr, uint64_t npages)
{
	assert_call(space, vas_mmap(space, addr, npages * UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
	            addr);
	for (uint64_t i = 0; i < npages; i++) {
		uint64_t word = addr + i;

		assert_int_equal(vas_write(space, addr + i * UNIT_PAGE, &word, 8, NULL), 0);
	}
}

/* What a group is charged for is what the system misses because of it. */
static void all_that_a_space_takes_is_charged(void **state)
{
	struct vas_group *group;
	struct vas *space, *child;
	struct unit unit;
	uint64_t before;

	(void)state;
	unit_begin(&unit);
	group = group_with(&unit, NO_LIMIT);
	before = unit_free(&unit);
	space = space_in(&unit, group);
	map_and_write(space, at(0), 100);
	assert_int_equal(vas_mmap(space, at(200), 20 * UNIT_PAGE, RW,
	                          VAS_MAP_SHARED | VAS_MAP_ANONYMOUS | VAS_MAP_FIXED, NULL, 0),
	                 at(200));
	assert_int_equal(vas_madvise(space, at(200), 20 * UNIT_PAGE, VAS_MADV_POPULATE_WRITE), 0);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(vas_mprotect(space, at(2 * i), UNIT_PAGE, VAS_PROT_READ), 0);
	assert_int_equal(vas_madvise(space, at(150), UNIT_PAGE, VAS_MADV_GUARD_INSTALL),
	                 -VAS_ENOMEM);
	assert_int_equal(vas_fork(space, &child), 0);
	assert_ptr_equal(vas_group_of(child), group);
	map_and_write(child, at(1000), 3);
	assert_int_equal(before - unit_free(&unit), frames_of(group));
	assert_holds(vas_audit(unit.system));
	vas_destroy(space);
	assert_int_equal(before - unit_free(&unit), frames_of(group));
	vas_destroy(child);
	assert_int_equal(frames_of(group), 0);
	vas_group_put(group);
	unit_end(&unit);
}

/* The page of a file stays charged to who touched it first, whoever uses it then and however long,
 * and the group stays as long. */
static void a_page_of_a_file_is_charged_to_the_first(void **state)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	struct vas_group *first, *second;
	struct vas *one, *other;
	struct vas_object *object;
	struct vas_file *file;
	struct unit unit;
	uint64_t used, word = 7;

	(void)state;
	unit_begin(&unit);
	assert_int_equal(vas_object_create(unit.system, NULL, NULL, 8 * UNIT_PAGE, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	first = group_with(&unit, NO_LIMIT);
	second = group_with(&unit, NO_LIMIT);
	one = space_in(&unit, first);
	other = space_in(&unit, second);
	for (unsigned i = 0; i < 2; i++) {
		struct vas *space = i == 0 ? one : other;

		assert_int_equal(vas_mmap(space, at(0), 8 * UNIT_PAGE, RW,
		                          VAS_MAP_SHARED | VAS_MAP_FIXED, file, 0),
		                 at(0));
		used = frames_of(second);
		assert_int_equal(vas_write(space, at(3), &word, 8, NULL), 0);
	}
	assert_true(frames_of(second) - used < 4); /* tables, and no page */
	vas_destroy(one);
	assert_int_equal(frames_of(first), 2); /* the page, and the node it hangs off */
	vas_group_put(first);
	assert_holds(vas_audit(unit.system));
	vas_destroy(other);
	vas_group_put(second);
	vas_file_put(file);
	vas_object_put(object);
	unit_end(&unit);
}

/* Whatever a guest at its limit tries, a neighbour does not notice. */
static void a_limit_keeps_the_rest_for_others(void **state)
{
	static const enum vas_advice greedy[] = {VAS_MADV_POPULATE_READ, VAS_MADV_POPULATE_WRITE,
	                                         VAS_MADV_GUARD_INSTALL};
	struct vas *space, *neighbour;
	struct vas_group *group;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	group = group_with(&unit, 200);
	space = space_in(&unit, group);
	neighbour = unit_space(&unit);
	assert_int_equal(
		vas_mmap(space, FAR, HUGE_LEN, RW, ANON_FIXED | VAS_MAP_NORESERVE, NULL, 0), FAR);
	for (unsigned i = 0; i < ARRAY_LEN(greedy); i++) {
		assert_call(space, vas_madvise(space, FAR, HUGE_LEN, greedy[i]), -VAS_ENOMEM);
		assert_true(frames_of(group) <= 200);
		assert_true(refusals_of(group) > i);
		map_and_write(neighbour, at(0), 300);
		assert_call(neighbour, vas_munmap(neighbour, at(0), 300 * UNIT_PAGE), 0);
		assert_call(space, vas_madvise(space, FAR, HUGE_LEN, VAS_MADV_DONTNEED), 0);
	}
	assert_call(space, vas_munmap(space, FAR, HUGE_LEN), 0);
	assert_call(space, vas_mmap(space, FAR, MANY, RW, ANON_FIXED, NULL, 0), FAR);
	assert_call(space, vas_mlock(space, FAR, MANY), -VAS_EAGAIN);
	assert_true(frames_of(group) <= 200);
	assert_call(space, vas_munmap(space, FAR, MANY), 0);
	assert_true(frames_of(group) < 10);
	vas_destroy(neighbour);
	vas_destroy(space);
	vas_group_put(group);
	unit_end(&unit);
}

/* A hook that raises the limit, gives up after some calls, or takes from another space. */
struct helper {
	struct vas *victim;
	unsigned calls, raise;
	bool give_up;
};

static bool help(void *ctx, struct vas_group *group, struct vas *space)
{
	struct helper *helper = ctx;
	struct vas_group_usage usage;

	(void)space;
	helper->calls++;
	vas_group_get_usage(group, &usage);
	assert_true(usage.frames <= usage.max_frames);
	if (helper->raise)
		vas_group_set_limit(group, usage.max_frames + helper->raise);
	if (helper->victim)
		assert_int_equal(
			vas_madvise(helper->victim, at(0), 50 * UNIT_PAGE, VAS_MADV_DONTNEED), 0);
	return !helper->give_up;
}

static void the_hook_makes_room_or_says_no(void **state)
{
	struct helper helper = {.give_up = true};
	struct vas_group_params params = {.max_frames = 4, .reached = help, .ctx = &helper};
	struct vas *space, *victim;
	struct vas_group *group;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	assert_int_equal(vas_group_create(unit.system, &params, &group), 0);
	unit.params.group = group;
	vas_group_set_limit(group, 0);
	assert_int_equal(vas_create(unit.system, &unit.params, &space), -VAS_ENOMEM);
	assert_int_equal(helper.calls, 1);
	helper = (struct helper){.raise = 1};
	assert_int_equal(vas_create(unit.system, &unit.params, &space), 0);
	map_and_write(space, at(0), 50);
	assert_true(helper.calls > 50);
	helper = (struct helper){.give_up = true};
	assert_int_equal(vas_mmap(space, 0, 0, RW, ANON, NULL, 0), -VAS_EINVAL);
	assert_int_equal(helper.calls, 0); /* that was no refusal */
	assert_call(space, vas_madvise(space, at(0), 50 * UNIT_PAGE, VAS_MADV_DONTNEED), 0);

	vas_group_set_limit(group, NO_LIMIT);
	assert_int_equal(vas_create(unit.system, &unit.params, &victim), 0);
	map_and_write(victim, at(0), 50);
	vas_group_set_limit(group, frames_of(group));
	helper = (struct helper){.victim = victim};
	map_and_write(space, at(100), 40);
	assert_true(helper.calls >= 1);
	assert_false(vas_present(victim, at(0)));
	vas_destroy(space);
	vas_destroy(victim);
	vas_group_put(group);
	unit_end(&unit);
}

/* What makes pages present without telling of those that it could not, asks for each. */
static void populating_asks_too(void **state)
{
	struct helper helper = {.raise = 1};
	struct vas_group_params params = {.max_frames = NO_LIMIT, .reached = help, .ctx = &helper};
	const uint64_t flags = ANON_FIXED | VAS_MAP_POPULATE;
	struct vas_group *group;
	struct vas *space;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	assert_int_equal(vas_group_create(unit.system, &params, &group), 0);
	unit.params.group = group;
	assert_int_equal(vas_create(unit.system, &unit.params, &space), 0);
	vas_group_set_limit(group, frames_of(group) + 4);
	assert_call(space, vas_mmap(space, at(0), 20 * UNIT_PAGE, RW, flags, NULL, 0), at(0));
	for (unsigned i = 0; i < 20; i++)
		assert_true(vas_present(space, at(i)));
	assert_true(helper.calls >= 16);
	vas_group_set_limit(group, frames_of(group) + 6);
	helper = (struct helper){.give_up = true};
	assert_call(space, vas_mmap(space, at(20), 20 * UNIT_PAGE, RW, flags, NULL, 0), at(20));
	assert_int_equal(helper.calls, 1);
	vas_destroy(space);
	vas_group_put(group);
	unit_end(&unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_a_space_takes_is_charged),
		cmocka_unit_test(a_page_of_a_file_is_charged_to_the_first),
		cmocka_unit_test(a_limit_keeps_the_rest_for_others),
		cmocka_unit_test(the_hook_makes_room_or_says_no),
		cmocka_unit_test(populating_asks_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
