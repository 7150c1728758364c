/* test_public_posix.c - every function of posix.h, called by several threads at once in one system,
 * of files that they share: as test_public.c, which has those of the core.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "unit.h"

#include "vas/posix.h"

#define NTHREADS 4u
#define ROUNDS 12u
#define FILE_PAGES 8u
#define MEMORY ((uint64_t)32 << 20)

struct worker {
	pthread_t thread;
	struct random random;
	struct vas_system *system;
	struct vas *space;
	struct vas_object *object;
	int fd;
	FILE *null;
	unsigned failures;
};

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void expect(struct worker *w, bool holds)
{
	w->failures += !holds;
}

/* Written, read and put away: the last mapping writes it back. */
static void use(struct worker *w, struct vas_file *file)
{
	uint64_t addr = at(random_below(&w->random, 4) * FILE_PAGES), word = 1;
	const uint64_t len = FILE_PAGES * UNIT_PAGE;

	expect(w, vas_mmap(w->space, addr, len, RW, VAS_MAP_SHARED | VAS_MAP_FIXED, file, 0) ==
	                  (int64_t)addr);
	vas_file_put(file);
	vas_write(w->space, addr + random_below(&w->random, FILE_PAGES) * UNIT_PAGE, &word, 8,
	          NULL);
	vas_msync(w->space, addr, len, VAS_MS_SYNC);
}

static void run_vas_posix_object(struct worker *w)
{
	struct vas_object *object;

	expect(w, vas_posix_object(w->system, w->fd, &object) == 0);
	vas_object_put(object);
}

static void run_vas_posix_file(struct worker *w)
{
	struct vas_file *file;

	expect(w, vas_posix_file(w->object, w->fd, &file) == 0);
	use(w, file);
}

static void run_vas_posix_open(struct worker *w)
{
	struct vas_file *file;

	expect(w, vas_posix_open(w->system, w->fd, &file) == 0);
	use(w, file);
}

static void run_vas_posix_follow(struct worker *w)
{
	uint64_t npages = 1 + random_below(&w->random, FILE_PAGES);

	expect(w, ftruncate(w->fd, (off_t)(npages * UNIT_PAGE)) == 0);
	expect(w, vas_posix_follow(w->object) == 0);
}

static void lost(void *ctx, uint64_t offset, const void *bytes, size_t len, int64_t err)
{
	(void)offset, (void)bytes, (void)len, (void)err;
	__atomic_fetch_add((unsigned *)ctx, 1, __ATOMIC_RELAXED);
}

static void run_vas_posix_on_loss(struct worker *w)
{
	static unsigned losses;
	struct vas_object *object;

	expect(w, vas_posix_object(w->system, w->fd, &object) == 0);
	vas_posix_on_loss(object, lost, &losses);
	vas_object_put(object);
}

static void run_vas_posix_print(struct worker *w)
{
	vas_maps(w->space, vas_posix_print, w->null);
	vas_posix_print(w->null, "\n", 1);
}

static void run_vas_posix_text(struct worker *w)
{
	char *text = vas_posix_text(w->space, vas_smaps_rollup);

	expect(w, text != NULL);
	free(text);
}

static void (*const calls[])(struct worker *) = {
	run_vas_posix_object,  run_vas_posix_file,  run_vas_posix_open, run_vas_posix_follow,
	run_vas_posix_on_loss, run_vas_posix_print, run_vas_posix_text,
};

static void *work(void *arg)
{
	const size_t n = sizeof(calls) / sizeof(calls[0]);
	struct worker *w = arg;

	for (unsigned i = 0; i < ROUNDS * n; i++)
		calls[random_below(&w->random, n)](w);
	return NULL;
}

static void all_calls_at_once(void **state)
{
	struct worker workers[NTHREADS], common = {0};
	FILE *file = tmpfile(), *null = fopen("/dev/null", "w");
	struct unit unit;

	(void)state;
	assert_non_null(file);
	assert_non_null(null);
	unit_prepare(&unit);
	unit.config.port.threads = true;
	unit.config.port.wait = yield;
	unit_begin_with(&unit, MEMORY);
	common.system = unit.system;
	common.space = unit_space(&unit);
	common.fd = fileno(file);
	common.null = null;
	assert_int_equal(ftruncate(common.fd, FILE_PAGES * UNIT_PAGE), 0);
	assert_int_equal(vas_posix_object(unit.system, common.fd, &common.object), 0);
	for (unsigned n = 0; n < NTHREADS; n++) {
		workers[n] = common;
		workers[n].random.state = n + 1;
		assert_int_equal(pthread_create(&workers[n].thread, NULL, work, &workers[n]), 0);
	}
	for (unsigned n = 0; n < NTHREADS; n++) {
		pthread_join(workers[n].thread, NULL);
		assert_int_equal(workers[n].failures, 0);
	}
	assert_holds(vas_check(common.space));
	assert_holds(vas_audit(unit.system));
	vas_destroy(common.space);
	vas_object_put(common.object);
	unit_end(&unit);
	fclose(null);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all_calls_at_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
