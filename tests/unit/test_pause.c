/* test_pause.c - calls that take long let faults in on their way, and what those see is what was
 * there before the call, or what is there after it.
 *
 * Each call is made again and again, until the other thread has been let in by a call that was not
 * over yet, and has looked often enough; it reads and writes the pages that the call is about, and
 * some elsewhere.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "unit.h"

#include "space/space.h"

#define MIB ((uint64_t)1 << 20)
#define WIDE (512 * MIB) /* with a page in every 2 MiB */
#define STRIDE (2 * MIB)
#define NVMAS 2000u /* side by side, every page present */
#define FIRST ((uint64_t)1 << 40)
#define AWAY (FIRST + 4096 * MIB + UNIT_PAGE) /* out of step with the tables */
#define OWN ((uint64_t)1 << 44)
#define FRESH ((uint64_t)2 << 44)
#define NFRESH 1000u
#define SECONDS 60

enum seen { VALUE = 1, ZERO = 2, FAULT = 4 };

struct world {
	struct unit unit;
	struct vas *space;
	struct vas_object *object, *fresh;
	struct vas_file *file, *fresh_file;
	const struct work *work;
	uint64_t turn; /* odd: the call is being made */
	bool stop, let_in;
	unsigned looks, failures;
};

/* One call that takes long. */
struct work {
	const char *name;
	void (*prepare)(struct world *);
	int64_t (*call)(struct world *);
	uint64_t stride, count; /* where the pages are that it is about */
	unsigned allowed;       /* enum seen, for who reads them meanwhile, */
	unsigned looks;         /* who does so at least so often */
};

static void expect(struct world *w, bool holds)
{
	if (!holds)
		__atomic_fetch_add(&w->failures, 1, __ATOMIC_RELAXED);
}

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

/* ---- What is prepared ------------------------------------------------------------------------ */

static void clear(struct world *w)
{
	expect(w, vas_munmap(w->space, FIRST, (uint64_t)16384 * MIB) == 0);
}

static void fill(struct world *w, uint64_t stride, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t value = i + 1;

		expect(w,
		       vas_write(w->space, FIRST + i * stride, &value, sizeof(value), NULL) == 0);
	}
}

static void map_wide(struct world *w)
{
	clear(w);
	expect(w, vas_mmap(w->space, FIRST, WIDE, RW, ANON_FIXED, NULL, 0) == (int64_t)FIRST);
	fill(w, STRIDE, WIDE / STRIDE);
}

/* A guard somewhere: then marks are looked for. */
static void map_guarded(struct world *w)
{
	map_wide(w);
	expect(w, vas_madvise(w->space, FIRST + UNIT_PAGE, UNIT_PAGE, VAS_MADV_GUARD_INSTALL) == 0);
}

static void map_guards(struct world *w)
{
	map_wide(w);
	for (uint64_t i = 0; i < WIDE / STRIDE; i++)
		expect(w, vas_madvise(w->space, FIRST + i * STRIDE + UNIT_PAGE, UNIT_PAGE,
		                      VAS_MADV_GUARD_INSTALL) == 0);
}

static void map_forked(struct world *w)
{
	struct vas *child;

	map_wide(w);
	expect(w, vas_fork(w->space, &child) == 0);
	vas_destroy(child);
	expect(w, vas_fork(w->space, &child) == 0);
	vas_destroy(child);
}

static void map_vmas(struct world *w, bool present)
{
	clear(w);
	expect(w, vas_mmap(w->space, FIRST, NVMAS * UNIT_PAGE, RW, ANON_FIXED, NULL, 0) ==
	                  (int64_t)FIRST);
	fill(w, UNIT_PAGE, present ? NVMAS : 0);
	for (uint64_t i = 0; i < NVMAS; i += 2)
		expect(w, vas_mprotect(w->space, FIRST + i * UNIT_PAGE, UNIT_PAGE, VAS_PROT_READ) ==
		                  0);
}

static void map_bare(struct world *w)
{
	map_vmas(w, false);
}

static void map_stripes(struct world *w)
{
	map_vmas(w, true);
}

static void map_locked(struct world *w)
{
	map_bare(w);
	expect(w, vas_mlock2(w->space, FIRST, NVMAS * UNIT_PAGE, VAS_MLOCK_ONFAULT) == 0);
}

/* The same page of a file many times. */
static void map_aliases(struct world *w)
{
	clear(w);
	expect(w, vas_object_resize(w->object, UNIT_PAGE) == 0);
	for (uint64_t i = 0; i < NVMAS; i++)
		expect(w,
		       vas_mmap(w->space, FIRST + 2 * i * UNIT_PAGE, UNIT_PAGE, RW,
		                VAS_MAP_SHARED | VAS_MAP_FIXED | VAS_MAP_POPULATE, w->file, 0) > 0);
}

