/* threads.c - many threads that map, remap and unmap at once, to be run under `vas check`.
 *
 * Each works on memory of its own, but all choose addresses in the same space, so the order of
 * their calls shows in every answer.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 24
#define ROUNDS 60
#define PAGE 4096u

static void *work(void *arg)
{
	unsigned long n = (unsigned long)(uintptr_t)arg;
	for (unsigned long i = 0; i < ROUNDS; i++) {
		size_t len = (1 + (n * 7 + i * 3) % 40) * PAGE;
		char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		                0);
		if (at == MAP_FAILED)
			exit(1);
		at[(i * PAGE) % len] = 1;
		if (i % 3 == 0)
			mprotect(at, PAGE, PROT_READ);
		char *moved = mremap(at, len, len * 2, i % 3 ? MREMAP_MAYMOVE : 0);
		if (moved != MAP_FAILED)
			munmap(moved, len * 2);
		else
			munmap(at, len);
		free(calloc(1, 200000 + n * 1000)); /* malloc's own mmap and its arenas */
	}
	return NULL;
}

static void *sleep_long(void *arg)
{
	pause();
	return arg;
}

/* A hole filled between two pages, each written while it lay alone: the new page joins the lower
 * one only. With a second thread there that could have written one of them just now. */
static void fill_hole(void)
{
	pthread_t other;
	char *at = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || pthread_create(&other, NULL, sleep_long, NULL) != 0)
		exit(1);
	munmap(at, PAGE);
	munmap(at + 2 * PAGE, PAGE);
	munmap(at + 4 * PAGE, PAGE);
	at[3 * PAGE] = 1;
	at[PAGE] = 1;
	char *hole = mmap(at + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                  -1, 0);
	if (hole != at + 2 * PAGE)
		exit(1);
	munmap(at + PAGE, 3 * PAGE);
	pthread_cancel(other);
	pthread_join(other, NULL);
}

int main(void)
{
	fill_hole();
	pthread_t threads[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
