/* The heap as its callers meet it: the edges of each call, blocks that grow and move and keep what
 * is in them, what is kept and given back, and what ends a process. Run with several settings of
 * VAS_HEAP, each of which must answer alike.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap_test.h"

#define assert_whole(block, tag, size) assert_true(wrong_at(block, tag, size) == SIZE_MAX)
#define assert_heap() assert_null(vas_heap_check())

static bool setting(const char *word)
{
	const char *settings = getenv("VAS_HEAP");

	return settings && strstr(settings, word);
}

/* Nothing of what the compiler knows of sizes. */
static size_t opaque(size_t size)
{
	volatile size_t same = size;

	return same;
}

/* ---- The calls' edges ------------------------------------------------------------------------ */

static void null_and_zero(void **state)
{
	void *block = vas_heap_malloc(0);

	(void)state;
	assert_non_null(block);
	vas_heap_free(block);
	vas_heap_free(NULL);
	assert_int_equal(vas_heap_usable_size(NULL), 0);
	block = vas_heap_realloc(NULL, MIB(1));
	assert_non_null(block);
	errno = 42;
	assert_null(vas_heap_realloc(block, 0));
	assert_int_equal(errno, 42);
	block = vas_heap_calloc(0, MIB(1));
	assert_non_null(block);
	vas_heap_free(block);
}

