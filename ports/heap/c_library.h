/* c_library.h - the C library's own malloc, whose small blocks are. Where plain names are ours
 * (VAS_HEAP_PRELOAD), glibc's other names for its own are called.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HEAP_C_LIBRARY_H
#define HEAP_C_LIBRARY_H

#include <stddef.h>
#include <stdlib.h>

#ifdef VAS_HEAP_PRELOAD

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *block);

#define c_malloc __libc_malloc
#define c_calloc __libc_calloc
#define c_realloc __libc_realloc
#define c_memalign __libc_memalign
#define c_free __libc_free

/* These have no other name: preload.c finds the next library's. */
size_t c_usable_size(void *block);
int c_trim(size_t pad);

#else

#ifdef __APPLE__
#include <malloc/malloc.h>
#elif defined(__FreeBSD__)
#include <malloc_np.h>
#else
#include <malloc.h>
#endif

#define c_malloc malloc
#define c_calloc calloc
#define c_realloc realloc
#define c_free free

static inline void *c_memalign(size_t align, size_t size)
{
	void *block = NULL;

	if (align < sizeof(void *))
		align = sizeof(void *);
	return posix_memalign(&block, align, size) == 0 ? block : NULL;
}

static inline size_t c_usable_size(void *block)
{
#ifdef __APPLE__
	return malloc_size(block);
#else
	return malloc_usable_size(block);
#endif
}

static inline int c_trim(size_t pad)
{
#ifdef __GLIBC__
	return malloc_trim(pad);
#else
	(void)pad;
	return 0;
#endif
}

#endif

#endif
