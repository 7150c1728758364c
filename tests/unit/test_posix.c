/* Files of the host behind mappings: what is read, what is written back and when, and what happens
 * where the file ends or a callback fails.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "both.h"
#include "vas/posix.h"

#define SHARED_FIXED (VAS_MAP_SHARED | VAS_MAP_FIXED)
#define PRIVATE_FIXED (VAS_MAP_PRIVATE | VAS_MAP_FIXED)

/* ---- A file of the host ---------------------------------------------------------------------- */

struct scratch {
	int fd;
	char path[64];
};

/* `size` bytes; each byte tells its page and place. */
static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset / UNIT_PAGE * 31 + offset % 251 + 1);
}

static void scratch_make(struct scratch *scratch, uint64_t size)
{
	uint8_t *bytes = malloc(size + 1);

	snprintf(scratch->path, sizeof(scratch->path), "/tmp/vas-posix-XXXXXX");
	scratch->fd = mkstemp(scratch->path);
	assert_true(scratch->fd >= 0);
	for (uint64_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	assert_int_equal(write(scratch->fd, bytes, size), size);
	free(bytes);
}

static void scratch_drop(struct scratch *scratch)
{
	close(scratch->fd);
	unlink(scratch->path);
}

static uint8_t on_disk(const struct scratch *scratch, uint64_t offset)
{
	uint8_t byte = 0;

	assert_int_equal(pread(scratch->fd, &byte, 1, (off_t)offset), 1);
	return byte;
}

static uint64_t size_on_disk(const struct scratch *scratch)
{
	struct stat st;

	assert_int_equal(fstat(scratch->fd, &st), 0);
	return (uint64_t)st.st_size;
}

/* ---- A space with the file mapped ------------------------------------------------------------ */

struct world {
	struct unit unit;
	struct scratch scratch;
	struct vas_object *object;
	struct vas_file *file;
	struct vas *space;
};

static void world_begin(struct world *world, uint64_t size)
{
	unit_begin(&world->unit);
	scratch_make(&world->scratch, size);
	assert_int_equal(vas_posix_object(world->unit.system, world->scratch.fd, &world->object),
	                 0);
	assert_int_equal(vas_posix_file(world->object, world->scratch.fd, &world->file), 0);
	world->space = unit_space(&world->unit);
}

/* What is still dirty reaches the file here. */
static void world_let_go(struct world *world)
{
	vas_file_put(world->file);
	vas_object_put(world->object);
	unit_close(&world->unit, world->space);
}

static void map(struct vas *space, struct vas_file *file, uint64_t page, uint64_t npages,
                uint64_t flags)
{
	assert_call(space, vas_mmap(space, at(page), npages * UNIT_PAGE, RW, flags, file, 0),
	            at(page));
}

static uint8_t load(struct vas *space, uint64_t addr)
{
	uint8_t byte = 0;

	assert_int_equal(vas_read(space, &byte, addr, 1, NULL), 0);
	return byte;
}

static void store(struct vas *space, uint64_t addr, uint8_t byte)
{
	assert_int_equal(vas_write(space, addr, &byte, 1, NULL), 0);
}

static void assert_sigbus(struct vas *space, uint64_t addr)
{
	struct vas_signal signal;
	uint8_t byte;

	assert_int_equal(vas_read(space, &byte, addr, 1, &signal), -VAS_EFAULT);
	assert_int_equal(signal.signo, VAS_SIGBUS);
	assert_int_equal(signal.code, VAS_BUS_ADRERR);
	assert_int_equal(signal.addr, addr);
}

/* ---- Reading and writing --------------------------------------------------------------------- */

static void private_writes_stay_private(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, 4 * UNIT_PAGE);
	map(w.space, w.file, 0, 4, PRIVATE_FIXED);
	map(w.space, w.file, 10, 4, SHARED_FIXED);
	for (uint64_t i = 0; i < 4 * UNIT_PAGE; i += 97)
		assert_int_equal(load(w.space, at(0) + i), pattern(i));
	store(w.space, at(1) + 5, 0xaa);
	assert_int_equal(load(w.space, at(1) + 5), 0xaa);
	assert_int_equal(load(w.space, at(11) + 5), pattern(UNIT_PAGE + 5));
	assert_call(w.space, vas_msync(w.space, at(0), 4 * UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(vas_object_sync(w.object), 0);
	world_let_go(&w);
	assert_int_equal(on_disk(&w.scratch, UNIT_PAGE + 5), pattern(UNIT_PAGE + 5));
	scratch_drop(&w.scratch);
}

static void shared_writes_reach_the_file(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, 4 * UNIT_PAGE);
	map(w.space, w.file, 0, 4, SHARED_FIXED);
	store(w.space, at(0) + 7, 1);
	store(w.space, at(1) + 7, 2);
	store(w.space, at(3) + 7, 4);
	assert_int_equal(on_disk(&w.scratch, 7), pattern(7));
	/* by msync, what it names */
	assert_call(w.space, vas_msync(w.space, at(0), UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(on_disk(&w.scratch, 7), 1);
	assert_int_equal(on_disk(&w.scratch, UNIT_PAGE + 7), pattern(UNIT_PAGE + 7));
	/* by vas_object_sync, all */
	assert_int_equal(vas_object_sync(w.object), 0);
	assert_int_equal(on_disk(&w.scratch, UNIT_PAGE + 7), 2);
	assert_int_equal(on_disk(&w.scratch, 3 * UNIT_PAGE + 7), 4);
	/* written again after it was clean, and unmapped: when the object goes */
	store(w.space, at(0) + 7, 9);
	assert_call(w.space, vas_munmap(w.space, at(0), 4 * UNIT_PAGE), 0);
	assert_int_equal(on_disk(&w.scratch, 7), 1);
	world_let_go(&w);
	assert_int_equal(on_disk(&w.scratch, 7), 9);
	assert_int_equal(size_on_disk(&w.scratch), 4 * UNIT_PAGE);
	scratch_drop(&w.scratch);
}

/* Handles gone, the last mapping's end is the object's. */
static void unmapping_writes_back(void **state)
{
	struct world w;

	(void)state;
	for (unsigned how = 0; how < 3; how++) {
		world_begin(&w, 4 * UNIT_PAGE);
		map(w.space, w.file, 0, 4, SHARED_FIXED);
		vas_file_put(w.file);
		vas_object_put(w.object);
		store(w.space, at(2), 0x77);
		if (how == 0) {
			assert_call(w.space, vas_munmap(w.space, at(0), 4 * UNIT_PAGE), 0);
		} else if (how == 1) {
			map(w.space, NULL, 0, 4, ANON_FIXED);
		} else {
			assert_call(w.space,
			            vas_mremap(w.space, at(0), 4 * UNIT_PAGE, 4 * UNIT_PAGE,
			                       VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, at(20)),
			            at(20));
			assert_int_equal(on_disk(&w.scratch, 2 * UNIT_PAGE),
			                 pattern(2 * UNIT_PAGE));
		}
		unit_close(&w.unit, w.space);
		assert_int_equal(on_disk(&w.scratch, 2 * UNIT_PAGE), 0x77);
		scratch_drop(&w.scratch);
	}
}

static void two_spaces_share_a_file(void **state)
{
	struct vas *other, *child;
	struct vas_file *again;
	struct world w;

	(void)state;
	world_begin(&w, 4 * UNIT_PAGE);
	other = unit_space(&w.unit);
	assert_int_equal(vas_posix_file(w.object, w.scratch.fd, &again), 0);
	map(w.space, w.file, 0, 4, SHARED_FIXED);
	map(other, again, 50, 4, SHARED_FIXED);
	store(w.space, at(1), 0x11);
	assert_int_equal(load(other, at(51)), 0x11);
	store(other, at(52), 0x22);
	assert_int_equal(load(w.space, at(2)), 0x22);
	/* synced by one, then written by the other: dirty again */
	assert_call(w.space, vas_msync(w.space, at(0), 4 * UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(on_disk(&w.scratch, 2 * UNIT_PAGE), 0x22);
	store(other, at(52), 0x33);
	assert_call(w.space, vas_msync(w.space, at(0), 4 * UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(on_disk(&w.scratch, 2 * UNIT_PAGE), 0x33);
	/* and a child of one */
	assert_int_equal(vas_fork(other, &child), 0);
	store(child, at(53), 0x44);
	assert_int_equal(load(w.space, at(3)), 0x44);
	vas_destroy(other);
	vas_destroy(child);
	vas_file_put(again);
	world_let_go(&w);
	assert_int_equal(on_disk(&w.scratch, 3 * UNIT_PAGE), 0x44);
	scratch_drop(&w.scratch);
}

/* ---- The end of the file --------------------------------------------------------------------- */

static void the_last_page_ends_in_zeros(void **state)
{
	const uint64_t size = 2 * UNIT_PAGE + 100;
	struct world w;

	(void)state;
	world_begin(&w, size);
	map(w.space, w.file, 0, 5, SHARED_FIXED);
	assert_int_equal(load(w.space, at(2) + 99), pattern(size - 1));
	for (uint64_t i = 100; i < UNIT_PAGE; i++)
		assert_int_equal(load(w.space, at(2) + i), 0);
	assert_sigbus(w.space, at(3));
	assert_sigbus(w.space, at(4) + 8);
	/* What is written there is no part of the file. */
	store(w.space, at(2) + 200, 0x55);
	store(w.space, at(2) + 50, 0x66);
	assert_call(w.space, vas_msync(w.space, at(0), 5 * UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(size_on_disk(&w.scratch), size);
	assert_int_equal(on_disk(&w.scratch, 2 * UNIT_PAGE + 50), 0x66);
	world_let_go(&w);
	assert_int_equal(size_on_disk(&w.scratch), size);
	scratch_drop(&w.scratch);
}

static void the_file_grows_and_shrinks(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, 2 * UNIT_PAGE + 100);
	map(w.space, w.file, 0, 8, SHARED_FIXED);
	store(w.space, at(2) + 200, 0x55);
	assert_sigbus(w.space, at(3));
	/* It grows: what had been written behind its end does not come to light. */
	assert_int_equal(ftruncate(w.scratch.fd, 5 * UNIT_PAGE), 0);
	assert_int_equal(vas_posix_follow(w.object), 0);
	assert_int_equal(load(w.space, at(2) + 200), 0);
	assert_int_equal(load(w.space, at(4)), 0);
	assert_sigbus(w.space, at(5));
	store(w.space, at(1) + 300, 0x12);
	store(w.space, at(4), 0x34);
	/* It shrinks: dirty pages behind the end go, the rest of the last one is zeros. */
	assert_int_equal(ftruncate(w.scratch.fd, UNIT_PAGE + 200), 0);
	assert_int_equal(vas_posix_follow(w.object), 0);
	assert_sigbus(w.space, at(2));
	assert_sigbus(w.space, at(4));
	assert_int_equal(load(w.space, at(1) + 199), pattern(UNIT_PAGE + 199));
	assert_int_equal(load(w.space, at(1) + 300), 0);
	assert_int_equal(ftruncate(w.scratch.fd, 5 * UNIT_PAGE), 0);
	assert_int_equal(vas_posix_follow(w.object), 0);
	assert_int_equal(load(w.space, at(4)), 0);
	world_let_go(&w);
	assert_int_equal(on_disk(&w.scratch, 4 * UNIT_PAGE), 0);
	assert_int_equal(on_disk(&w.scratch, UNIT_PAGE + 300), 0);
	scratch_drop(&w.scratch);
}

/* The file has become shorter, and nobody said so: no bytes, but no harm. */
static void a_file_cut_behind_our_back(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, 4 * UNIT_PAGE);
	map(w.space, w.file, 0, 4, SHARED_FIXED);
	store(w.space, at(3), 1);
	assert_int_equal(ftruncate(w.scratch.fd, UNIT_PAGE), 0);
	assert_int_equal(load(w.space, at(2)), 0);
	assert_int_equal(vas_object_sync(w.object), 0);
	assert_int_equal(size_on_disk(&w.scratch), UNIT_PAGE);
	world_let_go(&w);
	assert_int_equal(size_on_disk(&w.scratch), UNIT_PAGE);
	scratch_drop(&w.scratch);
}

/* ---- As the kernel does ---------------------------------------------------------------------- */

#define TWIN_PAGES 8u

/* The same at random on two files: one mapped by the kernel, one by vas. */
static void twin_step(struct world *w, const struct scratch *twin, uint8_t *native,
                      struct random *random, uint64_t *size)
{
	uint64_t offset = random_below(random, TWIN_PAGES * UNIT_PAGE);
	uint8_t byte = (uint8_t)random_next(random);

	switch (random_below(random, 10)) {
	case 0:
		*size = random_below(random, TWIN_PAGES * UNIT_PAGE) + 1;
		assert_int_equal(ftruncate(twin->fd, (off_t)*size), 0);
		assert_int_equal(ftruncate(w->scratch.fd, (off_t)*size), 0);
		assert_int_equal(vas_posix_follow(w->object), 0);
		return;
	case 1:
		offset = offset / UNIT_PAGE * UNIT_PAGE;
		assert_int_equal(msync(native + offset, UNIT_PAGE, MS_SYNC), 0);
		assert_call(w->space, vas_msync(w->space, at(0) + offset, UNIT_PAGE, VAS_MS_SYNC),
		            0);
		return;
	}
	offset %= *size; /* behind the end the kernel's own answers depend on when it writes */
	if (random_below(random, 3) == 0) {
		store(w->space, at(20) + offset, byte);
		native[TWIN_PAGES * UNIT_PAGE + offset] = byte;
	} else if (random_below(random, 2) == 0) {
		store(w->space, at(0) + offset, byte);
		native[offset] = byte;
	}
	for (unsigned which = 0; which < 2; which++)
		assert_int_equal(load(w->space, at(20 * which) + offset),
		                 native[which * TWIN_PAGES * UNIT_PAGE + offset]);
}

static void assert_same_files(const struct scratch *a, const struct scratch *b)
{
	assert_int_equal(size_on_disk(a), size_on_disk(b));
	for (uint64_t i = 0; i < size_on_disk(a); i++) {
		if (on_disk(a, i) != on_disk(b, i))
			fail_msg("byte %llu: %#x, not %#x", (unsigned long long)i, on_disk(b, i),
			         on_disk(a, i));
	}
}

static void random_steps_leave_the_same_file(void **state)
{
	struct random random = {.state = 77};

	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		uint64_t size = TWIN_PAGES * UNIT_PAGE - random_below(&random, 9000);
		struct scratch twin;
		struct world w;
		uint8_t *native;

		world_begin(&w, size);
		scratch_make(&twin, size);
		native = mmap(NULL, 2 * TWIN_PAGES * UNIT_PAGE, PROT_NONE,
		              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(native != MAP_FAILED);
		mmap(native, TWIN_PAGES * UNIT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     twin.fd, 0);
		mmap(native + TWIN_PAGES * UNIT_PAGE, TWIN_PAGES * UNIT_PAGE,
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, twin.fd, 0);
		map(w.space, w.file, 0, TWIN_PAGES, SHARED_FIXED);
		map(w.space, w.file, 20, TWIN_PAGES, PRIVATE_FIXED);
		for (unsigned step = 0; step < 400; step++)
			twin_step(&w, &twin, native, &random, &size);
		munmap(native, 2 * TWIN_PAGES * UNIT_PAGE);
		world_let_go(&w);
		assert_same_files(&twin, &w.scratch);
		scratch_drop(&twin);
		scratch_drop(&w.scratch);
	}
}

static void maps_shows_it_as_the_kernel(void **state)
{
	char ours[1024] = "", native[1 << 16], line[64], *text;
	struct both_sink sink = {.text = ours, .size = sizeof(ours)};
	struct world w;
	void *addr;

	(void)state;
	world_begin(&w, 4 * UNIT_PAGE);
	addr = mmap((void *)at(0), 3 * UNIT_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, w.scratch.fd,
	            UNIT_PAGE);
	assert_true(addr == (void *)at(0));
	both_slurp("/proc/self/maps", native, sizeof(native));
	munmap(addr, 3 * UNIT_PAGE);
	assert_call(w.space,
	            vas_mmap(w.space, at(0), 3 * UNIT_PAGE, VAS_PROT_READ, SHARED_FIXED, w.file,
	                     UNIT_PAGE),
	            at(0));
	vas_maps(w.space, both_sink, &sink);
	text = vas_posix_text(w.space, vas_maps);
	assert_string_equal(text, ours);
	free(text);
	snprintf(line, sizeof(line), "%08llx-", (unsigned long long)at(0));
	assert_non_null(strstr(native, line));
	assert_memory_equal(strstr(native, line), ours, strlen(ours));
	world_let_go(&w);
	scratch_drop(&w.scratch);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void only_regular_files_that_can_be_read(void **state)
{
	struct vas_object *object;
	struct vas_file *file;
	struct scratch other;
	struct world w;
	int fds[2], fd;

	(void)state;
	world_begin(&w, UNIT_PAGE);
	scratch_make(&other, UNIT_PAGE);
	assert_int_equal(vas_posix_object(w.unit.system, -1, &object), -VAS_EBADF);
	assert_int_equal(vas_posix_file(w.object, -1, &file), -VAS_EBADF);
	assert_int_equal(vas_posix_file(w.object, other.fd, &file), -VAS_EINVAL);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(vas_posix_object(w.unit.system, fds[0], &object), -VAS_ENODEV);
	fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(vas_posix_open(w.unit.system, fd, &file), -VAS_ENODEV);
	close(fd);
	fd = open(other.path, O_WRONLY);
	assert_int_equal(vas_posix_object(w.unit.system, fd, &object), -VAS_EACCES);
	close(fd);
	close(fds[0]);
	close(fds[1]);
	/* No memory: no descriptor stays open; the lowest that is free is the same as before. */
	fd = open(other.path, O_RDONLY);
	close(fd);
	vas_system_fail_after(w.unit.system, 0);
	assert_int_equal(vas_posix_open(w.unit.system, other.fd, &file), -VAS_ENOMEM);
	vas_system_fail_after(w.unit.system, -1);
	fds[0] = open(other.path, O_RDONLY);
	assert_int_equal(fds[0], fd);
	close(fds[0]);
	scratch_drop(&other);
	world_let_go(&w);
	scratch_drop(&w.scratch);
}

/* Opened for reading first, for writing later: pages then find their way. */
static void access_follows_the_descriptor(void **state)
{
	struct vas_file *reader, *writer;
	struct vas_object *object;
	struct scratch scratch;
	struct vas *space;
	struct unit unit;
	int fd;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	scratch_make(&scratch, 2 * UNIT_PAGE);
	fd = open(scratch.path, O_RDONLY);
	assert_int_equal(vas_posix_object(unit.system, fd, &object), 0);
	assert_int_equal(vas_posix_file(object, fd, &reader), 0);
	close(fd);
	assert_call(space, vas_mmap(space, at(0), UNIT_PAGE, RW, SHARED_FIXED, reader, 0),
	            -VAS_EACCES);
	map(space, reader, 0, 1, PRIVATE_FIXED);
	assert_int_equal(vas_posix_file(object, scratch.fd, &writer), 0);
	map(space, writer, 10, 2, SHARED_FIXED);
	store(space, at(11), 0x42);
	assert_call(space, vas_msync(space, at(10), 2 * UNIT_PAGE, VAS_MS_SYNC), 0);
	assert_int_equal(on_disk(&scratch, UNIT_PAGE), 0x42);
	vas_file_put(reader);
	vas_file_put(writer);
	vas_object_put(object);
	unit_close(&unit, space);
	scratch_drop(&scratch);
}

static void invalidating_keeps_what_was_written(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, 4 * UNIT_PAGE);
	map(w.space, w.file, 0, 4, SHARED_FIXED);
	store(w.space, at(0), 0x42);
	assert_call(w.space, vas_msync(w.space, at(0), 4 * UNIT_PAGE, VAS_MS_INVALIDATE), 0);
	assert_int_equal(load(w.space, at(0)), 0x42);
	assert_call(w.space, vas_mlock(w.space, at(1), UNIT_PAGE), 0);
	assert_call(w.space,
	            vas_msync(w.space, at(0), 4 * UNIT_PAGE, VAS_MS_INVALIDATE | VAS_MS_SYNC),
	            -VAS_EBUSY);
	assert_int_equal(on_disk(&w.scratch, 0), 0x42); /* what lies before it was done */
	world_let_go(&w);
	scratch_drop(&w.scratch);
}

/* ---- Callbacks that fail --------------------------------------------------------------------- */

struct failing {
	int64_t read, write; /* what they answer; 0: they work */
	uint64_t only;       /* the page whose writing fails */
	unsigned writes, losses, releases;
	uint64_t lost_index;
	uint8_t lost_byte;
	int64_t lost_err;
};

static int64_t failing_read(void *ctx, uint64_t index, void *page)
{
	const struct failing *failing = ctx;

	memset(page, (int)index + 1, UNIT_PAGE);
	return failing->read;
}

static int64_t failing_write(void *ctx, uint64_t index, const void *page)
{
	struct failing *failing = ctx;

	(void)page;
	failing->writes++;
	return index == failing->only ? failing->write : 0;
}

static void failing_lose(void *ctx, uint64_t index, const void *page, int64_t err)
{
	struct failing *failing = ctx;

	assert_int_equal(failing->releases, 0);
	failing->losses++;
	failing->lost_index = index;
	failing->lost_byte = *(const uint8_t *)page;
	failing->lost_err = err;
}

static void failing_release(void *ctx)
{
	((struct failing *)ctx)->releases++;
}

static void failing_callbacks_lose_nothing_unsaid(void **state)
{
	static const struct vas_object_ops ops = {failing_read, failing_write, failing_release,
	                                          failing_lose};
	struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	struct failing failing = {.read = -5, .only = 1};
	struct vas_object *object;
	struct vas_file *file;
	struct vas *space;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	assert_int_equal(vas_object_create(unit.system, &ops, &failing, 4 * UNIT_PAGE, &object), 0);
	assert_int_equal(vas_file_open(object, &info, &file), 0);
	map(space, file, 0, 4, SHARED_FIXED);
	assert_sigbus(space, at(0));
	assert_call(space, vas_madvise(space, at(0), UNIT_PAGE, VAS_MADV_POPULATE_READ),
	            -VAS_EFAULT);
	failing.read = 0;
	for (unsigned page = 0; page < 3; page++)
		store(space, at(page), (uint8_t)(0x10 + page));
	/* One page fails: the others are written, it stays dirty. */
	failing.write = -28;
	assert_call(space, vas_msync(space, at(0), 4 * UNIT_PAGE, VAS_MS_SYNC), -28);
	assert_int_equal(failing.writes, 3);
	assert_int_equal(vas_object_sync(object), -28);
	assert_int_equal(failing.writes, 4);
	failing.write = 0;
	assert_int_equal(vas_object_sync(object), 0);
	assert_int_equal(failing.writes, 5);
	assert_int_equal(vas_object_sync(object), 0);
	assert_int_equal(failing.writes, 5);
	/* Fails to the last. */
	store(space, at(1), 0x99);
	failing.write = -VAS_EIO;
	vas_file_put(file);
	vas_object_put(object);
	assert_int_equal(failing.releases, 0);
	unit_close(&unit, space);
	assert_int_equal(failing.losses, 1);
	assert_int_equal(failing.lost_index, 1);
	assert_int_equal(failing.lost_byte, 0x99);
	assert_int_equal(failing.lost_err, -VAS_EIO);
	assert_int_equal(failing.releases, 1);
}

struct loss {
	unsigned n;
	uint64_t offset;
	int64_t err;
};

static void note_loss(void *ctx, uint64_t offset, const void *bytes, size_t len, int64_t err)
{
	struct loss *loss = ctx;

	(void)bytes;
	assert_int_equal(len, UNIT_PAGE);
	loss->n++;
	loss->offset = offset;
	loss->err = err;
}

/* A file that refuses to be written: sealed between mapping and writing back. */
static void a_lost_page_is_told(void **state)
{
	struct vas_object *object;
	struct vas_file *file;
	struct loss loss = {0};
	struct vas *space;
	struct unit unit;
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 2 * UNIT_PAGE), 0);
	unit_begin(&unit);
	space = unit_space(&unit);
	assert_int_equal(vas_posix_object(unit.system, fd, &object), 0);
	assert_int_equal(vas_posix_file(object, fd, &file), 0);
	vas_posix_on_loss(object, note_loss, &loss);
	map(space, file, 0, 2, SHARED_FIXED);
	store(space, at(1), 1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_call(space, vas_msync(space, at(0), 2 * UNIT_PAGE, VAS_MS_SYNC), -VAS_EPERM);
	vas_file_put(file);
	vas_object_put(object);
	unit_close(&unit, space);
	assert_int_equal(loss.n, 1);
	assert_int_equal(loss.offset, UNIT_PAGE);
	assert_int_equal(loss.err, -VAS_EPERM);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_writes_stay_private),
		cmocka_unit_test(shared_writes_reach_the_file),
		cmocka_unit_test(unmapping_writes_back),
		cmocka_unit_test(two_spaces_share_a_file),
		cmocka_unit_test(the_last_page_ends_in_zeros),
		cmocka_unit_test(the_file_grows_and_shrinks),
		cmocka_unit_test(a_file_cut_behind_our_back),
		cmocka_unit_test(random_steps_leave_the_same_file),
		cmocka_unit_test(maps_shows_it_as_the_kernel),
		cmocka_unit_test(only_regular_files_that_can_be_read),
		cmocka_unit_test(access_follows_the_descriptor),
		cmocka_unit_test(invalidating_keeps_what_was_written),
		cmocka_unit_test(failing_callbacks_lose_nothing_unsaid),
		cmocka_unit_test(a_lost_page_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
