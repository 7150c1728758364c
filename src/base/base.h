/* base.h - what every file uses: ranges, alignment, overflow-checked arithmetic, asserts.
 *
 * A range is [start, end). Lengths are bytes unless the name says npages. This header knows no
 * other part of vas.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_BASE_H
#define VAS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the core takes for granted of its host. */
#if __SIZEOF_POINTER__ != 8
#error "vas needs a 64-bit host: offsets in a system's memory and host addresses are 64 bits wide"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vas needs a little-endian host: page-table words are read and written in its byte order"
#endif

/* Marks what crosses files inside the library. The one-file build makes it static, so that only
 * the public names are left; the many-object build hides it from shared objects. */
#ifndef VAS_INTERNAL
#define VAS_INTERNAL __attribute__((visibility("hidden"))) extern
#endif

/* Marks what is called seldom, and is not to make the common way past it longer. */
#define RARELY __attribute__((cold))

/* All that is asked of a C library; freestanding builds bring their own. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

/* A broken promise of our own. Nothing a guest or a caller passes may lead here. */
#ifndef VAS_PANIC
#define VAS_PANIC(file, line, what) __builtin_trap()
#endif
#define vas_assert(cond) ((cond) ? (void)0 : (void)VAS_PANIC(__FILE__, __LINE__, #cond))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define CACHE_LINE 64 /* bytes; of most machines */

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* `to` is a power of two. align_up wraps to 0 at the top, as Linux's PAGE_ALIGN does. */
static inline uint64_t align_down(uint64_t x, uint64_t to)
{
	return x & ~(to - 1);
}

static inline uint64_t align_up(uint64_t x, uint64_t to)
{
	return (x + to - 1) & ~(to - 1);
}

static inline bool is_aligned(uint64_t x, uint64_t to)
{
	return (x & (to - 1)) == 0;
}

/* x - by, but not below 0 (or above ~0). */
static inline uint64_t sub_saturated(uint64_t x, uint64_t by)
{
	return x > by ? x - by : 0;
}

static inline uint64_t add_saturated(uint64_t x, uint64_t by)
{
	return x + by < x ? ~(uint64_t)0 : x + by;
}

#endif
