/* Objects and files: pages by index, growing and shrinking, callbacks that fail, writing back.
 *
 * SPDX-License-Identifier: MIT */
#include "unit.h"

#include "space/object.h"

#define PAGES 12

/* A file behind callbacks, and what it was asked. */
struct disk {
	uint8_t page[PAGES][4096];
	unsigned reads, writes, released;
	int64_t read_error, write_error; /* answered instead, if not 0 */
	uint64_t last_written;
};

static struct unit unit;
static struct disk disk;

static int64_t disk_read(void *ctx, uint64_t index, void *page)
{
	struct disk *d = ctx;

	assert_in_range(index, 0, PAGES - 1);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(((uint8_t *)page)[i], 0);
	d->reads++;
	if (d->read_error)
		return d->read_error;
	memcpy(page, d->page[index], 4096);
	return 0;
}

static int64_t disk_write(void *ctx, uint64_t index, const void *page)
{
	struct disk *d = ctx;

	d->writes++;
	if (d->write_error)
		return d->write_error;
	d->last_written = index;
	memcpy(d->page[index], page, 4096);
	return 0;
}

static void disk_release(void *ctx)
{
	((struct disk *)ctx)->released++;
}

static const struct vas_object_ops disk_ops = {
	.read_page = disk_read, .write_page = disk_write, .release = disk_release};

struct opened {
	struct vas *space;
	struct vas_object *object;
	struct vas_file *file;
};

static struct opened begin(const struct vas_object_ops *ops, uint64_t size)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE, .path = "/d"};
	struct opened opened;

	memset(&disk, 0, sizeof(disk));
	for (unsigned i = 0; i < PAGES; i++)
		memset(disk.page[i], (int)i + 1, 4096);
	unit_begin(&unit);
	opened.space = unit_space(&unit);
	assert_int_equal(vas_object_create(unit.system, ops, &disk, size, &opened.object), 0);
	assert_int_equal(vas_file_open(opened.object, &info, &opened.file), 0);
	return opened;
}

static void end(const struct opened *opened)
{
	vas_file_put(opened->file);
	vas_object_put(opened->object);
	unit_close(&unit, opened->space);
}

static void map(const struct opened *opened, uint64_t first, uint64_t flags, uint64_t offset)
{
	assert_call(opened->space,
	            vas_mmap(opened->space, at(first), PAGES * UNIT_PAGE, RW, flags | VAS_MAP_FIXED,
	                     opened->file, offset * UNIT_PAGE),
	            at(first));
}

static uint8_t load(struct vas *space, uint64_t addr)
{
	uint8_t byte = 0;

	assert_call(space, vas_read(space, &byte, addr, 1, NULL), 0);
	return byte;
}

static void store(struct vas *space, uint64_t addr, uint8_t byte)
{
	assert_call(space, vas_write(space, addr, &byte, 1, NULL), 0);
}

static void assert_bus(struct vas *space, uint64_t addr)
{
	struct vas_signal signal;
	uint8_t byte;

	assert_call(space, vas_read(space, &byte, addr, 1, &signal), -VAS_EFAULT);
	assert_int_equal(signal.signo, VAS_SIGBUS);
	assert_int_equal(signal.code, VAS_BUS_ADRERR);
	assert_int_equal(signal.addr, addr);
}

static void pages_at_any_index(void **state)
{
	const uint64_t indexes[] = {
		0, 1, 511, 512, 1000, 262143, 262144, (uint64_t)1 << 40, ((uint64_t)1 << 51) - 1};
	const uint64_t n = sizeof(indexes) / sizeof(indexes[0]);

	(void)state;
	for (uint64_t first = 0; first < n; first++) {
		struct opened opened = begin(NULL, (uint64_t)1 << 63);
		uint32_t frame, again;

		for (uint64_t k = 0; k < n; k++) {
			uint64_t index = indexes[(first + k) % n];

			assert_int_equal(object_find(opened.object, index), FRAME_NONE);
			assert_int_equal(object_page(opened.object, FRAME_NONE, index, &frame), 0);
			assert_int_equal(object_page(opened.object, FRAME_NONE, index, &again), 0);
			assert_int_equal(frame, again);
			assert_int_equal(object_find(opened.object, index), frame);
			assert_holds(object_check(opened.object));
		}
		for (uint64_t k = 0; k < n; k++) {
			object_drop(opened.object, indexes[k], indexes[k] + 1);
			assert_int_equal(object_find(opened.object, indexes[k]), FRAME_NONE);
			assert_holds(object_check(opened.object));
		}
		assert_int_equal(opened.object->ntables, 0);
		end(&opened);
	}
}

