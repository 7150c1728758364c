/* test_order.c - the order of letting go where random calls rarely look: what stands when others
 * are told, and what another thread may do meanwhile, which the hook stands for.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <unistd.h>

#include "unit.h"

#include "base/lock.h"
#include "space/object.h"

#define NPAGES 8u
#define LAST (NPAGES - 1)

static struct world {
	struct unit unit;
	struct vas *space[2];
	struct vas_object *object;
	struct vas_file *file;
	unsigned flushes, of_tables;
	bool truncates;
	unsigned dropped; /* flushes that came after the page was given up */
	unsigned mapped;  /* pages that came back */
} w;

/* Nobody has locked the first space while the second is told. */
static void fault_behind_the_end(void)
{
	unsigned hidden = held_hide();

	w.mapped += vas_fault(w.space[0], at(LAST), VAS_READ, NULL) == 0;
	held_show(hidden);
}

static void invalidate(void *ctx, struct vas *space, const struct vas_invalidation *what)
{
	(void)ctx;
	w.flushes++;
	w.of_tables += what->tables;
	if (!w.truncates)
		return;
	w.dropped += object_find(w.object, LAST) == FRAME_NONE;
	if (space == w.space[1])
		fault_behind_the_end();
}

static void begin(bool threads)
{
	memset(&w, 0, sizeof(w));
	unit_prepare(&w.unit);
	w.unit.config.port.invalidate = invalidate;
	w.unit.config.port.threads = threads;
	unit_begin_with(&w.unit, (uint64_t)8 << 20);
	for (unsigned s = 0; s < 2; s++)
		w.space[s] = unit_space(&w.unit);
}

static void end(void)
{
	vas_destroy(w.space[0]);
	vas_destroy(w.space[1]);
	unit_end(&w.unit);
}

/* The size is lowered, every space has lost the pages and been told, and only then are they
 * dropped; and who has been told gets none of them back, though they are there still. */
static void truncation_drops_last(void **state)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};
	const uint64_t flags = VAS_MAP_SHARED | VAS_MAP_FIXED;

	(void)state;
	begin(true);
	assert_int_equal(
		vas_object_create(w.unit.system, NULL, NULL, NPAGES * UNIT_PAGE, &w.object), 0);
	assert_int_equal(vas_file_open(w.object, &info, &w.file), 0);
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(
			vas_mmap(w.space[s], at(0), NPAGES * UNIT_PAGE, RW, flags, w.file, 0),
			at(0));
		for (unsigned p = 0; p < NPAGES; p++)
			assert_int_equal(vas_fault(w.space[s], at(p), VAS_WRITE, NULL), 0);
	}
	w.flushes = 0;
	w.truncates = true;
	assert_int_equal(vas_object_resize(w.object, UNIT_PAGE), 0);
	w.truncates = false;
	assert_true(w.flushes >= 2);
	assert_int_equal(w.dropped, 0);
	assert_int_equal(w.mapped, 0);
	for (unsigned s = 0; s < 2; s++)
		assert_false(vas_present(w.space[s], at(LAST)));
	vas_file_put(w.file);
	vas_object_put(w.object);
	end();
}

