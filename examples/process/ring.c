/* ring.c - a ring buffer that is mapped twice in a row, so that no record is ever split: mremap of
 * old_size 0 shows shared memory at a second address.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vas/process.h"

#define SIZE ((size_t)1 << 16)

/* SIZE bytes that are seen again behind themselves, or MAP_FAILED. */
static char *ring_open(void)
{
	char *ring = vas_mmap_host(NULL, 2 * SIZE, PROT_READ | PROT_WRITE,
	                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (ring == MAP_FAILED)
		return ring;
	if (vas_mremap_host(ring, 0, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, ring + SIZE) !=
	    ring + SIZE) {
		vas_munmap_host(ring, 2 * SIZE);
		return MAP_FAILED;
	}
	return ring;
}

int main(void)
{
	static const char record[] = "a record that does not end where the ring does";
	char *ring = ring_open();
	size_t head = SIZE - 10;

	if (ring == MAP_FAILED) {
		perror("ring");
		return 1;
	}
	memcpy(ring + head, record, sizeof(record));
	/* The compiler does not know that two places of the ring are one: who writes at one and
	 * reads at the other says so. */
	__asm__ volatile("" ::: "memory");
	if (memcmp(ring, record + 10, sizeof(record) - 10) != 0) {
		fprintf(stderr, "ring: its end is not its beginning\n");
		return 1;
	}
	printf("%s\n", ring + head);
	return vas_munmap_host(ring, 2 * SIZE) ? 1 : 0;
}