static void a_page_without_memory_leaves_nothing_behind(void **state)
{
	const uint64_t indexes[] = {0, 600, (uint64_t)1 << 30, 7};

	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct opened opened = begin(NULL, (uint64_t)1 << 63);
		uint64_t before = unit_free(&unit);
		int64_t err = -VAS_ENOMEM;
		uint32_t frame;

		for (int64_t n = 0; err; n++) {
			vas_system_fail_after(unit.system, n);
			err = object_page(opened.object, FRAME_NONE, indexes[k], &frame);
			vas_system_fail_after(unit.system, -1);
			assert_holds(object_check(opened.object));
			if (err) {
				assert_int_equal(err, -VAS_ENOMEM);
				assert_int_equal(unit_free(&unit), before);
			}
		}
		end(&opened);
	}
}

static void the_callbacks_fill_and_empty_pages(void **state)
{
	struct opened opened = begin(&disk_ops, PAGES * UNIT_PAGE);

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	map(&opened, 100, VAS_MAP_SHARED, 0);
	map(&opened, 200, VAS_MAP_PRIVATE, 0);
	assert_int_equal(load(opened.space, at(3)), 4);
	assert_int_equal(load(opened.space, at(103)), 4);
	assert_int_equal(load(opened.space, at(203)), 4);
	assert_int_equal(disk.reads, 1);
	store(opened.space, at(203), 77); /* private: nobody else's business */
	assert_int_equal(load(opened.space, at(3)), 4);
	assert_call(opened.space, vas_msync(opened.space, at(0), PAGES * UNIT_PAGE, VAS_MS_SYNC),
	            0);
	assert_call(opened.space, vas_msync(opened.space, at(200), PAGES * UNIT_PAGE, VAS_MS_SYNC),
	            0);
	assert_int_equal(disk.writes, 0);

	store(opened.space, at(3), 55);
	assert_int_equal(load(opened.space, at(103)), 55);
	assert_int_equal(load(opened.space, at(203)), 77);
	assert_call(opened.space, vas_msync(opened.space, at(103), UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(disk.writes, 1);
	assert_int_equal(disk.last_written, 3);
	assert_int_equal(disk.page[3][0], 55);
	end(&opened);
	assert_int_equal(disk.released, 1);
}

/* Clean pages are not written; a write after writing back is seen, through a cache as well. */
static void every_write_is_seen(void **state)
{
	struct opened opened = begin(&disk_ops, PAGES * UNIT_PAGE);
	static struct vas_tlb tlb;
	void *host;

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	vas_tlb_register(opened.space, &tlb);
	for (unsigned i = 1; i <= 3; i++) {
		assert_call(opened.space,
		            vas_translate(opened.space, &tlb, at(5), VAS_WRITE, &host, NULL), 0);
		*(uint8_t *)host = (uint8_t)(100 + i);
		assert_call(opened.space,
		            vas_msync(opened.space, at(0), UNIT_PAGE * 6, VAS_MS_SYNC), 0);
		assert_int_equal(disk.page[5][0], 100 + i);
		assert_call(opened.space,
		            vas_msync(opened.space, at(0), UNIT_PAGE * 6, VAS_MS_SYNC), 0);
		assert_int_equal(disk.writes, i);
	}
	end(&opened);
}

static void a_failing_callback_is_a_signal_or_an_errno(void **state)
{
	struct opened opened = begin(&disk_ops, PAGES * UNIT_PAGE);

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	disk.read_error = -VAS_EIO;
	assert_bus(opened.space, at(2));
	assert_call(opened.space,
	            vas_madvise(opened.space, at(2), UNIT_PAGE, VAS_MADV_POPULATE_READ),
	            -VAS_EFAULT);
	disk.read_error = 0;
	assert_int_equal(load(opened.space, at(2)), 3);

	store(opened.space, at(2), 9);
	store(opened.space, at(4), 9);
	disk.write_error = -VAS_EIO;
	assert_call(opened.space, vas_msync(opened.space, at(0), PAGES * UNIT_PAGE, VAS_MS_SYNC),
	            -VAS_EIO);
	disk.write_error = 0; /* the page is dirty still */
	assert_call(opened.space, vas_msync(opened.space, at(0), PAGES * UNIT_PAGE, VAS_MS_SYNC),
	            0);
	assert_int_equal(disk.page[2][0], 9);
	assert_int_equal(disk.page[4][0], 9);
	end(&opened);
}

static void shrinking_unmaps_frees_and_clears_the_tail(void **state)
{
	struct opened opened = begin(NULL, PAGES * UNIT_PAGE);
	struct vas *child;
	uint64_t before;

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	map(&opened, 100, VAS_MAP_PRIVATE, 0);
	for (unsigned i = 0; i < PAGES; i++) {
		store(opened.space, at(i), 5);
		store(opened.space, at(100 + i) + 4000, 6);
	}
	store(opened.space, at(3) + 200, 5);
	assert_call(opened.space, vas_fork(opened.space, &child), 0);
	before = unit_free(&unit);
	assert_int_equal(vas_object_resize(opened.object, 3 * UNIT_PAGE + 100), 0);
	assert_holds(vas_check(opened.space));
	assert_holds(vas_check(child));
	assert_holds(vas_audit(unit.system));
	assert_true(unit_free(&unit) >= before + PAGES - 4);
	assert_int_equal(load(opened.space, at(3)), 5);
	assert_int_equal(load(opened.space, at(3) + 200), 0);
	for (unsigned i = 4; i < PAGES; i++) {
		assert_bus(opened.space, at(i));
		assert_bus(opened.space, at(100 + i)); /* private copies too */
		assert_bus(child, at(100 + i));
	}
	assert_int_equal(vas_object_resize(opened.object, PAGES * UNIT_PAGE), 0);
	assert_int_equal(load(opened.space, at(5)), 0);
	vas_destroy(child);
	end(&opened);
}

static void punching_keeps_private_copies(void **state)
{
	const struct vas_file_info shmem = {.mode = VAS_FILE_READ | VAS_FILE_WRITE |
	                                            VAS_FILE_SHMEM};
	struct opened opened = begin(NULL, PAGES * UNIT_PAGE);

	(void)state;
	vas_file_put(opened.file);
	assert_int_equal(vas_file_open(opened.object, &shmem, &opened.file), 0);
	map(&opened, 0, VAS_MAP_SHARED, 0);
	map(&opened, 100, VAS_MAP_PRIVATE, 0);
	for (unsigned i = 0; i < PAGES; i++) {
		store(opened.space, at(i), 5);
		if (i % 2)
			store(opened.space, at(100 + i), 6);
		else
			assert_int_equal(load(opened.space, at(100 + i)), 5);
	}
	assert_call(opened.space, vas_madvise(opened.space, at(2), 4 * UNIT_PAGE, VAS_MADV_REMOVE),
	            0);
	for (unsigned i = 0; i < PAGES; i++) {
		bool punched = i >= 2 && i < 6;

		assert_int_equal(load(opened.space, at(i)), punched ? 0 : 5);
		assert_int_equal(load(opened.space, at(100 + i)), i % 2 ? 6 : punched ? 0 : 5);
	}
	assert_holds(vas_audit(unit.system));
	end(&opened);
}

static void past_the_end_is_a_bus_error(void **state)
{
	struct opened opened = begin(&disk_ops, 2 * UNIT_PAGE + 1);

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	map(&opened, 100, VAS_MAP_PRIVATE, 1);
	assert_int_equal(load(opened.space, at(2) + 4095), 3); /* the rest of the last page */
	assert_bus(opened.space, at(3));
	assert_int_equal(load(opened.space, at(101)), 3);
	assert_bus(opened.space, at(102) + 17);
	end(&opened);
}

/* Who lets go last does not matter. */
static void mappings_hold_the_file(void **state)
{
	struct opened opened = begin(&disk_ops, PAGES * UNIT_PAGE);

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	vas_file_put(opened.file);
	vas_object_put(opened.object);
	assert_int_equal(load(opened.space, at(1)), 2);
	assert_int_equal(disk.released, 0);
	assert_call(opened.space, vas_munmap(opened.space, at(0), UNIT_PAGE), 0);
	assert_int_equal(disk.released, 0);
	assert_call(opened.space, vas_munmap(opened.space, at(0), PAGES * UNIT_PAGE), 0);
	assert_int_equal(disk.released, 1);
	unit_close(&unit, opened.space);
}

/* What was written is not lost because nobody asked for it to be written back. */
static void the_last_mapping_writes_back(void **state)
{
	struct opened opened = begin(&disk_ops, PAGES * UNIT_PAGE);

	(void)state;
	map(&opened, 0, VAS_MAP_SHARED, 0);
	store(opened.space, at(1), 99);
	assert_call(opened.space, vas_munmap(opened.space, at(0), PAGES * UNIT_PAGE), 0);
	end(&opened);
	assert_int_equal(disk.released, 1);
	assert_int_equal(disk.page[1][0], 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_at_any_index),
		cmocka_unit_test(a_page_without_memory_leaves_nothing_behind),
		cmocka_unit_test(the_callbacks_fill_and_empty_pages),
		cmocka_unit_test(every_write_is_seen),
		cmocka_unit_test(a_failing_callback_is_a_signal_or_an_errno),
		cmocka_unit_test(shrinking_unmaps_frees_and_clears_the_tail),
		cmocka_unit_test(punching_keeps_private_copies),
		cmocka_unit_test(past_the_end_is_a_bus_error),
		cmocka_unit_test(mappings_hold_the_file),
		cmocka_unit_test(the_last_mapping_writes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
