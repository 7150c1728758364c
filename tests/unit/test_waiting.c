/* test_waiting.c - threads that are in a software TLB and call vas: whatever they call, nobody
 * waits for ever. Each test ends only if all threads get through their steps. And what the checking
 * build finds: locks out of order, invariants that do not hold.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "space/space.h"

#define STEPS 3000u

struct world {
	struct unit unit;
	struct vas *a, *b;
	struct vas_object *object;
	struct vas_tlb tlb, other_tlb;
	unsigned failures;
	bool stop;
	void (*call)(struct world *);
};

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void expect(struct world *w, bool holds)
{
	if (!holds)
		__atomic_fetch_add(&w->failures, 1, __ATOMIC_RELAXED);
}

/* ---- What an owner calls while it is in the TLB of `a` --------------------------------------- */

static void write_elsewhere(struct world *w)
{
	uint64_t word = 1;

	vas_write(w->b, at(0), &word, sizeof(word), NULL);
}

static void write_across(struct world *w)
{
	uint64_t word = 1;

	expect(w, vas_write(w->a, at(11) - 4, &word, sizeof(word), NULL) == 0);
}

static void make_a_space(struct world *w)
{
	struct vas *space;

	expect(w, vas_create(w->unit.system, NULL, &space) == 0);
	vas_destroy(space);
}

static void enter_another(struct world *w)
{
	void *host;

	vas_translate(w->b, &w->other_tlb, at(0), VAS_READ, &host, NULL);
}

static void sync_object(struct world *w)
{
	expect(w, vas_object_sync(w->object) == 0);
}

static void resize_object(struct world *w)
{
	expect(w, vas_object_resize(w->object, 0) == 0);
	expect(w, vas_object_resize(w->object, 4 * UNIT_PAGE) == 0);
}

static void unmap_its_own(struct world *w)
{
	expect(w, vas_madvise(w->a, at(10), UNIT_PAGE, VAS_MADV_DONTNEED) == 0);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *be_owner(void *arg)
{
	struct world *w = arg;

	for (unsigned i = 0; i < STEPS; i++) {
		void *host;

		vas_translate(w->a, &w->tlb, at(0), VAS_READ, &host, NULL);
		expect(w, vas_translate(w->a, &w->tlb, at(10), VAS_WRITE, &host, NULL) == 0);
		w->call(w);
	}
	vas_tlb_leave(&w->tlb);
	vas_tlb_leave(&w->other_tlb);
	__atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
	return NULL;
}

static void *disturb(void *arg)
{
	struct world *w = arg;
	uint64_t word = 1;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		struct vas *child;

		resize_object(w);
		expect(w, vas_write(w->a, at(10), &word, sizeof(word), NULL) == 0);
		expect(w, vas_fork(w->a, &child) == 0);
		vas_destroy(child);
	}
	return NULL;
}

static void map(struct world *w, struct vas *space, struct vas_file *file)
{
	assert_call(space,
	            vas_mmap(space, at(0), UNIT_PAGE, RW, VAS_MAP_SHARED | VAS_MAP_FIXED, file, 0),
	            at(0));
	assert_call(space, vas_mmap(space, at(10), 2 * UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(10));
	assert_int_equal(vas_tlb_register(space, space == w->a ? &w->tlb : &w->other_tlb), 0);
}

static void both_run(void (*call)(struct world *))
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	pthread_t owner, other;
	struct vas_file *file;
	struct world *w = calloc(1, sizeof(*w));

	unit_prepare(&w->unit);
	w->unit.config.port.threads = true;
	w->unit.config.port.wait = yield;
	unit_begin_with(&w->unit, (uint64_t)16 << 20);
	w->call = call;
	w->a = unit_space(&w->unit);
	w->b = unit_space(&w->unit);
	assert_int_equal(vas_object_create(w->unit.system, NULL, NULL, 4 * UNIT_PAGE, &w->object),
	                 0);
	assert_int_equal(vas_file_open(w->object, &info, &file), 0);
	map(w, w->a, file);
	map(w, w->b, file);
	assert_int_equal(pthread_create(&owner, NULL, be_owner, w), 0);
	assert_int_equal(pthread_create(&other, NULL, disturb, w), 0);
	pthread_join(owner, NULL);
	pthread_join(other, NULL);
	assert_int_equal(w->failures, 0);
	vas_destroy(w->b);
	vas_file_put(file);
	vas_object_put(w->object);
	unit_close(&w->unit, w->a);
	free(w);
}

