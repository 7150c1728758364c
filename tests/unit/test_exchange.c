/* Strings, compare-and-exchange, and that no guest address, length or alignment whatever reaches a
 * byte that the space may not see.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>

#include "unit.h"

#include "space/space.h"

static void map(struct vas *space, uint64_t first, uint64_t npages, uint64_t prot)
{
	assert_call(space,
	            vas_mmap(space, at(first), npages * UNIT_PAGE, prot, ANON_FIXED, NULL, 0),
	            at(first));
}

static void store(struct vas *space, uint64_t addr, const char *bytes, uint64_t len)
{
	assert_int_equal(vas_write(space, addr, bytes, len, NULL), 0);
}

static void assert_signal(const struct vas_signal *signal, int32_t signo, int32_t code,
                          uint64_t addr)
{
	assert_int_equal(signal->signo, signo);
	assert_int_equal(signal->code, code);
	assert_int_equal(signal->addr, addr);
}

/* ---- Strings --------------------------------------------------------------------------------- */

static void strings_end_at_nul_or_limit(void **state)
{
	struct vas_signal signal;
	struct unit unit;
	struct vas *space;
	char to[32];

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 2, RW);
	store(space, at(1) - 3, "abcdef", 7); /* over the border of a page */
	memset(to, '#', sizeof(to));
	assert_int_equal(vas_read_string(space, to, at(1) - 3, sizeof(to), &signal), 6);
	assert_memory_equal(to, "abcdef\0#", 8);
	assert_int_equal(signal.signo, 0);
	memset(to, '#', sizeof(to));
	assert_int_equal(vas_read_string(space, to, at(1) - 3, 7, NULL), 6);
	assert_memory_equal(to, "abcdef\0#", 8);
	/* no room for the NUL */
	memset(to, '#', sizeof(to));
	assert_int_equal(vas_read_string(space, to, at(1) - 3, 6, NULL), 6);
	assert_memory_equal(to, "abcdef##", 8);
	assert_int_equal(vas_read_string(space, to, at(1) - 3, 2, NULL), 2);
	/* the empty string, and nothing at all, not even the address */
	assert_int_equal(vas_read_string(space, to, at(0), 5, NULL), 0);
	assert_int_equal(vas_read_string(space, NULL, ~(uint64_t)0, 0, NULL), 0);
	unit_close(&unit, space);
}

static void strings_stop_where_memory_ends(void **state)
{
	struct vas_signal signal;
	struct unit unit;
	struct vas *space;
	char to[32];

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 1, RW);
	store(space, at(1) - 4, "abcd", 4);
	memset(to, '#', sizeof(to));
	assert_int_equal(vas_read_string(space, to, at(1) - 4, sizeof(to), &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, at(1));
	assert_memory_equal(to, "abcd#", 5);
	/* a NUL before the end is enough, and so is a limit */
	store(space, at(1) - 1, "", 1);
	assert_int_equal(vas_read_string(space, to, at(1) - 4, sizeof(to), &signal), 3);
	assert_int_equal(vas_read_string(space, to, at(1) - 4, 3, &signal), 3);
	unit_close(&unit, space);
}

/* ---- Compare and exchange -------------------------------------------------------------------- */

static void each_size_exchanges_its_bytes_only(void **state)
{
	struct unit unit;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 1, RW);
	for (unsigned len = 1; len <= 8; len *= 2) {
		uint64_t mask = len == 8 ? ~(uint64_t)0 : ((uint64_t)1 << len * 8) - 1;
		uint8_t bytes[24];
		uint64_t was = 0x1111111111111111, number = 0;

		memset(bytes, 0x22, sizeof(bytes));
		store(space, at(0), (char *)bytes, sizeof(bytes));
		/* another number: told, and nothing changes */
		assert_int_equal(vas_compare_exchange(space, at(0) + 8, len, &was, 7, NULL), 0);
		assert_true(was == (0x2222222222222222 & mask));
		assert_int_equal(vas_read(space, &number, at(0) + 8, 8, NULL), 0);
		assert_true(number == 0x2222222222222222);
		/* this one */
		assert_int_equal(
			vas_compare_exchange(space, at(0) + 8, len, &was, 0x8877665544332211, NULL),
			1);
		assert_int_equal(vas_read(space, bytes, at(0), sizeof(bytes), NULL), 0);
		memcpy(&number, bytes + 8, len);
		assert_true(number == ((0x8877665544332211 & mask) | (0x2222222222222222 & ~mask)));
		for (unsigned i = 0; i < sizeof(bytes); i++)
			assert_true((i >= 8 && i < 8 + len) || bytes[i] == 0x22);
	}
	unit_close(&unit, space);
}

