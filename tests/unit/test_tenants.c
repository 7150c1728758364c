/* test_tenants.c - groups under threads: several spaces of one group take, give back and end, while
 * its limit changes and its hook reclaims from others, kills or says no. Worth most under
 * ThreadSanitizer.
 *
 * Held against it: a group never has more frames than the highest limit it ever had, whoever is in
 * no group gets what he asks for, nobody finds what another stored, all calls answer as if memory
 * were used up or as if it were not, and in the end nothing is charged.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>

#include "unit.h"

#include "base/base.h"

#define TENANTS 3u
#define STEPS 600u
#define AREA_PAGES 256u
#define LEAST 30u
#define MOST 400u /* frames of the group, whoever sets the limit */
#define REGION ((uint64_t)64 << 20)
#define CHILD ((uint64_t)1 << 32)

struct tenant {
	pthread_t thread;
	struct random random;
	struct vas *space;
	uint64_t tag;
	uint64_t refused, wrong, foreign;
};

static struct unit unit;
static struct vas_group *group;
static struct tenant tenants[TENANTS], neighbour, forker, maker, limiter;
static unsigned asked, running;
static _Thread_local unsigned depth; /* of hooks */
static _Thread_local struct random hook_random;

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static uint64_t below(struct tenant *t, uint64_t limit)
{
	return random_below(&t->random, limit);
}

/* A call succeeds, or memory is used up. */
static bool answers(struct tenant *t, int64_t result)
{
	bool refused = result == -VAS_ENOMEM || result == -VAS_EAGAIN;

	t->refused += refused;
	t->wrong += result < 0 && !refused;
	return result >= 0;
}

/* ---- The hook -------------------------------------------------------------------------------- */

static bool is_in_group(const struct vas *space)
{
	return !space || vas_group_of(space) == group;
}

/* As an embedder's: it may call anything, of any space that does not end meanwhile. What it calls
 * may be refused frames, too. */
static bool make_room(void *ctx, struct vas_group *whose, struct vas *space)
{
	struct vas *victim;
	uint64_t what;
	bool again = true;

	__atomic_fetch_add((unsigned *)ctx, 1, __ATOMIC_RELAXED);
	if (depth > 0 || whose != group || !is_in_group(space))
		return false;
	depth++;
	hook_random.state = hook_random.state ? hook_random.state : (uintptr_t)&hook_random;
	what = random_below(&hook_random, 5);
	victim = tenants[random_below(&hook_random, TENANTS)].space;
	if (what == 0)
		again = false;
	else if (what == 1)
		vas_group_set_limit(group, LEAST + random_below(&hook_random, MOST - LEAST + 1));
	else if (what == 2) /* its memory goes, as a killed process's does */
		vas_munmap(victim, at(0), AREA_PAGES * UNIT_PAGE);
	else
		vas_madvise(victim, at(random_below(&hook_random, AREA_PAGES)), 64 * UNIT_PAGE,
		            VAS_MADV_DONTNEED);
	depth--;
	return again;
}

/* ---- Who takes and gives back ---------------------------------------------------------------- */

static void look(struct tenant *t, struct vas *space, uint64_t tag)
{
	uint64_t addr = at(below(t, AREA_PAGES)), value;
	int64_t err = vas_read(space, &value, addr, 8, NULL);

	/* Unmapped by a hook, or of a file's end: a fault. */
	if (err != 0)
		t->wrong += err != -VAS_EFAULT && err != -VAS_ENOMEM;
	else
		t->foreign += value != 0 && (value & ~CHILD) != t->tag;
	if (err == 0 && !(tag & CHILD))
		t->foreign += (value & CHILD) != 0;
	if (vas_write(space, addr, &tag, 8, NULL) == -VAS_ENOMEM)
		t->refused++;
}

static void take(struct tenant *t, struct vas *space)
{
	uint64_t first = below(t, AREA_PAGES - 64), n = 1 + below(t, 64), addr = at(first);
	uint64_t len = n * UNIT_PAGE;

	switch (below(t, 8)) {
	case 0:
		answers(t, vas_mmap(space, at(0), AREA_PAGES * UNIT_PAGE, RW, ANON_FIXED, NULL, 0));
		break;
	case 1:
		answers(t, vas_mmap(space, addr, len, RW, ANON_FIXED | VAS_MAP_POPULATE, NULL, 0));
		break;
	case 2:
		vas_madvise(space, addr, len, VAS_MADV_POPULATE_WRITE);
		break;
	case 3:
		vas_mlock(space, addr, len);
		vas_munlock(space, addr, len);
		break;
	case 4:
		vas_madvise(space, addr, len, VAS_MADV_GUARD_INSTALL);
		vas_madvise(space, addr, len, VAS_MADV_GUARD_REMOVE);
		break;
	case 5:
		vas_mprotect(space, addr, len, VAS_PROT_READ);
		vas_mprotect(space, addr, len, RW);
		break;
	case 6:
		answers(t, vas_munmap(space, addr, len));
		break;
	default:
		vas_mremap(space, addr, UNIT_PAGE, 4 * UNIT_PAGE, VAS_MREMAP_MAYMOVE, 0);
	}
	for (unsigned i = 0; i < 8; i++)
		look(t, space, t->tag);
}

