/* test_order.c - the order of letting go where random calls rarely look: what stands when others
 * are told, and what another thread may do meanwhile, which the hook stands for.
 *
 * SPDX-License-Identifier: MIT */
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
	assert_int_equal(vas_object_create(w.unit.system, NULL, NULL, NPAGES * UNIT_PAGE,
	                                   &w.object),
	                 0);
	assert_int_equal(vas_file_open(w.object, &info, &w.file), 0);
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(vas_mmap(w.space[s], at(0), NPAGES * UNIT_PAGE, RW, flags, w.file,
		                          0),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncation_drops_last),
		cmocka_unit_test(tables_of_a_failed_fault_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