/* Tables that were made for a page that then cannot be had: a CPU may have looked into them. */
static void tables_of_a_failed_fault_are_told(void **state)
{
	bool failed_late = false;
	int64_t err = -VAS_ENOMEM;

	(void)state;
	unit_hardware_only();
	begin(false);
	for (int64_t n = 0; err == -VAS_ENOMEM; n++) {
		struct vas *space = w.space[0];

		assert_int_equal(vas_mmap(space, at(0), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
		w.of_tables = 0;
		vas_system_fail_after(w.unit.system, n);
		err = vas_fault(space, at(0), VAS_WRITE, NULL);
		vas_system_fail_after(w.unit.system, -1);
		/* The page itself, then table after table: the second and later ones hang on. */
		if (err == -VAS_ENOMEM && n >= 2) {
			failed_late = true;
			assert_true(w.of_tables > 0);
		}
		assert_int_equal(vas_munmap(space, at(0), UNIT_PAGE), 0);
	}
	assert_int_equal(err, 0);
	assert_true(failed_late);
	end();
}

/* Who faults on what is allowed already has not heard of it: it is said again. */
static void who_has_not_heard_is_told_again(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(vas_mmap(w.space[0], at(0), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	assert_int_equal(vas_fault(w.space[0], at(0), VAS_WRITE, NULL), 0);
	w.flushes = 0;
	assert_int_equal(vas_fault(w.space[0], at(0), VAS_WRITE, NULL), 0);
	assert_int_equal(w.flushes, 1);
	end();
}

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	(void)index;
	memcpy(ctx, page, sizeof(uint64_t));
	return 0;
}

static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	(void)index;
	memcpy(page, ctx, sizeof(uint64_t));
	return 0;
}

static const struct vas_object_ops file_ops = {.read_page = read_page, .write_page = write_page};

/* A page that is written back cannot be written to until a fault has said that it is. */
static void what_is_written_back_is_read_only(void **state)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	uint64_t disk = 0, value = 1;

	(void)state;
	begin(false);
	assert_int_equal(vas_object_create(w.unit.system, &file_ops, &disk, UNIT_PAGE, &w.object),
	                 0);
	assert_int_equal(vas_file_open(w.object, &info, &w.file), 0);
	assert_int_equal(vas_mmap(w.space[0], at(0), UNIT_PAGE, RW, VAS_MAP_SHARED | VAS_MAP_FIXED,
	                          w.file, 0),
	                 at(0));
	assert_int_equal(vas_write(w.space[0], at(0), &value, sizeof(value), NULL), 0);
	assert_true(vas_lookup(w.space[0], at(0), NULL, NULL) & VAS_PROT_WRITE);
	w.flushes = 0;
	assert_int_equal(vas_msync(w.space[0], at(0), UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(disk, 1);
	assert_true(w.flushes > 0);
	assert_false(vas_lookup(w.space[0], at(0), NULL, NULL) & VAS_PROT_WRITE);
	value = 2;
	assert_int_equal(vas_write(w.space[0], at(0), &value, sizeof(value), NULL), 0);
	vas_file_put(w.file);
	vas_object_put(w.object);
	end();
	assert_int_equal(disk, 2);
}

static struct vas_tlb tlb;
static bool entered, left;

static void *stay(void *arg)
{
	uint8_t byte;
	void *host;

	(void)arg;
	if (vas_translate(w.space[0], &tlb, at(0), VAS_READ, &host, NULL) == 0)
		__atomic_store_n(&entered, true, __ATOMIC_RELEASE);
	usleep(50000);
	__atomic_store_n(&left, true, __ATOMIC_RELEASE);
	/* It waits for the lock of whoever waits for it, and leaves for that. */
	vas_read(w.space[0], &byte, at(LAST), 1, NULL);
	vas_tlb_leave(&tlb);
	return NULL;
}

/* Whoever holds a pointer is waited for. */
static void owners_are_waited_for(void **state)
{
	pthread_t thread;

	(void)state;
	begin(true);
	vas_tlb_register(w.space[0], &tlb);
	assert_int_equal(vas_mmap(w.space[0], at(0), UNIT_PAGE, RW, ANON_FIXED, NULL, 0), at(0));
	assert_int_equal(pthread_create(&thread, NULL, stay, NULL), 0);
	while (!__atomic_load_n(&entered, __ATOMIC_ACQUIRE))
		usleep(100);
	assert_int_equal(vas_munmap(w.space[0], at(0), UNIT_PAGE), 0);
	assert_true(__atomic_load_n(&left, __ATOMIC_ACQUIRE));
	pthread_join(thread, NULL);
	vas_tlb_unregister(&tlb);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncation_drops_last),
		cmocka_unit_test(tables_of_a_failed_fault_are_told),
		cmocka_unit_test(who_has_not_heard_is_told_again),
		cmocka_unit_test(what_is_written_back_is_read_only),
		cmocka_unit_test(owners_are_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