/* ---- What is called -------------------------------------------------------------------------- */

static int64_t unmap_vmas(struct world *w)
{
	return vas_munmap(w->space, FIRST, NVMAS * UNIT_PAGE);
}

static int64_t map_over(struct world *w)
{
	return vas_mmap(w->space, FIRST, NVMAS * UNIT_PAGE, RW, ANON_FIXED, NULL, 0) -
	       (int64_t)FIRST;
}

static int64_t protect_vmas(struct world *w)
{
	return vas_mprotect(w->space, FIRST, NVMAS * UNIT_PAGE, VAS_PROT_READ);
}

static int64_t protect_wide(struct world *w)
{
	return vas_mprotect(w->space, FIRST, WIDE, VAS_PROT_READ);
}

static int64_t move_away(struct world *w)
{
	return vas_mremap(w->space, FIRST, WIDE, WIDE, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED,
	                  AWAY) -
	       (int64_t)AWAY;
}

static int64_t lock_vmas(struct world *w)
{
	return vas_mlock2(w->space, FIRST, NVMAS * UNIT_PAGE, VAS_MLOCK_ONFAULT);
}

static int64_t unlock_all(struct world *w)
{
	return vas_munlockall(w->space);
}

static int64_t dont_dump(struct world *w)
{
	return vas_madvise(w->space, FIRST, NVMAS * UNIT_PAGE, VAS_MADV_DONTDUMP);
}

static int64_t discard(struct world *w)
{
	return vas_madvise(w->space, FIRST, WIDE, VAS_MADV_DONTNEED);
}

static int64_t guard(struct world *w)
{
	return vas_madvise(w->space, FIRST, WIDE / 4, VAS_MADV_GUARD_INSTALL);
}

static int64_t unguard(struct world *w)
{
	return vas_madvise(w->space, FIRST, WIDE, VAS_MADV_GUARD_REMOVE);
}

/* The thread beside writes to the lower of two words first: no child sees it otherwise. */
static int64_t fork_once(struct world *w)
{
	uint64_t low = 0, high = 0;
	struct vas *child;

	if (vas_fork(w->space, &child) != 0)
		return -1;
	expect(w, vas_read(child, &low, FIRST - UNIT_PAGE, sizeof(low), NULL) == 0);
	expect(w, vas_read(child, &high, OWN, sizeof(high), NULL) == 0);
	expect(w, high <= low);
	expect(w, !vas_check(child));
	vas_destroy(child);
	return 0;
}

static void ignore(void *ctx, const char *text, size_t len)
{
	(void)ctx, (void)text, (void)len;
}

static int64_t report(struct world *w)
{
	vas_smaps(w->space, ignore, NULL);
	return 0;
}

static int64_t truncate_aliases(struct world *w)
{
	return vas_object_resize(w->object, 0);
}

/* ---- Beside it ------------------------------------------------------------------------------- */

static enum seen look(struct world *w, uint64_t stride, uint64_t n)
{
	uint64_t value = 0;

	if (vas_read(w->space, &value, FIRST + n * stride, sizeof(value), NULL) != 0)
		return FAULT;
	if (value == 0)
		return ZERO;
	expect(w, value == n + 1);
	return VALUE;
}

/* Only what was begun and finished during one call counts. */
static void look_during(struct world *w, struct random *random)
{
	uint64_t turn = __atomic_load_n(&w->turn, __ATOMIC_ACQUIRE);
	const struct work *work = __atomic_load_n(&w->work, __ATOMIC_ACQUIRE);
	enum seen seen;

	if (turn % 2 == 0 || work->count == 0)
		return;
	seen = look(w, work->stride, random_below(random, work->count));
	if (__atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) != turn)
		return;
	expect(w, seen & work->allowed);
	__atomic_fetch_add(&w->looks, 1, __ATOMIC_RELAXED);
}

/* What is there already, if it may be written. */
static void write_during(struct world *w, struct random *random)
{
	const struct work *work = __atomic_load_n(&w->work, __ATOMIC_ACQUIRE);
	uint64_t n = work->count ? random_below(random, work->count) : 0, value = n + 1;

	if (work->count && __atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) % 2)
		vas_write(w->space, FIRST + n * work->stride, &value, sizeof(value), NULL);
}

/* A page of a file that is not in its cache: the fault brings it, and says whether a call has
 * paused for that. */