static void check_usage(struct tenant *t)
{
	struct vas_group_usage usage;

	vas_group_get_usage(group, &usage);
	t->wrong += usage.frames > MOST || usage.max_frames > MOST;
}

static void *be_tenant(void *arg)
{
	struct tenant *t = arg;

	for (unsigned i = 0; i < STEPS; i++) {
		take(t, t->space);
		check_usage(t);
	}
	__atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
	return NULL;
}

static bool is_over(void)
{
	return __atomic_load_n(&running, __ATOMIC_RELAXED) == 0;
}

/* Children of a tenant's space, who are charged with it. */
static void *fork_them(void *arg)
{
	struct tenant *t = arg;

	while (!is_over()) {
		struct vas *parent = tenants[below(t, TENANTS)].space, *child;

		if (!answers(t, vas_fork(parent, &child)))
			continue;
		t->tag = (uintptr_t)vas_context(parent);
		for (unsigned i = 0; i < 16; i++)
			look(t, child, t->tag | CHILD);
		t->wrong += vas_group_of(child) != group;
		vas_destroy(child);
	}
	return NULL;
}

/* Spaces that come into the group and end. */
static void *make_them(void *arg)
{
	struct tenant *t = arg;

	while (!is_over()) {
		struct vas_params params = unit.params;
		struct vas *space;

		params.group = group;
		if (!answers(t, vas_create(unit.system, &params, &space)))
			continue;
		for (unsigned i = 0; i < 4; i++)
			take(t, space);
		vas_destroy(space);
	}
	return NULL;
}

static void *change_limit(void *arg)
{
	struct tenant *t = arg;

	while (!is_over()) {
		vas_group_set_limit(group, LEAST + below(t, MOST - LEAST + 1));
		check_usage(t);
		sched_yield();
	}
	vas_group_set_limit(group, MOST);
	return NULL;
}

/* In no group: nothing of all that concerns him. */
static void *be_neighbour(void *arg)
{
	struct tenant *t = arg;
	const uint64_t len = 128 * UNIT_PAGE;

	while (!is_over()) {
		t->wrong += vas_mmap(t->space, at(0), len, RW, ANON_FIXED, NULL, 0) !=
		            (int64_t)at(0);
		t->wrong += vas_madvise(t->space, at(0), len, VAS_MADV_POPULATE_WRITE) != 0;
		t->wrong += vas_munmap(t->space, at(0), len) != 0;
	}
	return NULL;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void start(struct tenant *t, unsigned number, void *(*run)(void *))
{
	t->tag = number + 1;
	t->random.state = 77 + number;
	if (t->space)
		vas_set_context(t->space, (void *)(uintptr_t)t->tag);
	assert_int_equal(pthread_create(&t->thread, NULL, run, t), 0);
}

static void join(struct tenant *t)
{
	pthread_join(t->thread, NULL);
	assert_int_equal(t->wrong, 0);
	assert_int_equal(t->foreign, 0);
}

static void begin(void)
{
	const struct vas_group_params limits = {MOST, make_room, &asked};

	unit_prepare(&unit);
	unit.config.port.threads = true;
	unit.config.port.wait = yield;
	unit.config.settings.overcommit_memory = 1;
	unit_begin_with(&unit, REGION);
	neighbour.space = unit_space(&unit);
	assert_int_equal(vas_group_create(unit.system, &limits, &group), 0);
	unit.params.group = group;
	for (unsigned i = 0; i < TENANTS; i++)
		tenants[i].space = unit_space(&unit);
	unit.params.group = NULL;
}

static void no_tenant_takes_what_is_not_his(void **state)
{
	struct tenant *const others[] = {&neighbour, &forker, &maker, &limiter};
	void *(*const runs[])(void *) = {be_neighbour, fork_them, make_them, change_limit};
	struct vas_group_usage usage;

	(void)state;
	begin();
	running = TENANTS;
	for (unsigned i = 0; i < TENANTS; i++)
		start(&tenants[i], i, be_tenant);
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		start(others[i], TENANTS + i, runs[i]);
	for (unsigned i = 0; i < TENANTS; i++)
		join(&tenants[i]);
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		join(others[i]);
	assert_true(asked > 0);
	assert_holds(vas_audit(unit.system));
	for (unsigned i = 0; i < TENANTS; i++)
		vas_destroy(tenants[i].space);
	vas_destroy(neighbour.space);
	vas_group_get_usage(group, &usage);
	assert_int_equal(usage.frames, 0);
	assert_true(usage.refusals > 0);
	vas_group_put(group);
	unit_end(&unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_tenant_takes_what_is_not_his)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
