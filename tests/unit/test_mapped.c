/* From an object to its mappings: all calls keep the index, spaces come and go while an object is
 * truncated, punched and written back, and what threads see is what the file has.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>

#include "unit.h"

#include "space/mapped.h"

#define SHARED_FIXED (VAS_MAP_SHARED | VAS_MAP_FIXED)
#define PRIVATE_FIXED (VAS_MAP_PRIVATE | VAS_MAP_FIXED)

static struct unit unit;

static void wait_hook(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void open_object(const struct vas_object_ops *ops, void *ctx, uint64_t npages,
                        struct vas_object **object, struct vas_file **file)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM,
	                                   .path = "/f"};

	assert_int_equal(vas_object_create(unit.system, ops, ctx, npages * UNIT_PAGE, object), 0);
	assert_int_equal(vas_file_open(*object, &info, file), 0);
}

static void close_object(struct vas_object *object, struct vas_file *file)
{
	vas_file_put(file);
	vas_object_put(object);
}

/* ---- Which are visited ---------------------------------------------------------------------- */

static bool count_one(void *ctx, struct vas *space, const struct vma *vma)
{
	(void)space, (void)vma;
	++*(unsigned *)ctx;
	return true;
}

static unsigned visits(struct vas *space, struct vas_object *object, uint64_t first, uint64_t last)
{
	unsigned n = 0;

	assert_true(mapped_each(space, object, first, last, count_one, &n));
	return n;
}

static bool is_mapper(struct vas_object *object, const struct vas *space)
{
	struct vas *mapper;
	uint64_t id = 0;

	while ((mapper = object_mapper(object, id)) != NULL) {
		id = mapper->id + 1;
		space_unpin(mapper);
		if (mapper == space)
			return true;
	}
	return false;
}

static void test_only_its_mappings_are_visited(void **state)
{
	struct vas_object *object, *other;
	struct vas_file *file, *other_file;
	struct vas *space, *bystander;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	bystander = unit_space(&unit);
	open_object(NULL, NULL, 16, &object, &file);
	open_object(NULL, NULL, 16, &other, &other_file);
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(vas_mmap(space, at(4 * i), 2 * UNIT_PAGE, RW, SHARED_FIXED, file,
		                          i * UNIT_PAGE),
		                 at(4 * i));
		assert_int_equal(
			vas_mmap(space, at(4 * i + 2), UNIT_PAGE, RW, SHARED_FIXED, other_file, 0),
			at(4 * i + 2));
		assert_int_equal(vas_mmap(space, at(4 * i + 3), UNIT_PAGE, RW, ANON_FIXED, NULL, 0),
		                 at(4 * i + 3));
	}
	assert_int_equal(visits(space, object, 0, 16), 8);
	assert_int_equal(visits(space, object, 0, 1), 1);
	assert_int_equal(visits(space, object, 3, 4), 2);
	assert_int_equal(visits(space, object, 9, 16), 0);
	assert_int_equal(visits(space, other, 0, 16), 8);
	assert_true(is_mapper(object, space));
	assert_false(is_mapper(object, bystander));
	assert_int_equal(vas_munmap(space, at(0), 64 * UNIT_PAGE), 0);
	assert_false(is_mapper(object, space));
	assert_int_equal(visits(space, object, 0, 16), 0);
	close_object(object, file);
	close_object(other, other_file);
	vas_destroy(bystander);
	unit_close(&unit, space);
}

/* ---- The index follows ---------------------------------------------------------------------- */

#define WINDOW 48u

struct walkers {
	struct vas *space[4];
	struct vas_object *object[3];
	struct vas_file *file[3];
	struct random random;
};

static void random_call(struct walkers *w, struct vas *space)
{
	uint64_t from = random_below(&w->random, WINDOW), to = random_below(&w->random, WINDOW);
	uint64_t len = 1 + random_below(&w->random, 6), which = random_below(&w->random, 3);
	uint64_t prots[] = {RW, VAS_PROT_READ, VAS_PROT_NONE};
	uint64_t how = random_below(&w->random, 2) ? SHARED_FIXED : PRIVATE_FIXED;

	switch (random_below(&w->random, 9)) {
	case 0:
	case 1:
		vas_mmap(space, at(from), len * UNIT_PAGE, RW, how, w->file[which],
		         random_below(&w->random, 8) * UNIT_PAGE);
		break;
	case 2:
		vas_mmap(space, at(from), len * UNIT_PAGE, RW, ANON_FIXED, NULL, 0);
		break;
	case 3:
		vas_munmap(space, at(from), len * UNIT_PAGE);
		break;
	case 4:
		vas_mprotect(space, at(from), len * UNIT_PAGE, prots[which]);
		break;
	case 5:
		vas_mremap(space, at(from), len * UNIT_PAGE,
		           (1 + random_below(&w->random, 6)) * UNIT_PAGE,
		           VAS_MREMAP_MAYMOVE | (which ? VAS_MREMAP_FIXED : 0), at(to));
		break;
	case 6:
		vas_madvise(space, at(from), len * UNIT_PAGE,
		            which ? VAS_MADV_REMOVE : VAS_MADV_DONTFORK);
		break;
	case 7:
		vas_object_resize(w->object[which], random_below(&w->random, 16) * UNIT_PAGE / 2);
		break;
	default:
		vas_write(space, at(from), &len, 1, NULL);
	}
}