static int64_t read_page(void *ctx, uint64_t index, void *page)
{
	struct world *w = ctx;

	memset(page, (int)(index % 255 + 1), UNIT_PAGE);
	if (__atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) % 2 && space_is_paused(w->space))
		__atomic_store_n(&w->let_in, true, __ATOMIC_RELEASE);
	return 0;
}

static void read_fresh(struct world *w, uint64_t n)
{
	uint8_t byte = 0;

	expect(w, vas_read(w->space, &byte, FRESH + n % NFRESH * UNIT_PAGE, 1, NULL) == 0);
	expect(w, byte == n % NFRESH % 255 + 1);
	if (n % NFRESH == NFRESH - 1) {
		expect(w, vas_object_resize(w->fresh, 0) == 0);
		expect(w, vas_object_resize(w->fresh, NFRESH * UNIT_PAGE) == 0);
	}
}

static void *visit(void *arg)
{
	struct world *w = arg;
	struct random random = {1};

	for (uint64_t i = 1; !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE); i++) {
		expect(w, vas_write(w->space, FIRST - UNIT_PAGE, &i, sizeof(i), NULL) == 0);
		expect(w, vas_write(w->space, OWN, &i, sizeof(i), NULL) == 0);
		read_fresh(w, i);
		look_during(w, &random);
		write_during(w, &random);
	}
	return NULL;
}

static bool is_shown(struct world *w)
{
	return __atomic_load_n(&w->let_in, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&w->looks, __ATOMIC_RELAXED) >= w->work->looks;
}

static void call_until_let_in(struct world *w, const struct work *work)
{
	time_t end = time(NULL) + SECONDS;

	__atomic_store_n(&w->work, work, __ATOMIC_RELEASE);
	__atomic_store_n(&w->let_in, false, __ATOMIC_RELEASE);
	__atomic_store_n(&w->looks, 0, __ATOMIC_RELAXED);
	do {
		work->prepare(w);
		__atomic_fetch_add(&w->turn, 1, __ATOMIC_ACQ_REL);
		expect(w, work->call(w) == 0);
		__atomic_fetch_add(&w->turn, 1, __ATOMIC_ACQ_REL);
	} while (!is_shown(w) && time(NULL) < end);
	if (!is_shown(w))
		fail_msg("%s: nobody was let in", work->name);
	if (w->failures)
		fail_msg("%s: %u times something was not as it should be", work->name, w->failures);
	assert_holds(vas_check(w->space));
}

static const struct work works[] = {
	{"munmap of many vmas", map_stripes, unmap_vmas, UNIT_PAGE, NVMAS, VALUE | FAULT, 0},
	{"munmap of many vmas, absent", map_bare, unmap_vmas, UNIT_PAGE, NVMAS,
	 VALUE | ZERO | FAULT, 1},
	{"mmap over many vmas", map_stripes, map_over, UNIT_PAGE, NVMAS, VALUE | ZERO, 20},
	{"mprotect of many vmas", map_bare, protect_vmas, 0, 0, 0, 0},
	{"mprotect of many pages", map_wide, protect_wide, STRIDE, WIDE / STRIDE, VALUE, 0},
	{"mprotect after fork", map_forked, protect_wide, STRIDE, WIDE / STRIDE, VALUE, 0},
	{"mremap out of step", map_wide, move_away, STRIDE, WIDE / STRIDE, VALUE | FAULT, 20},
	{"mlock of many vmas", map_bare, lock_vmas, 0, 0, 0, 0},
	{"munlockall", map_locked, unlock_all, 0, 0, 0, 0},
	{"DONTDUMP of many vmas", map_bare, dont_dump, 0, 0, 0, 0},
	{"DONTNEED beside guards", map_guarded, discard, STRIDE, WIDE / STRIDE, VALUE | ZERO, 0},
	{"GUARD_INSTALL", map_wide, guard, STRIDE, WIDE / STRIDE / 4, VALUE | FAULT, 0},
	{"GUARD_REMOVE", map_guards, unguard, STRIDE, WIDE / STRIDE, VALUE, 0},
	{"fork of many vmas", map_stripes, fork_once, UNIT_PAGE, NVMAS, VALUE, 0},
	{"fork beside guards", map_guarded, fork_once, STRIDE, WIDE / STRIDE, VALUE, 20},
	{"smaps", map_wide, report, STRIDE, WIDE / STRIDE, VALUE, 0},
	{"truncation of many mappings", map_aliases, truncate_aliases, 0, 0, 0, 0},
};

static int64_t write_page(void *ctx, uint64_t index, const void *page)
{
	(void)ctx, (void)index, (void)page;
	return 0;
}

