/* patterns.c - what a malloc is asked to do, timed: one pattern a run, whatever malloc is loaded.
 *
 * usage: patterns NAME
 *
 * Prints one line: milliseconds inside the calls measured, milliseconds altogether (every page of
 * every block is written unless the pattern says otherwise), the most memory resident, page tables
 * when it was, and milliseconds of a fork then.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define GIB(n) ((size_t)(n) << 30)
#define PAGE 4096
#define MANY 1000
#define THREADS 4

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static _Thread_local double in_calls;

static void fail(const char *what)
{
	fprintf(stderr, "patterns: %s\n", what);
	exit(1);
}

static void *timed_malloc(size_t size)
{
	double begin = now();
	void *block = malloc(size);

	in_calls += now() - begin;
	if (!block)
		fail("malloc: no memory");
	return block;
}

static void *timed_realloc(void *block, size_t size)
{
	double begin = now();

	block = realloc(block, size);
	in_calls += now() - begin;
	if (!block)
		fail("realloc: no memory");
	return block;
}

static void timed_free(void *block)
{
	double begin = now();

	free(block);
	in_calls += now() - begin;
}

static void touch(void *block, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += PAGE)
		((volatile char *)block)[at] = (char)at;
}

/* ---- Growing --------------------------------------------------------------------------------- */

static void double_one(void)
{
	char *block = timed_malloc(KIB(4));

	touch(block, 0, KIB(4));
	for (size_t size = KIB(4); size < GIB(4); size *= 2) {
		block = timed_realloc(block, size * 2);
		touch(block, size, size * 2);
	}
}

static void step_one(void)
{
	char *block = timed_malloc(MIB(1));

	touch(block, 0, MIB(1));
	for (size_t size = MIB(1); size < GIB(2); size += MIB(1)) {
		block = timed_realloc(block, size + MIB(1));
		touch(block, size, size + MIB(1));
	}
}

static char *many[MANY];

static void grow_many(size_t first, size_t step, size_t most)
{
	for (int i = 0; i < MANY; i++) {
		many[i] = timed_malloc(first);
		touch(many[i], 0, first);
	}
	for (size_t size = first; size < most;) {
		size_t next = step ? size + step : size * 2;

		for (int i = 0; i < MANY; i++) {
			many[i] = timed_realloc(many[i], next);
			touch(many[i], size, next);
		}
		size = next;
	}
}

static void step_many(void)
{
	grow_many(KIB(64), KIB(64), MIB(4));
}

static void double_many(void)
{
	grow_many(KIB(4), 0, MIB(4));
}

/* ---- Where rooms could lose ------------------------------------------------------------------ */

static uint32_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(*state >> 33);
}

/* Large blocks come and go. */
static void churn(void)
{
	uint64_t state = 1;

	for (int i = 0; i < 60000; i++) {
		size_t size = KIB(128) + next_random(&state) % KIB(896);
		char *block = timed_malloc(size);

		touch(block, 0, size);
		timed_free(block);
	}
}

/* A few of them at once, and larger. */
static void churn_window(void)
{
	char *window[16] = {0};
	uint64_t state = 1;

	for (int i = 0; i < 6000; i++) {
		size_t size = KIB(64) + next_random(&state) % MIB(8);
		uint32_t slot = next_random(&state) % 16;

		if (window[slot])
			timed_free(window[slot]);
		window[slot] = timed_malloc(size);
		touch(window[slot], 0, size);
	}
}

static void *up_and_down(void *spent)
{
	for (int round = 0; round < 100; round++) {
		char *block = timed_malloc(KIB(64));

		touch(block, 0, KIB(64));
		for (size_t size = KIB(64); size < MIB(6); size += KIB(256)) {
			block = timed_realloc(block, size + KIB(256));
			touch(block, size, size + KIB(256));
		}
		for (size_t size = MIB(6); size > KIB(256); size -= KIB(256))
			block = timed_realloc(block, size - KIB(256));
		timed_free(block);
	}
	*(double *)spent = in_calls;
	return NULL;
}

static void threads(void)
{
	pthread_t thread[THREADS];
	double spent[THREADS];

	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&thread[i], NULL, up_and_down, &spent[i]))
			fail("no thread");
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		in_calls += spent[i];
	}
}

static void *kept[50000];

/* Many blocks that never grow: one page of each is touched. */
static void packed(void)
{
	for (int i = 0; i < 50000; i++) {
		kept[i] = timed_malloc(KIB(256));
		touch(kept[i], 0, 1);
	}
}

/* A table of which little is used. */
static void sparse(void)
{
	for (int i = 0; i < 32; i++) {
		double begin = now();

		kept[i] = calloc(MIB(64), 1);
		in_calls += now() - begin;
		if (!kept[i])
			fail("calloc: no memory");
		for (size_t at = 0; at < MIB(64); at += KIB(256))
			((volatile char *)kept[i])[at] = 1;
	}
}

/* Buffers cut to what they hold. */
static void fit(void)
{
	uint64_t state = 1;

	for (int i = 0; i < 20000; i++) {
		size_t size = 100 + next_random(&state) % 8000;
		char *block = timed_malloc(KIB(256));

		touch(block, 0, size);
		kept[i] = timed_realloc(block, size);
	}
}

/* Small strings that grow a little, as programs have them by the million. */
static void strings(void)
{
	uint64_t state = 1;

	for (int i = 0; i < 3000000; i++) {
		uint32_t slot = next_random(&state) % 50000;
		size_t size = 16 + next_random(&state) % 2000;

		kept[slot] = timed_realloc(kept[slot], size);
		((volatile char *)kept[slot])[size - 1] = 1;
	}
}

/* ---- The program ----------------------------------------------------------------------------- */

static const struct pattern {
	const char *name;
	void (*run)(void);
} patterns[] = {
	{"double-one", double_one}, {"step-one", step_one},
	{"step-many", step_many},   {"double-many", double_many},
	{"churn", churn},           {"churn-window", churn_window},
	{"threads", threads},       {"packed", packed},
	{"sparse", sparse},         {"fit", fit},
	{"strings", strings},
};

static long status(const char *name)
{
	char line[256];
	long value = -1;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name) + 1, NULL, 10);
	}
	if (file)
		fclose(file);
	return value;
}

static double fork_once(void)
{
	double begin = now(), forked;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	forked = now() - begin;
	if (child < 0 || waitpid(child, NULL, 0) != child)
		fail("fork");
	return forked;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		double begin = now(), total, forked;

		if (strcmp(argv[1], patterns[i].name) != 0)
			continue;
		patterns[i].run();
		total = now() - begin;
		forked = fork_once();
		printf("%.3f %.1f %ld %ld %.2f\n", in_calls, total, status("VmHWM:"),
		       status("VmPTE:"), forked);
		return 0;
	}
	fprintf(stderr, "usage: patterns NAME, one of:");
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		fprintf(stderr, " %s", patterns[i].name);
	fprintf(stderr, "\n");
	return 2;
}