static void test_index_follows_every_call(void **state)
{
	struct walkers w = {.random = {7}};

	(void)state;
	unit_begin(&unit);
	for (unsigned i = 0; i < 3; i++)
		open_object(NULL, NULL, 8, &w.object[i], &w.file[i]);
	for (unsigned i = 0; i < 4; i++)
		w.space[i] = unit_space(&unit);
	for (unsigned step = 0; step < 6000; step++) {
		unsigned i = (unsigned)random_below(&w.random, 4);

		if (step % 50 == 0) {
			vas_destroy(w.space[i]);
			assert_int_equal(vas_fork(w.space[(i + 1) % 4], &w.space[i]), 0);
		}
		random_call(&w, w.space[i]);
		assert_holds(vas_check(w.space[i]));
		if (step % 16 == 0)
			assert_holds(vas_audit(unit.system));
	}
	for (unsigned i = 0; i < 4; i++)
		vas_destroy(w.space[i]);
	for (unsigned i = 0; i < 3; i++)
		close_object(w.object[i], w.file[i]);
	unit_end(&unit);
}

/* ---- With threads --------------------------------------------------------------------------- */

#define FILE_PAGES 8u
#define ROUNDS 400u
#define MOVERS 2u

struct disk {
	uint64_t word[FILE_PAGES];
};

static int64_t disk_read(void *ctx, uint64_t index, void *page)
{
	const struct disk *disk = ctx;
	uint64_t word = __atomic_load_n(&disk->word[index], __ATOMIC_RELAXED);

	memcpy(page, &word, sizeof(word));
	return 0;
}

static int64_t disk_write(void *ctx, uint64_t index, const void *page)
{
	struct disk *disk = ctx;
	const uint64_t *word = page;

	__atomic_store_n(&disk->word[index], __atomic_load_n(word, __ATOMIC_RELAXED),
	                 __ATOMIC_RELAXED);
	return 0;
}

static const struct vas_object_ops disk_ops = {.read_page = disk_read, .write_page = disk_write};

/* Keeps a mapping on the move, in its own space and in children, while it uses it. */
struct mover {
	pthread_t thread;
	struct vas *space;
	struct vas_file *file;
	uint64_t page; /* of the file that it alone writes to */
	const struct disk *disk;
	uint32_t *stop;
	uint64_t place;
	unsigned lost, failed;
	struct random random;
};

static void mover_fork(struct mover *m)
{
	struct vas *child;
	uint64_t word = 0;

	if (vas_fork(m->space, &child) < 0) {
		m->failed++;
		return;
	}
	vas_read(child, &word, m->place + m->page * UNIT_PAGE, 8, NULL);
	vas_destroy(child);
}

static void mover_move(struct mover *m)
{
	uint64_t to = at(64 + 16 * random_below(&m->random, 64));

	if (to == m->place)
		return;
	m->failed += vas_mremap(m->space, m->place, FILE_PAGES * UNIT_PAGE, FILE_PAGES * UNIT_PAGE,
	                        VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, to) != (int64_t)to;
	m->place = to;
}

/* What is written, moved and synced is in the file, whoever else syncs and moves meanwhile. */
static void *move_and_sync(void *arg)
{
	struct mover *m = arg;

	for (uint64_t value = 1; !__atomic_load_n(m->stop, __ATOMIC_RELAXED); value++) {
		uint64_t word = 0, expected = value - 1;

		m->lost += vas_read(m->space, &word, m->place + m->page * UNIT_PAGE, 8, NULL) < 0;
		m->lost += word != expected;
		if (vas_compare_exchange(m->space, m->place + m->page * UNIT_PAGE, 8, &expected,
		                         value, NULL) != 1)
			m->lost++;
		mover_move(m);
		if (value % 16 == 0)
			mover_fork(m);
		m->failed += vas_msync(m->space, m->place, FILE_PAGES * UNIT_PAGE, VAS_MS_SYNC) !=
		             0;
		word = __atomic_load_n(&m->disk->word[m->page], __ATOMIC_RELAXED);
		m->lost += word != value;
	}
	return NULL;
}

static void begin_threads(void)
{
	unit_prepare(&unit);
	unit.config.port.threads = true;
	unit.config.port.wait = wait_hook;
	unit_begin_with(&unit, (uint64_t)64 << 20);
}

