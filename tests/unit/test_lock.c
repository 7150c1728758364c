/* Locks that cannot be had at once, who waits for them, and what the checking build knows of both:
 * each by itself, without a system.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "unit.h"

#include "base/lock.h"

#define ROUNDS 20000u
#define READERS 3u

static struct waits {
	struct lock_port system;
	unsigned asked;        /* how often port.wait was called */
	uintptr_t self;        /* what port.self answers */
	void (*lets_go)(void); /* what others do, as soon as we wait */
} w;

static void wait_hook(void *ctx)
{
	(void)ctx;
	w.asked++;
	if (w.lets_go)
		w.lets_go();
}

static uintptr_t self_hook(void *ctx)
{
	(void)ctx;
	return w.self;
}

static const struct vas_port *begin(void)
{
	memset(&w, 0, sizeof(w));
	w.system.port.threads = true;
	w.system.port.wait = wait_hook;
	return &w.system.port;
}

/* ---- One thread, and a hook that stands for the others --------------------------------------- */

static struct spin spin;
static struct rwlock rwlock;

static void let_spin_go(void)
{
	__atomic_store_n(&spin.taken, 0, __ATOMIC_RELEASE);
}

static void let_writer_go(void)
{
	__atomic_fetch_and(&rwlock.state, ~RWLOCK_WRITER, __ATOMIC_RELEASE);
}

static void let_reader_go(void)
{
	if ((rwlock.state & ~RWLOCK_WAITING) == 1)
		__atomic_fetch_sub(&rwlock.state, 1, __ATOMIC_RELEASE);
}

/* The writer who waited has come and gone. */
static void let_waiting_go(void)
{
	__atomic_fetch_and(&rwlock.state, ~RWLOCK_WAITING, __ATOMIC_RELEASE);
}

static void who_waits_asks_the_hook(void **state)
{
	const struct vas_port *port = begin();

	(void)state;
	spin.taken = 1;
	w.lets_go = let_spin_go;
	spin_lock(port, &spin, LOCK_RECORDS);
	assert_int_equal(w.asked, 1);
	spin_unlock(port, &spin);
	assert_int_equal(spin.taken, 0);

	rwlock.state = RWLOCK_WRITER;
	w.lets_go = let_writer_go;
	write_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	assert_int_equal(w.asked, 2);
	assert_int_equal(rwlock.state, RWLOCK_WRITER);
	write_unlock(port, &rwlock);
	rwlock.state = 1;
	w.lets_go = let_reader_go;
	write_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	assert_int_equal(w.asked, 3);
	write_unlock(port, &rwlock);
	assert_int_equal(rwlock.state, 0);
}

/* He counts himself in while a writer works; while one waits he stays out. */
static void a_reader_comes_after_the_writer(void **state)
{
	const struct vas_port *port = begin();

	(void)state;
	rwlock.state = RWLOCK_WRITER;
	w.lets_go = let_writer_go;
	read_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	assert_int_equal(w.asked, 1);
	assert_int_equal(rwlock.state, 1);
	read_unlock(port, &rwlock);
	rwlock.state = RWLOCK_WAITING;
	w.lets_go = let_waiting_go;
	read_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	assert_int_equal(w.asked, 2);
	assert_int_equal(rwlock.state, 1);
	read_unlock(port, &rwlock);
	assert_int_equal(rwlock.state, 0);
}

static void without_threads_nothing_is_taken(void **state)
{
	const struct vas_port *port = begin();

	(void)state;
	w.system.port.threads = false;
	spin.taken = 1;
	rwlock.state = RWLOCK_WRITER;
	spin_lock(port, &spin, LOCK_RECORDS);
	spin_unlock(port, &spin);
	write_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	write_unlock(port, &rwlock);
	read_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	read_unlock(port, &rwlock);
	assert_int_equal(spin.taken, 1);
	assert_int_equal(rwlock.state, RWLOCK_WRITER);
	assert_int_equal(w.asked, 0);
	spin.taken = 0;
	rwlock.state = 0;
}

/* ---- Who leaves his TLBs --------------------------------------------------------------------- */

static struct vas_tlb tlbs[3];

static void list_tlbs(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(tlbs); i++) {
		tlbs[i] = (struct vas_tlb){.key = 1, .owner = 70 + i % 2, .all = w.system.tlbs};
		w.system.tlbs = &tlbs[i];
	}
	tlbs[2].key |= VAS_TLB_AWAY;
}

static bool is_away(unsigned i)
{
	return tlbs[i].key & VAS_TLB_AWAY;
}