/* Parts of a word: at each place in it, the rest stays. */
static void bytes_and_halves_at_each_place_of_a_word(void **state)
{
	struct unit unit;
	struct vas *space;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 1, RW);
	for (unsigned len = 1; len <= 2; len++) {
		for (unsigned off = 0; off < 8; off += len) {
			uint8_t bytes[8] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7}, now[8];
			uint64_t was = ~(uint64_t)0;

			store(space, at(0), (char *)bytes, 8);
			assert_int_equal(
				vas_compare_exchange(space, at(0) + off, len, &was, 0, NULL), 0);
			assert_memory_equal(&was, bytes + off, len);
			assert_true(was >> len * 8 == 0);
			was |= (uint64_t)0xabcd << 48; /* which does not count */
			assert_int_equal(vas_compare_exchange(space, at(0) + off, len, &was,
			                                      0x1122334455667788, NULL),
			                 1);
			memcpy(bytes + off, len == 1 ? "\x88" : "\x88\x77", len);
			assert_int_equal(vas_read(space, now, at(0), 8, NULL), 0);
			assert_memory_equal(now, bytes, 8);
		}
	}
	unit_close(&unit, space);
}

static void sizes_and_places_that_do_not_fit(void **state)
{
	static const unsigned sizes[] = {0, 3, 5, 6, 7, 9, 16, 64, 1u << 31, ~0u};
	struct vas_signal signal;
	struct unit unit;
	struct vas *space;
	uint64_t was = 0;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 2, RW);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(vas_compare_exchange(space, at(0), sizes[i], &was, 1, &signal),
		                 -VAS_EINVAL);
	for (unsigned len = 2; len <= 8; len *= 2) {
		for (unsigned off = 1; off < len; off++) {
			/* over the border of a page, too */
			assert_int_equal(
				vas_compare_exchange(space, at(1) - off, len, &was, 1, NULL),
				-VAS_EINVAL);
			assert_int_equal(vas_compare_exchange(space, ~(uint64_t)0 - off + 1, len,
			                                      &was, 1, NULL),
			                 -VAS_EINVAL);
		}
	}
	assert_int_equal(signal.signo, 0);
	assert_false(vas_present(space, at(0)));
	unit_close(&unit, space);
}

/* The right to write is asked for even where the numbers differ, as a processor asks. */
static void exchanging_is_writing(void **state)
{
	struct vas_signal signal;
	struct vas *space, *child;
	struct unit unit;
	uint64_t was = 5;
	uint8_t byte;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 1, VAS_PROT_READ);
	assert_int_equal(vas_compare_exchange(space, at(0), 4, &was, 1, &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_ACCERR, at(0));
	assert_int_equal(was, 5);
	assert_int_equal(vas_compare_exchange(space, at(1), 4, &was, 1, &signal), -VAS_EFAULT);
	assert_signal(&signal, VAS_SIGSEGV, VAS_SEGV_MAPERR, at(1));
	map(space, 0, 1, RW);
	was = 0;
	assert_int_equal(vas_compare_exchange(space, at(0), 4, &was, 1, &signal), 1);
	assert_int_equal(signal.signo, 0);
	/* what fork shares is copied first */
	assert_int_equal(vas_fork(space, &child), 0);
	was = 1;
	assert_int_equal(vas_compare_exchange(child, at(0), 4, &was, 2, &signal), 1);
	assert_int_equal(vas_read(space, &byte, at(0), 1, NULL), 0);
	assert_int_equal(byte, 1);
	assert_int_equal(vas_read(child, &byte, at(0), 1, NULL), 0);
	assert_int_equal(byte, 2);
	vas_destroy(child);
	unit_close(&unit, space);
}

static void no_memory_changes_nothing(void **state)
{
	struct unit unit;
	struct vas *space;
	uint64_t was = 0;

	(void)state;
	unit_begin(&unit);
	space = unit_space(&unit);
	map(space, 0, 1, RW);
	vas_system_fail_after(unit.system, 0);
	assert_call(space, vas_compare_exchange(space, at(0), 8, &was, 1, NULL), -VAS_ENOMEM);
	vas_system_fail_after(unit.system, -1);
	assert_call(space, vas_compare_exchange(space, at(0), 8, &was, 1, NULL), 1);
	unit_close(&unit, space);
}