static void begin(struct world *w)
{
	static const struct vas_object_ops ops = {.read_page = read_page, .write_page = write_page};
	const struct vas_file_info info = {.path = "/file", .mode = VAS_FILE_READ | VAS_FILE_WRITE};

	memset(w, 0, sizeof(*w));
	unit_prepare(&w->unit);
	w->unit.config.port.threads = true;
	w->unit.config.port.wait = yield;
	unit_begin_with(&w->unit, 64 * MIB);
	w->unit.params.limit[VAS_RLIMIT_MEMLOCK] = (struct vas_limit){VAS_RLIM_INFINITY,
	                                                              VAS_RLIM_INFINITY};
	w->space = unit_space(&w->unit);
	assert_int_equal(vas_object_create(w->unit.system, NULL, NULL, UNIT_PAGE, &w->object), 0);
	assert_int_equal(vas_file_open(w->object, &info, &w->file), 0);
	assert_int_equal(vas_object_create(w->unit.system, &ops, w, NFRESH * UNIT_PAGE, &w->fresh),
	                 0);
	assert_int_equal(vas_file_open(w->fresh, &info, &w->fresh_file), 0);
	assert_true(vas_mmap(w->space, FRESH, NFRESH * UNIT_PAGE, VAS_PROT_READ,
	                     VAS_MAP_SHARED | VAS_MAP_FIXED, w->fresh_file, 0) > 0);
	for (unsigned i = 0; i < 2; i++)
		assert_true(vas_mmap(w->space, i ? OWN : FIRST - UNIT_PAGE, UNIT_PAGE, RW,
		                     ANON_FIXED, NULL, 0) > 0);
}

static void faults_get_in(void **state)
{
	struct world w;
	pthread_t thread;

	(void)state;
	begin(&w);
	w.work = works;
	assert_int_equal(pthread_create(&thread, NULL, visit, &w), 0);
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		if (w.unit.config.software && works[i].call == move_away)
			continue; /* records are moved, not pages */
		call_until_let_in(&w, &works[i]);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	vas_munmap(w.space, 0, vas_task_size(w.space));
	vas_file_put(w.file);
	vas_file_put(w.fresh_file);
	vas_object_put(w.object);
	vas_object_put(w.fresh);
	unit_close(&w.unit, w.space);
}

/* ---- The lock by itself: the hook stands for the others -------------------------------------- */

static struct waits {
	struct lock_port system;
	struct rwlock lock;
	unsigned asked;
} waits;

/* A visitor leaves; or the call does. */
static void reader_leaves(void *ctx)
{
	(void)ctx;
	waits.asked++;
	__atomic_fetch_sub(&waits.lock.state, 1, __ATOMIC_RELEASE);
}

static void call_ends(void *ctx)
{
	(void)ctx;
	waits.asked++;
	__atomic_store_n(&waits.lock.state, 0, __ATOMIC_RELEASE);
}

static void a_pause_lets_in_visitors_and_nobody_else(void **state)
{
	const struct vas_port *port = &waits.system.port;

	(void)state;
	waits.system.port.threads = true;
	write_lock(port, &waits.lock, LOCK_SPACE, OTHERS);
	assert_false(write_is_wanted(&waits.lock));
	waits.lock.state |= RWLOCK_WAITING;
	assert_true(write_is_wanted(&waits.lock));
	write_pause(&waits.lock);
	assert_int_equal(waits.lock.state, RWLOCK_PAUSED);

	/* Visitors come at once, one who writes and one who reads; for him the call waits. */
	write_lock(port, &waits.lock, LOCK_SPACE, VISITORS);
	assert_true(lock_is_paused(&waits.lock));
	write_unlock(port, &waits.lock);
	read_lock(port, &waits.lock, LOCK_SPACE, VISITORS);
	assert_int_equal(waits.lock.state, RWLOCK_PAUSED + 1);
	held_remove(&waits.lock);
	waits.system.port.wait = reader_leaves;
	write_resume(port, &waits.lock, LOCK_SPACE);
	assert_int_equal(waits.lock.state, RWLOCK_WRITER);
	assert_int_equal(waits.asked, 1);

	/* The others come when it is over, and do not keep visitors out until then. */
	write_pause(&waits.lock);
	waits.system.port.wait = call_ends;
	write_lock(port, &waits.lock, LOCK_SPACE, OTHERS);
	assert_int_equal(waits.asked, 2);
	write_pause(&waits.lock);
	read_lock(port, &waits.lock, LOCK_SPACE, OTHERS);
	assert_int_equal(waits.asked, 3);
	assert_int_equal(waits.lock.state, 1);
	read_unlock(port, &waits.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_lets_in_visitors_and_nobody_else),
		cmocka_unit_test(faults_get_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
