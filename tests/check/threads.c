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

int main(void)
{
	pthread_t threads[THREADS];
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