static void too_much(void **state)
{
	void *block = vas_heap_malloc(MIB(1));

	(void)state;
	fill(block, 1, 0, MIB(1));
	errno = 0;
	assert_null(vas_heap_malloc(opaque((size_t)PTRDIFF_MAX + 1)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(vas_heap_malloc(opaque(PTRDIFF_MAX)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(vas_heap_calloc(opaque(SIZE_MAX / 2), 3));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(vas_heap_reallocarray(block, opaque(SIZE_MAX / 2), 3));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(vas_heap_realloc(block, opaque(SIZE_MAX)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(vas_heap_realloc(block, opaque(PTRDIFF_MAX - 4096)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(vas_heap_pvalloc(opaque(SIZE_MAX)));
	assert_int_equal(errno, ENOMEM);
	assert_whole(block, 1, MIB(1));
	vas_heap_free(block);
	assert_heap();
}

static void alignments(void **state)
{
	static const size_t sizes[] = {1, KIB(63), KIB(64), KIB(100), MIB(3), MIB(5)};
	void *blocks[sizeof(sizes) / sizeof(sizes[0])];

	(void)state;
	for (size_t align = 8; align <= MIB(256); align *= 2) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			assert_int_equal(vas_heap_posix_memalign(&blocks[i], align, sizes[i]), 0);
			assert_int_equal((uintptr_t)blocks[i] % align, 0);
			assert_true(vas_heap_usable_size(blocks[i]) >= sizes[i]);
			memset(blocks[i], 1, sizes[i]);
		}
		assert_heap();
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			vas_heap_free(blocks[i]);
	}
}

static void refused_alignments(void **state)
{
	void *block = state;

	(void)state;
	errno = 42;
	assert_int_equal(vas_heap_posix_memalign(&block, 3, 100), EINVAL);
	assert_int_equal(vas_heap_posix_memalign(&block, 0, 100), EINVAL);
	assert_int_equal(vas_heap_posix_memalign(&block, sizeof(void *) / 2, 100), EINVAL);
	assert_int_equal(vas_heap_posix_memalign(&block, 64, opaque(SIZE_MAX)), ENOMEM);
	assert_int_equal(errno, 42);
	assert_ptr_equal(block, state);
	assert_null(vas_heap_aligned_alloc(48, MIB(1)));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(vas_heap_memalign(opaque(SIZE_MAX), 1));
	assert_int_equal(errno, EINVAL);
	block = vas_heap_memalign(opaque(48), KIB(100));
	assert_int_equal((uintptr_t)block % 64, 0);
	vas_heap_free(block);
	block = vas_heap_valloc(KIB(100));
	assert_int_equal((uintptr_t)block % 4096, 0);
	vas_heap_free(block);
	block = vas_heap_pvalloc(1);
	assert_true(vas_heap_usable_size(block) >= 4096);
	vas_heap_free(block);
}

static void usable_is_usable(void **state)
{
	(void)state;
	for (size_t size = 1; size < MIB(40); size = size * 3 + 7) {
		char *block = vas_heap_malloc(size);
		size_t usable = vas_heap_usable_size(block);

		assert_true(usable >= size);
		block[usable - 1] = 7;
		block = vas_heap_realloc(block, usable + 1);
		assert_int_equal(block[usable - 1], 7);
		vas_heap_free(block);
	}
	assert_heap();
}

static void free_keeps_errno(void **state)
{
	(void)state;
	for (size_t size = 1; size < MIB(200); size *= 5) {
		void *block = vas_heap_malloc(size);

		errno = 42;
		vas_heap_free(block);
		assert_int_equal(errno, 42);
	}
}

/* ---- What is in a block ---------------------------------------------------------------------- */

/* Up by steps of all sizes and down again: never a byte lost. */
static void keeps_its_bytes(void **state)
{
	static const size_t factors[] = {3, 5, 9, 17, 200};

	(void)state;
	for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
		size_t size = 100, factor = factors[i];
		char *block = vas_heap_malloc(size);

		fill(block, i, 0, size);
		while (size < MIB(300)) {
			size_t next = size + size * factor / 16 + 3;

			block = vas_heap_realloc(block, next);
			assert_non_null(block);
			assert_whole(block, i, size);
			fill(block, i, size, next);
			size = next;
		}
		assert_heap();
		while (size > 2000) {
			size_t next = size * 2 / 5;

			block = vas_heap_realloc(block, next);
			assert_whole(block, i, next);
			size = next;
		}
		assert_heap();
		vas_heap_free(block);
	}
}

static void calloc_is_zero(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t size = KIB(16); size <= MIB(24); size = size * 3 / 2) {
			char *dirty = vas_heap_malloc(size), *block;

			memset(dirty, 0xa5, size);
			vas_heap_free(dirty);
			block = vas_heap_calloc(1, size - 100);
			assert_true(is_zero(block, size - 100));
			memset(block, 0x5a, size - 100);
			vas_heap_free(block);
		}
	}
	assert_heap();
}

/* Fresh memory grown into is nobody's: a block never shows another's bytes while both live. */
static void blocks_do_not_overlap(void **state)
{
	enum { COUNT = 64 };
	char *blocks[COUNT];
	size_t size = KIB(40);

	(void)state;
	for (int i = 0; i < COUNT; i++)
		fill(blocks[i] = vas_heap_malloc(size), (uint64_t)i, 0, size);
	for (; size < MIB(10); size *= 2) {
		for (int i = 0; i < COUNT; i++) {
			size_t next = size * 2 - (size_t)i * 512;

			blocks[i] = vas_heap_realloc(blocks[i], next);
			fill(blocks[i], (uint64_t)i, 0, next);
		}
		for (int i = 0; i < COUNT; i++)
			assert_whole(blocks[i], (uint64_t)i, size * 2 - (size_t)i * 512);
		assert_heap();
	}
	for (int i = 0; i < COUNT; i++)
		vas_heap_free(blocks[i]);
	assert_heap();
}

/* ---- What it costs --------------------------------------------------------------------------- */

static bool has_rooms(void)
{
	return !setting("rooms=no");
}

/* A block that is doubled to 1 GiB moves a few times, and not a byte is copied once it is large. */
static void grows_in_place(void **state)
{
	struct vas_heap_stats before, after;
	char *block;

	(void)state;
	if (!has_rooms())
		skip();
	vas_heap_trim(0);
	block = vas_heap_malloc(KIB(64));
	vas_heap_stats(&before);
	for (size_t size = KIB(64); size < MIB(1024); size *= 2) {
		block[size - 1] = 1;
		block = vas_heap_realloc(block, size * 2);
	}
	vas_heap_stats(&after);
	assert_true(after.moved - before.moved <= (setting("portable") ? 0 : 4));
	assert_true(after.grown - before.grown >= 10);
	if (!setting("portable"))
		assert_int_equal(after.copied, before.copied);
	/* Where bytes are copied, each 2 MiB of the source is given back. */
	assert_true(after.host_calls - before.host_calls < (setting("portable") ? 800 : 100));
	vas_heap_free(block);
}

/* Blocks that come and go cost no call of the host. */
static void keeps_pages(void **state)
{
	struct vas_heap_stats before, after;

	(void)state;
	if (!has_rooms() || setting("keep=0"))
		skip();
	for (int i = 0; i < 1000; i++) {
		if (i == 20)
			vas_heap_stats(&before);
		vas_heap_free(vas_heap_malloc(KIB(64) + (size_t)(i % 20) * KIB(48)));
	}
	vas_heap_stats(&after);
	assert_true(after.host_calls - before.host_calls < 50);
	assert_true(after.kept <= MIB(64));
}

static void trim_gives_back(void **state)
{
	struct vas_heap_stats stats;
	char *block = vas_heap_malloc(MIB(3));

	(void)state;
	memset(block, 1, MIB(3));
	vas_heap_free(block);
	vas_heap_trim(0);
	vas_heap_stats(&stats);
	assert_int_equal(stats.kept, 0);
	assert_heap();
}

/* ---- What ends a process --------------------------------------------------------------------- */

/* What a child says on stderr before it aborts. */
static void last_words(void (*sin)(void *), void *block, char *words, size_t size)
{
	int ends[2], status;
	ssize_t len;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		signal(SIGABRT, SIG_DFL);
		sin(block);
		_exit(0);
	}
	close(ends[1]);
	len = read(ends[0], words, size - 1);
	words[len < 0 ? 0 : len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void free_twice(void *block)
{
	vas_heap_free(block);
	vas_heap_free(block);
}

static void free_twice_apart(void *block)
{
	void *other = vas_heap_malloc(MIB(2));

	vas_heap_free(block);
	vas_heap_free(other);
	vas_heap_trim(0);
	vas_heap_free(block);
}

static void free_inside(void *block)
{
	vas_heap_free((char *)block + KIB(64));
}

static void realloc_inside(void *block)
{
	(void)!vas_heap_realloc((char *)block + 16, MIB(9));
}

static void realloc_freed(void *block)
{
	vas_heap_free(block);
	(void)!vas_heap_realloc(block, MIB(9));
}

static void ask_freed(void *block)
{
	vas_heap_free(block);
	(void)vas_heap_usable_size(block);
}

static void sins(void **state)
{
	static const struct {
		void (*sin)(void *);
		const char *call, *what;
	} cases[] = {
		{free_twice, "vas heap: free(0x", "double free"},
		{free_twice_apart, "vas heap: free(0x", "double free"},
		{free_inside, "vas heap: free(0x", "no block begins here"},
		{realloc_inside, "vas heap: realloc(0x", "no block begins here"},
		{realloc_freed, "vas heap: realloc(0x", "has been freed before"},
		{ask_freed, "vas heap: malloc_usable_size(0x", "has been freed before"},
	};

	(void)state;
	if (!has_rooms()) /* then the C library's malloc is the judge */
		skip();
	for (size_t size = KIB(128); size <= MIB(32); size *= 16) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			char words[256], *block = vas_heap_malloc(size);

			last_words(cases[i].sin, block, words, sizeof(words));
			assert_non_null(strstr(words, cases[i].call));
			assert_non_null(strstr(words, cases[i].what));
			vas_heap_free(block);
		}
	}
}

/* ---- Limits ---------------------------------------------------------------------------------- */

#ifndef VAS_HEAP_SANITIZED /* whose shadows are larger than any limit */
/* A process with little address space has no rooms, and all calls work. */
static void limited(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct rlimit limit = {(rlim_t)MIB(512), (rlim_t)MIB(512)};
		char *block;

		/* In this child nothing is large yet: it is the first test. */
		if (setrlimit(RLIMIT_AS, &limit))
			_exit(2);
		block = vas_heap_malloc(KIB(100));
		fill(block, 5, 0, KIB(100));
		for (size_t size = KIB(100); size < MIB(128); size *= 2) {
			block = vas_heap_realloc(block, size * 2);
			if (!block || wrong_at(block, 5, size) != SIZE_MAX)
				_exit(3);
			fill(block, 5, size, size * 2);
		}
		errno = 0;
		if (vas_heap_realloc(block, MIB(600)) || errno != ENOMEM)
			_exit(4);
		if (vas_heap_malloc(MIB(600)) || wrong_at(block, 5, MIB(100)) != SIZE_MAX)
			_exit(5);
		block = vas_heap_realloc(block, KIB(300));
		if (!block || wrong_at(block, 5, KIB(300)) != SIZE_MAX)
			_exit(6);
		vas_heap_free(block);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}
#endif

/* ---- Fork ------------------------------------------------------------------------------------ */

static bool handlers_allocate;

static void allocate_around_fork(void)
{
	char *block;

	if (!handlers_allocate)
		return;
	block = vas_heap_malloc(KIB(100));
	block = vas_heap_realloc(block, MIB(5));
	block[MIB(5) - 1] = 1;
	vas_heap_free(block);
}

/* Registered before the heap's, it runs with the heap's lock taken. */
__attribute__((constructor(101))) static void register_early(void)
{
	pthread_atfork(allocate_around_fork, allocate_around_fork, allocate_around_fork);
}

static void handlers_of_fork_may_allocate(void **state)
{
	int status;
	pid_t child;

	(void)state;
	handlers_allocate = true;
	child = fork();
	if (child == 0)
		_exit(vas_heap_check() ? 1 : 0);
	handlers_allocate = false;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_heap();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef VAS_HEAP_SANITIZED
		cmocka_unit_test(limited), /* the first */
#endif
		cmocka_unit_test(null_and_zero),
		cmocka_unit_test(too_much),
		cmocka_unit_test(alignments),
		cmocka_unit_test(refused_alignments),
		cmocka_unit_test(usable_is_usable),
		cmocka_unit_test(free_keeps_errno),
		cmocka_unit_test(keeps_its_bytes),
		cmocka_unit_test(calloc_is_zero),
		cmocka_unit_test(blocks_do_not_overlap),
		cmocka_unit_test(grows_in_place),
		cmocka_unit_test(keeps_pages),
		cmocka_unit_test(trim_gives_back),
		cmocka_unit_test(sins),
		cmocka_unit_test(handlers_of_fork_may_allocate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