static void test_write_back_while_mappings_move(void **state)
{
	struct disk disk = {.word = {0}};
	struct mover movers[MOVERS];
	struct vas_object *object;
	struct vas_file *file;
	uint32_t stop = 0;

	(void)state;
	begin_threads();
	open_object(&disk_ops, &disk, FILE_PAGES, &object, &file);
	for (unsigned i = 0; i < MOVERS; i++) {
		movers[i] = (struct mover){.space = unit_space(&unit),
		                           .file = file,
		                           .page = i,
		                           .disk = &disk,
		                           .stop = &stop,
		                           .place = at(0),
		                           .random = {i + 1}};
		assert_int_equal(vas_mmap(movers[i].space, at(0), FILE_PAGES * UNIT_PAGE, RW,
		                          SHARED_FIXED, file, 0),
		                 at(0));
		pthread_create(&movers[i].thread, NULL, move_and_sync, &movers[i]);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(vas_object_sync(object), 0);
		sched_yield();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < MOVERS; i++) {
		pthread_join(movers[i].thread, NULL);
		assert_int_equal(movers[i].lost, 0);
		assert_int_equal(movers[i].failed, 0);
		vas_destroy(movers[i].space);
	}
	close_object(object, file);
	unit_end(&unit);
}

/* Touches pages of an object that nobody else touches, while it moves, forks and ends; others take
 * the pages away. */
static void *move_and_touch(void *arg)
{
	struct mover *m = arg;

	while (!__atomic_load_n(m->stop, __ATOMIC_RELAXED)) {
		uint64_t word = 1,
			 page = 2 * random_below(&m->random, FILE_PAGES / 2 - 1) + m->page;

		vas_write(m->space, m->place + page * UNIT_PAGE, &word, 8, NULL);
		mover_move(m);
		if (random_below(&m->random, 8) == 0)
			mover_fork(m);
	}
	return NULL;
}

/* After truncation and punching nobody has a page that was there before. */
static void expect_gone(struct vas *const *spaces, const struct mover *movers, uint64_t first)
{
	for (unsigned i = 0; i < MOVERS; i++) {
		for (uint64_t page = first; page < FILE_PAGES; page++)
			assert_false(vas_present(spaces[i], movers[i].place + page * UNIT_PAGE));
	}
}

static void take_pages_away(struct vas_object *object, struct vas *space)
{
	uint64_t mark = 0x5555, word = 0;
	uint64_t last = at(FILE_PAGES - 1); /* a page that only we touch */

	assert_int_equal(vas_write(space, last, &mark, 8, NULL), 0);
	assert_int_equal(vas_madvise(space, last, UNIT_PAGE, VAS_MADV_REMOVE), 0);
	assert_int_equal(vas_read(space, &word, last, 8, NULL), 0);
	assert_int_equal(word, 0);
	assert_int_equal(vas_madvise(space, at(0), FILE_PAGES * UNIT_PAGE, VAS_MADV_REMOVE), 0);
	assert_int_equal(vas_object_resize(object, 2 * UNIT_PAGE), 0);
	assert_true(vas_read(space, &word, at(2), 8, NULL) < 0);
	assert_int_equal(vas_object_resize(object, FILE_PAGES * UNIT_PAGE), 0);
	assert_int_equal(vas_read(space, &word, last, 8, NULL), 0);
	assert_int_equal(word, 0);
}

static void test_truncation_while_mappings_move(void **state)
{
	struct vas *space, *spaces[MOVERS];
	struct mover movers[MOVERS];
	struct vas_object *object;
	struct vas_file *file;
	uint32_t stop = 0;

	(void)state;
	begin_threads();
	open_object(NULL, NULL, FILE_PAGES, &object, &file);
	space = unit_space(&unit);
	assert_int_equal(vas_mmap(space, at(0), FILE_PAGES * UNIT_PAGE, RW, SHARED_FIXED, file, 0),
	                 at(0));
	for (unsigned i = 0; i < MOVERS; i++) {
		spaces[i] = unit_space(&unit);
		movers[i] = (struct mover){.space = spaces[i],
		                           .page = i,
		                           .stop = &stop,
		                           .place = at(0),
		                           .random = {i + 9}};
		assert_int_equal(vas_mmap(spaces[i], at(0), FILE_PAGES * UNIT_PAGE, RW,
		                          i % 2 ? PRIVATE_FIXED : SHARED_FIXED, file, 0),
		                 at(0));
		pthread_create(&movers[i].thread, NULL, move_and_touch, &movers[i]);
	}
	for (unsigned i = 0; i < ROUNDS; i++)
		take_pages_away(object, space);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < MOVERS; i++) {
		pthread_join(movers[i].thread, NULL);
		assert_int_equal(movers[i].failed, 0);
	}
	assert_int_equal(vas_object_resize(object, UNIT_PAGE), 0);
	expect_gone(spaces, movers, 1);
	assert_holds(vas_audit(unit.system));
	for (unsigned i = 0; i < MOVERS; i++)
		vas_destroy(spaces[i]);
	vas_destroy(space);
	close_object(object, file);
	unit_end(&unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_its_mappings_are_visited),
		cmocka_unit_test(test_index_follows_every_call),
		cmocka_unit_test(test_write_back_while_mappings_move),
		cmocka_unit_test(test_truncation_while_mappings_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
