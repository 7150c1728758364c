/* stress.c - threads that allocate, grow, shrink, hand over and free blocks at random, look into
 * each of them, and fork meanwhile; the heap's invariants are verified as they go.
 *
 * usage: stress THREADS ROUNDS SEED
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap_test.h"

enum { SLOTS = 40, SHARED = 16, MOST_THREADS = 16 };

struct held {
	void *block;
	size_t size;
	uint64_t tag;
};

/* Blocks on their way from thread to thread. */
static struct held shared[SHARED];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t rounds, seed;

static void fail(const char *what, size_t at)
{
	fprintf(stderr, "stress: seed %u: %s at %zu\n", seed, what, at);
	abort();
}

/* Small ones often, large ones seldom: of each power of two the same share. */
static size_t random_size(uint64_t *state)
{
	size_t power = KIB(1) << next_random(state) % 15;

	return power + next_random(state) % power;
}

static void look(const struct held *held)
{
	size_t at = held->block ? wrong_at(held->block, held->tag, held->size) : SIZE_MAX;

	if (at != SIZE_MAX)
		fail("another's bytes", at);
}

static void drop(struct held *held)
{
	look(held);
	vas_heap_free(held->block);
	held->block = NULL;
}

static void *make(uint64_t *state, size_t size)
{
	uint32_t how = next_random(state) % 8;
	void *block = NULL;

	if (how == 0) {
		block = vas_heap_calloc(size, 1);
		if (block && !is_zero(block, size))
			fail("calloc: no zeros", size);
	} else if (how == 1) {
		size_t align = (size_t)16 << next_random(state) % 16;

		if (vas_heap_posix_memalign(&block, align, size) || (uintptr_t)block % align)
			fail("posix_memalign", size);
	} else {
		block = vas_heap_malloc(size);
	}
	if (!block)
		fail("no memory", size);
	return block;
}

static void replace(struct held *held, uint64_t *state)
{
	size_t size = random_size(state);

	drop(held);
	*held = (struct held){make(state, size), size, next_random(state)};
	fill(held->block, held->tag, 0, size);
}

static void resize(struct held *held, uint64_t *state)
{
	size_t size = next_random(state) % 3 ? held->size + held->size / 2 : random_size(state);
	size_t both;

	if (size > MIB(24))
		size = KIB(20);
	both = size < held->size ? size : held->size;
	look(held);
	held->block = vas_heap_realloc(held->block, size);
	if (!held->block)
		fail("no memory", size);
	if (wrong_at(held->block, held->tag, both) != SIZE_MAX)
		fail("realloc lost bytes", both);
	fill(held->block, held->tag, both, size);
	held->size = size;
}

static void hand_over(struct held *held, uint64_t *state)
{
	uint32_t slot = next_random(state) % SHARED;
	struct held other;

	pthread_mutex_lock(&shared_lock);
	other = shared[slot];
	shared[slot] = *held;
	pthread_mutex_unlock(&shared_lock);
	*held = other;
}

#ifndef VAS_HEAP_NO_FORK /* see CMakeLists.txt */
/* A child of a threaded program may use the heap, whatever others were doing. */
static void fork_once(struct held *held, uint64_t *state)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		fail("fork", 0);
	if (child == 0) {
		alarm(60);
		for (int i = 0; i < 20; i++) {
			replace(held, state);
			resize(held, state);
		}
		drop(held);
		_exit(vas_heap_check() != NULL);
	}
	if (waitpid(child, &status, 0) != child || status)
		fail("the child's heap", (size_t)status);
}
#endif

static void *work(void *number)
{
	struct held held[SLOTS] = {0};
	uint64_t state = seed * UINT64_C(1000) + (uintptr_t)number;

	for (uint32_t i = 0; i < rounds; i++) {
		struct held *one = &held[next_random(&state) % SLOTS];
		uint32_t what = next_random(&state) % 100;
		const char *broken = i % 500 ? NULL : vas_heap_check();

		if (broken)
			fail(broken, i);
		if (!one->block || what < 25)
			replace(one, &state);
		else if (what < 85)
			resize(one, &state);
		else if (what < 98)
			hand_over(one, &state);
		else
			drop(one);
#ifndef VAS_HEAP_NO_FORK
		if (i % 1000 == 999)
			fork_once(one, &state);
#endif
		if (i % 700 == 699)
			vas_heap_trim(0);
	}
	for (int i = 0; i < SLOTS; i++)
		drop(&held[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	uint32_t threads = argc == 4 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	pthread_t thread[MOST_THREADS];
	struct vas_heap_stats stats;

	if (threads < 1 || threads > MOST_THREADS) {
		fprintf(stderr, "usage: stress THREADS ROUNDS SEED\n");
		return 2;
	}
	rounds = (uint32_t)strtoul(argv[2], NULL, 10);
	seed = (uint32_t)strtoul(argv[3], NULL, 10);
	for (uintptr_t i = 0; i < threads; i++) {
		if (pthread_create(&thread[i], NULL, work, (void *)i)) // NOLINT
			fail("no thread", i);
	}
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < SHARED; i++)
		drop(&shared[i]);
	vas_heap_stats(&stats);
	if (stats.live || stats.blocks || vas_heap_check())
		fail("something is left", stats.blocks);
	printf("%llu moved, %llu grown in place\n", (unsigned long long)stats.moved,
	       (unsigned long long)stats.grown);
	return 0;
}
