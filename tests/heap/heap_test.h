/* heap_test.h - what the heap's tests share: blocks that know what must be in them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_HEAP_TEST_H
#define VAS_HEAP_TEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vas/heap.h"

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

#ifndef STEP
#define STEP KIB(1)
#endif

/* A word at each STEP bytes tells whose block it is and where. */
static inline uint64_t word_at(uint64_t tag, size_t offset)
{
	return (tag ^ offset) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The words that end beyond `from`, and not beyond `size`. */
static inline void fill(void *block, uint64_t tag, size_t from, size_t size)
{
	size_t first = from < 8 ? 0 : ((from - 8) / STEP + 1) * STEP;

	for (size_t at = first; at + 8 <= size; at += STEP)
		*(volatile uint64_t *)((char *)block + at) = word_at(tag, at);
}

/* The offset of the first wrong word below `size`, or SIZE_MAX. */
static inline size_t wrong_at(const void *block, uint64_t tag, size_t size)
{
	for (size_t at = 0; at + 8 <= size; at += STEP) {
		if (*(const volatile uint64_t *)((const char *)block + at) != word_at(tag, at))
			return at;
	}
	return SIZE_MAX;
}

static inline int is_zero(const void *block, size_t size)
{
	const unsigned char *bytes = block;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return 0;
	}
	return 1;
}

static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(*state >> 33);
}

#endif