#define NTHREADS 4u
#define ROUNDS 20000u

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void *count_up(void *space)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t was = 0;

		while (vas_compare_exchange(space, at(0) + 64, 4, &was, was + 1, NULL) == 0)
			;
	}
	return NULL;
}

static void no_step_of_a_thread_is_lost(void **state)
{
	pthread_t threads[NTHREADS];
	struct unit unit;
	struct vas *space;
	uint32_t number;

	(void)state;
	unit_prepare(&unit);
	unit.config.port.threads = true;
	unit.config.port.wait = yield;
	unit_begin_with(&unit, (uint64_t)8 << 20);
	space = unit_space(&unit);
	map(space, 0, 1, RW);
	for (unsigned i = 0; i < NTHREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up, space), 0);
	for (unsigned i = 0; i < NTHREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(vas_read(space, &number, at(0) + 64, 4, NULL), 0);
	assert_int_equal(number, NTHREADS * ROUNDS);
	unit_close(&unit, space);
}

/* ---- Hostile addresses ----------------------------------------------------------------------- */

#define SECRET 0x5e /* fills all that the other space has */
#define OPEN 0x0a   /* fills what the guest has */
#define GUEST_PAGES 6u

/* Addresses where something begins or ends, to be taken with a small offset. */
static uint64_t edge(struct vas *space, struct random *random)
{
	const uint64_t edges[] = {
		0,
		at(0),
		at(1),
		at(2),
		at(3),
		at(GUEST_PAGES),
		at(40),
		at(41),
		at(60),
		at(62),
		vas_task_size(space),
		vas_task_size(space) - UNIT_PAGE,
		(uint64_t)1 << 47,
		(uint64_t)1 << 48,
		0xffff800000000000,
		0xffffffff80000000,
		~(uint64_t)0,
		vas_root(space),
		(uintptr_t)space,
		(uintptr_t)space->system,
		at(0) | (uint64_t)1 << 48,
		at(0) | (uint64_t)1 << 63,
	};

	if (random_below(random, 8) == 0)
		return random_next(random);
	return edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];
}

static uint64_t hostile_address(struct vas *space, struct random *random)
{
	uint64_t addr = edge(space, random);

	switch (random_below(random, 4)) {
	case 0:
		return addr;
	case 1:
		return addr - 1 - random_below(random, 9);
	case 2:
		return addr + random_below(random, 9);
	}
	return addr + random_below(random, 2 * UNIT_PAGE);
}

static uint64_t hostile_length(struct random *random)
{
	static const uint64_t lengths[] = {0, 1, 7, 8, 4095, 4096, 4097, 3 * 4096, 5 * 4096};

	return lengths[random_below(random, sizeof(lengths) / sizeof(lengths[0]))];
}

/* A pointer that was handed out lies in the frame that pagemap says is the guest's at addr. */
static void assert_own_frame(struct unit *unit, struct vas *space, uint64_t addr, const void *host)
{
	uint64_t word, offset = (uint64_t)((const uint8_t *)host -
	                                   (const uint8_t *)unit->config.port.memory);

	assert_true(offset < unit->config.port.memory_len);
	assert_int_equal(vas_pagemap(space, addr & ~(UNIT_PAGE - 1), 1, &word), 1);
	assert_true(word >> 63);
	assert_int_equal(offset / UNIT_PAGE, word & (((uint64_t)1 << 55) - 1));
	assert_int_equal(offset % UNIT_PAGE, addr % UNIT_PAGE);
}

static void hostile_step(struct unit *unit, struct vas *space, struct vas_tlb *tlb,
                         struct random *random)
{
	static uint8_t bytes[5 * 4096];
	static const unsigned sizes[] = {1, 2, 4, 8, 3, 16};
	static const enum vas_access accesses[] = {VAS_READ, VAS_WRITE, VAS_EXEC};
	uint64_t addr = hostile_address(space, random), len = hostile_length(random);
	uint64_t was = SECRET;
	void *host;