/* His own, and no one else's; who cannot be told leaves none. */
static void who_waits_leaves_his_tlbs(void **state)
{
	const struct vas_port *port = begin();

	(void)state;
	w.system.port.self = self_hook;
	list_tlbs();
	leave_all(port);
	assert_false(is_away(0));
	w.self = 70;
	spin.taken = 1;
	w.lets_go = let_spin_go;
	spin_lock(port, &spin, LOCK_RECORDS);
	spin_unlock(port, &spin);
	assert_true(is_away(0));
	assert_false(is_away(1));
	assert_true(is_away(2));
	assert_int_equal(w.system.tlbs_lock.taken, 0);
}

static void let_list_go(void)
{
	__atomic_store_n(&w.system.tlbs_lock.taken, 0, __ATOMIC_RELEASE);
}

static void *let_list_go_soon(void *arg)
{
	usleep(2000);
	let_list_go();
	return arg;
}

/* The list of TLBs is a lock, too: with a hook, and without. */
static void the_list_of_tlbs_is_waited_for(void **state)
{
	const struct vas_port *port = begin();
	pthread_t thread;

	(void)state;
	w.system.port.self = self_hook;
	w.self = 71;
	list_tlbs();
	w.system.tlbs_lock.taken = 1;
	w.lets_go = let_list_go;
	leave_all(port);
	assert_int_equal(w.asked, 1);
	assert_true(is_away(1));
	w.system.port.wait = NULL;
	w.system.tlbs_lock.taken = 1;
	assert_int_equal(pthread_create(&thread, NULL, let_list_go_soon, NULL), 0);
	leave_all(port);
	pthread_join(thread, NULL);
	assert_int_equal(w.asked, 1);
}

/* ---- Several threads ------------------------------------------------------------------------- */

static uint64_t first, second; /* equal, but while a writer works */
static unsigned torn;

static void *read_both(void *arg)
{
	const struct vas_port *port = &w.system.port;

	for (unsigned i = 0; i < ROUNDS; i++) {
		read_lock(port, &rwlock, LOCK_SPACE, OTHERS);
		if (first != second)
			__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
		read_unlock(port, &rwlock);
	}
	return arg;
}

static void *write_both(void *arg)
{
	const struct vas_port *port = &w.system.port;

	for (unsigned i = 0; i < ROUNDS; i++) {
		write_lock(port, &rwlock, LOCK_SPACE, OTHERS);
		first++;
		spin_lock(port, &spin, LOCK_RECORDS);
		second++;
		spin_unlock(port, &spin);
		write_unlock(port, &rwlock);
	}
	return arg;
}

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void nobody_sees_half_a_change(void **state)
{
	pthread_t readers[READERS], writers[2];

	(void)state;
	begin();
	w.system.port.wait = yield;
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_both, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_both, NULL), 0);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	assert_int_equal(torn, 0);
	assert_int_equal(first, 2 * ROUNDS);
	assert_int_equal(second, 2 * ROUNDS);
	assert_int_equal(rwlock.state, 0);
}

/* ---- What is held ---------------------------------------------------------------------------- */

static void what_is_held_is_known(void **state)
{
	const struct vas_port *port = begin();
	const struct lock_port other = {.port = {.threads = true}};
	struct rwlock third = {0};

	(void)state;
#ifndef VAS_CHECKED
	(void)port, (void)other, (void)third;
	skip();
#else
	read_lock(port, &rwlock, LOCK_SPACE, OTHERS);
	assert_true(held_has(&rwlock, HELD_SHARED));
	assert_false(held_has(&rwlock, HELD_ALONE));
	assert_false(held_has(&third, HELD_SHARED));
	/* The order of another system is its own. */
	write_lock(&other.port, &third, LOCK_LIST, OTHERS);
	assert_true(held_has(&third, HELD_ALONE));
	write_unlock(&other.port, &third);
	read_unlock(port, &rwlock);
	/* Out of turn, as locks of spaces are let go of. */
	write_lock(port, &rwlock, LOCK_LIST, OTHERS);
	write_lock(port, &third, LOCK_SPACE, OTHERS);
	write_unlock(port, &rwlock);
	assert_true(held_has(&third, HELD_ALONE));
	write_unlock(port, &third);
	assert_false(held_has(&third, HELD_SHARED));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_asks_the_hook),
		cmocka_unit_test(a_reader_comes_after_the_writer),
		cmocka_unit_test(without_threads_nothing_is_taken),
		cmocka_unit_test(who_waits_leaves_his_tlbs),
		cmocka_unit_test(the_list_of_tlbs_is_waited_for),
		cmocka_unit_test(nobody_sees_half_a_change),
		cmocka_unit_test(what_is_held_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