static void an_owner_may_make_any_call(void **state)
{
	static void (*const calls[])(struct world *) = {
		write_elsewhere, write_across,  make_a_space,  enter_another,
		sync_object,     resize_object, unmap_its_own,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		both_run(calls[i]);
}

/* ---- The order of locks ---------------------------------------------------------------------- */

#ifdef VAS_COVERAGE
extern void __gcov_dump(void); /* what the child counted is not lost with it */
#else
#define __gcov_dump() ((void)0)
#endif

static void end_child(int status)
{
	__gcov_dump();
	_exit(status != 0);
}

/* Whether a process that does this to a system's locks is stopped by an assert. */
static bool is_stopped(void (*act)(struct vas *))
{
	struct unit unit;
	struct vas *space;
	int status;
	pid_t pid;

	unit_begin(&unit);
	space = unit_space(&unit);
	pid = fork();
	if (pid == 0) {
		close(2); /* it has words */
		for (int signo = 1; signo < NSIG; signo++)
			signal(signo, SIG_DFL); /* cmocka catches some */
		signal(SIGILL, end_child);
		signal(SIGTRAP, end_child);
		signal(SIGABRT, end_child);
		act(space);
		end_child(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unit_close(&unit, space);
	return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void in_order(struct vas *space)
{
	struct vas_system *system = space->system;

	write_lock(&system->port, &system->spaces_lock, LOCK_LIST, OTHERS);
	space_lock(space);
	spin_lock(&system->port, &system->lock, LOCK_RECORDS);
	spin_lock(&system->port, &system->frames.lock, LOCK_FRAMES);
	spin_unlock(&system->port, &system->frames.lock);
	spin_unlock(&system->port, &system->lock);
	space_unlock(space);
	write_unlock(&system->port, &system->spaces_lock);
}

static void list_after_space(struct vas *space)
{
	space_lock(space);
	write_lock(&space->system->port, &space->system->spaces_lock, LOCK_LIST, OTHERS);
}

static void two_of_a_row(struct vas *space)
{
	spin_lock(&space->system->port, &space->system->lock, LOCK_RECORDS);
	spin_lock(&space->system->port, &space->system->objects_lock, LOCK_RECORDS);
}

static void twice(struct vas *space)
{
	space_lock_shared(space);
	space_lock_shared(space);
}

static void children_first(struct vas *space)
{
	struct vas *child;

	vas_fork(space, &child);
	space_lock_child(child);
	space_lock(space);
}

static void list_twice(struct vas *space)
{
	write_lock(&space->system->port, &space->system->spaces_lock, LOCK_LIST, OTHERS);
	write_lock(&space->system->port, &space->system->spaces_lock, LOCK_LIST, OTHERS);
}

static void work_under_a_table(struct vas *space)
{
	struct spin table = {0}, work = {0};

	spin_lock(&space->system->port, &table, LOCK_TABLE);
	spin_lock(&space->system->port, &work, LOCK_WORK);
}

/* What a lock guards, without it. */
static void change_unlocked(struct vas *space)
{
	space_assert_locked(space);
}

static void change_shared(struct vas *space)
{
	space_lock_shared(space);
	space_assert_locked(space);
}

static void *unlock_it(void *arg)
{
	space_unlock(arg);
	return NULL;
}

static void unlock_in_another_thread(struct vas *space)
{
	pthread_t thread;

	space_lock(space);
	pthread_create(&thread, NULL, unlock_it, space);
	pthread_join(thread, NULL);
}

static void unlock_of_what_is_free(struct vas *space)
{
	space_unlock(space);
}

/* A counter that is wrong: found by some call soon after, whatever it is. */
static void miscount(struct vas *space)
{
	space->size++;
	for (unsigned i = 0; i < 100; i++)
		vas_mprotect(space, at(0), UNIT_PAGE, VAS_PROT_READ);
}

/* A frame that nobody has: found when some space ends. */
static void lose_a_frame(struct vas *space)
{
	struct vas_system *system = space->system;

	frame_alloc(&system->frames, FRAME_NONE, 0);
	for (unsigned i = 0; i < 100; i++) {
		struct vas *other;

		vas_create(system, NULL, &other);
		vas_destroy(other);
	}
}

static void broken_promises_are_found(void **state)
{
	(void)state;
#ifndef VAS_CHECKED
	skip();
#endif
	assert_true(is_stopped(miscount));
	assert_true(is_stopped(lose_a_frame));
}

static void locks_out_of_order_are_found(void **state)
{
	(void)state;
#ifndef VAS_CHECKED
	skip();
#endif
	assert_false(is_stopped(in_order));
	assert_true(is_stopped(list_after_space));
	assert_true(is_stopped(two_of_a_row));
	assert_true(is_stopped(twice));
	assert_true(is_stopped(unlock_of_what_is_free));
	assert_true(is_stopped(children_first));
	assert_true(is_stopped(list_twice));
	assert_true(is_stopped(work_under_a_table));
	assert_true(is_stopped(change_unlocked));
	assert_true(is_stopped(change_shared));
	assert_true(is_stopped(unlock_in_another_thread));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_owner_may_make_any_call),
		cmocka_unit_test(locks_out_of_order_are_found),
		cmocka_unit_test(broken_promises_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
