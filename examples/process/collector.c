/* collector.c - a garbage collector's swap of spaces: MREMAP_DONTUNMAP takes all pages of the space
 * away at once and leaves an empty one at the same addresses, where the living are put back.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>

#include "vas/process.h"

#define SIZE ((size_t)1 << 22)
#define OBJECTS (SIZE / sizeof(struct object))

struct object {
	long value;
	long lives;
};

/* Leaves the living, packed at the start of `space`; their number, or -1. */
static long collect(struct object *space)
{
	struct object *old = vas_mremap_host(space, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
	                                     NULL);
	long n = 0;

	if (old == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < OBJECTS; i++)
		if (old[i].lives)
			space[n++] = old[i];
	return vas_munmap_host(old, SIZE) ? -1 : n;
}

int main(void)
{
	struct object *space = vas_mmap_host(NULL, SIZE, PROT_READ | PROT_WRITE,
	                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long n, sum = 0;

	if (space == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (size_t i = 0; i < OBJECTS; i++)
		space[i] = (struct object){.value = (long)i, .lives = i % 8 == 0};
	n = collect(space);
	for (long i = 0; i < n; i++)
		sum += space[i].value - 8 * i;
	if (n != (long)OBJECTS / 8 || sum != 0 || space[n].value != 0) {
		fprintf(stderr, "collector: %ld live, wrong by %ld\n", n, sum);
		return 1;
	}
	printf("%ld of %zu live\n", n, OBJECTS);
	return vas_munmap_host(space, SIZE) ? 1 : 0;
}
