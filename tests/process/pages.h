/* pages.h - pages that say which they are, so that what has moved is known again.
 *
 * Each program has its own `map`: by the calls that it is there to test.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_TEST_PAGES_H
#define VAS_TEST_PAGES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#define CHECK(condition)                                                                      \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, \
			        #condition, errno);                                           \
			exit(1);                                                              \
		}                                                                             \
	} while (0)

static size_t *page_word(const char *page)
{
	return (size_t *)(size_t)(page + 8);
}

/* The pages say `first`, and the numbers that follow. */
static void fill(char *p, size_t npages, size_t first)
{
	for (size_t i = 0; i < npages; i++)
		*page_word(p + i * PAGE) = first + i;
}

/* They say so; 0: nothing was ever written. */
static bool holds(const char *p, size_t npages, size_t first)
{
	for (size_t i = 0; i < npages; i++) {
		size_t is = *page_word(p + i * PAGE);

		if (is != (first ? first + i : 0)) {
			fprintf(stderr, "page %zu of %zu says %zu\n", i, npages, is);
			return false;
		}
	}
	return true;
}

#endif