	memset(bytes, OPEN, sizeof(bytes));
	switch (random_below(random, 5)) {
	case 0:
		(void)vas_read(space, bytes, addr, len, NULL);
		break;
	case 1:
		(void)vas_write(space, addr, bytes, len, NULL);
		break;
	case 2:
		(void)vas_read_string(space, (char *)bytes, addr, len, NULL);
		break;
	case 3:
		(void)vas_compare_exchange(space, addr, sizes[random_below(random, 6)], &was, OPEN,
		                           NULL);
		break;
	case 4:
		if (vas_translate(space, tlb, addr, accesses[random_below(random, 3)], &host,
		                  NULL) == 0)
			assert_own_frame(unit, space, addr, host);
		vas_tlb_leave(tlb);
		break;
	}
	assert_null(memchr(bytes, SECRET, sizeof(bytes)));
}

static void assert_untouched(struct vas *space)
{
	uint8_t bytes[UNIT_PAGE];

	for (unsigned page = 0; page < 64; page++) {
		assert_int_equal(vas_read(space, bytes, at(page), sizeof(bytes), NULL), 0);
		for (unsigned i = 0; i < sizeof(bytes); i++)
			assert_int_equal(bytes[i], SECRET);
	}
}

/* The guest's memory: pages of every right, a hole, a guard page, a file that is too short. */
static void furnish(struct unit *unit, struct vas *space, struct vas_file **file)
{
	const struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE};
	struct vas_object *object;
	uint8_t open[UNIT_PAGE];

	memset(open, OPEN, sizeof(open));
	map(space, 0, GUEST_PAGES, RW);
	for (unsigned page = 0; page < GUEST_PAGES; page++)
		store(space, at(page), (char *)open, sizeof(open));
	assert_call(space, vas_mprotect(space, at(1), UNIT_PAGE, VAS_PROT_READ), 0);
	assert_call(space, vas_mprotect(space, at(2), UNIT_PAGE, 0), 0);
	assert_call(space, vas_munmap(space, at(4), UNIT_PAGE), 0);
	map(space, 40, 2, RW);
	assert_call(space, vas_madvise(space, at(41), UNIT_PAGE, VAS_MADV_GUARD_INSTALL), 0);
	assert_int_equal(vas_object_create(unit->system, NULL, NULL, UNIT_PAGE + 9, &object), 0);
	assert_int_equal(vas_file_open(object, &info, file), 0);
	vas_object_put(object);
	assert_call(space,
	            vas_mmap(space, at(60), 4 * UNIT_PAGE, RW, VAS_MAP_SHARED | VAS_MAP_FIXED,
	                     *file, 0),
	            at(60));
}

/* Everything that is not the guest's says SECRET: the frames that are free, too. */
static void nothing_foreign_is_reached(void **state)
{
	struct random random = {.state = 4711};
	struct vas *space, *other;
	struct vas_file *file;
	struct vas_tlb tlb;
	struct unit unit;

	(void)state;
	unit_begin(&unit);
	other = unit_space(&unit);
	map(other, 0, 1200, RW);
	for (unsigned page = 0; page < 1200; page++) {
		char bytes[UNIT_PAGE];

		memset(bytes, SECRET, sizeof(bytes));
		store(other, at(page), bytes, sizeof(bytes));
	}
	assert_call(other, vas_munmap(other, at(64), 1136 * UNIT_PAGE), 0);
	space = unit_space(&unit);
	furnish(&unit, space, &file);
	vas_tlb_register(space, &tlb);
	for (unsigned step = 0; step < 60000; step++) {
		hostile_step(&unit, space, &tlb, &random);
		if (step % 4096 == 0) {
			assert_untouched(other);
			assert_holds(vas_check(space));
		}
	}
	assert_untouched(other);
	vas_tlb_unregister(&tlb);
	vas_file_put(file);
	vas_destroy(other);
	unit_close(&unit, space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_end_at_nul_or_limit),
		cmocka_unit_test(strings_stop_where_memory_ends),
		cmocka_unit_test(each_size_exchanges_its_bytes_only),
		cmocka_unit_test(bytes_and_halves_at_each_place_of_a_word),
		cmocka_unit_test(sizes_and_places_that_do_not_fit),
		cmocka_unit_test(exchanging_is_writing),
		cmocka_unit_test(no_memory_changes_nothing),
		cmocka_unit_test(no_step_of_a_thread_is_lost),
		cmocka_unit_test(nothing_foreign_is_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
