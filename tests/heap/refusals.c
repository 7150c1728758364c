/* refusals.c - the host refuses: its n-th call, or all from the n-th on, fails, for every n that a
 * story has. Blocks stay whole, what cannot be had is ENOMEM, and the heap's words hold.
 *
 * The host's calls are wrapped when this program is linked (-Wl,--wrap=...).
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP KIB(16)
#include "heap_test.h"

static long calls, first_refused = -1;
static bool all_after;

static bool is_refused(void)
{
	long number = calls++;

	return first_refused >= 0 &&
	       (number == first_refused || (all_after && number > first_refused));
}

#define REFUSE(answer)                  \
	do {                            \
		if (is_refused()) {     \
			errno = ENOMEM; \
			return answer;  \
		}                       \
	} while (0)

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t len);
int __wrap_munmap(void *addr, size_t len);
int __real_mprotect(void *addr, size_t len, int prot);
int __wrap_mprotect(void *addr, size_t len, int prot);
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);
void *__real_mremap(void *addr, size_t old_len, size_t len, int flags, void *to);
void *__wrap_mremap(void *addr, size_t old_len, size_t len, int flags, void *to);

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	REFUSE(MAP_FAILED);
	return __real_mmap(addr, len, prot, flags, fd, offset);
}

int __wrap_munmap(void *addr, size_t len)
{
	REFUSE(-1);
	return __real_munmap(addr, len);
}

int __wrap_mprotect(void *addr, size_t len, int prot)
{
	REFUSE(-1);
	return __real_mprotect(addr, len, prot);
}

int __wrap_madvise(void *addr, size_t len, int advice)
{
	REFUSE(-1);
	return __real_madvise(addr, len, advice);
}

/* It may have unmapped its destination before it fails, as the kernel's may. */
void *__wrap_mremap(void *addr, size_t old_len, size_t len, int flags, void *to)
{
	if (is_refused()) {
		if ((flags & MREMAP_FIXED) && first_refused % 2)
			__real_munmap(to, len);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mremap(addr, old_len, len, flags, to);
}

/* ---- The story ------------------------------------------------------------------------------- */

enum { BLOCKS = 4 };
static char *blocks[BLOCKS];
static size_t sizes[BLOCKS];

static void fail(const char *what, int block)
{
	fprintf(stderr, "refusals: call %ld%s refused: %s, block %d\n", first_refused,
	        all_after ? " and later ones" : "", what, block);
	_exit(1);
}

static void look(int i)
{
	if (blocks[i] && wrong_at(blocks[i], (uint64_t)i, sizes[i]) != SIZE_MAX)
		fail("not whole", i);
	if (vas_heap_check())
		fail(vas_heap_check(), i);
}

static void resize(int i, size_t size)
{
	char *block = vas_heap_realloc(blocks[i], size);

	if (!block && errno != ENOMEM)
		fail("not ENOMEM", i);
	if (block) {
		size_t before = blocks[i] ? sizes[i] : 0;

		blocks[i] = block;
		sizes[i] = size < before ? size : before;
		look(i);
		sizes[i] = size;
		fill(block, (uint64_t)i, before, size);
	}
	look(i);
}

static void zeros(size_t size)
{
	char *block = vas_heap_calloc(size, 1);

	if (block && !is_zero(block, size))
		fail("no zeros", -1);
	vas_heap_free(block);
}

/* Every kind of place, growth within and beyond each, a large room moved, and all given back. */
static void story(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		errno = 0;
		resize(i, KIB(40) << i);
	}
	for (size_t factor = 2; factor <= 128; factor *= 4) {
		for (int i = 0; i < BLOCKS; i++)
			resize(i, (KIB(40) << i) * factor);
		zeros(KIB(700) * factor / 8);
	}
	resize(0, MIB(140));
	resize(1, MIB(40));
	resize(0, KIB(80));
	resize(1, KIB(1));
	for (int i = 0; i < BLOCKS; i++) {
		look(i);
		vas_heap_free(blocks[i]);
		blocks[i] = NULL;
	}
	vas_heap_trim(0);
	zeros(MIB(6));
	zeros(KIB(300));
	look(0);
}

/* In a child, so that each begins with a heap that has done nothing. Its number of calls, or -1. */
static long tell(long refused, bool after)
{
	int ends[2], status;
	long count = -1;
	pid_t child;

	if (pipe(ends) || (child = fork()) < 0) {
		perror("refusals");
		exit(1);
	}
	if (child == 0) {
		alarm(120);
		first_refused = refused;
		all_after = after;
		calls = 0;
		story();
		if (write(ends[1], &calls, sizeof(calls)) != sizeof(calls))
			_exit(1);
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &count, sizeof(count)) != sizeof(count))
		count = -1;
	close(ends[0]);
	if (waitpid(child, &status, 0) != child || status) {
		fprintf(stderr, "refusals: call %ld%s refused: status %#x\n", refused,
		        after ? " and later ones" : "", status);
		return -1;
	}
	return count;
}

int main(void)
{
	long total = tell(-1, false), failed = 0;

	if (total < 1)
		return 1;
	for (long i = 0; i < total; i++) {
		failed += tell(i, false) < 0;
		failed += tell(i, true) < 0;
	}
	printf("%ld host calls, each refused alone and with all after it: %ld stories broke\n",
	       total, failed);
	return failed > 0;
}
