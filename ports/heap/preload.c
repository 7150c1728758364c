/* preload.c - the plain names, for libvasheap.so: a program that is started with LD_PRELOAD calls
 * these, and so do the C library itself and everything else that is loaded.
 *
 * SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <malloc.h>
#include <string.h>

#include "c_library.h"
#include "vas/heap.h"

/* A pointer to a function comes out of dlsym as a pointer to data: POSIX lets it be copied. */
static void *next_name(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

size_t c_usable_size(void *block)
{
	static size_t (*found)(void *);
	size_t (*call)(void *) = __atomic_load_n(&found, __ATOMIC_RELAXED);

	if (!call) {
		void *name = next_name("malloc_usable_size");

		memcpy(&call, &name, sizeof(call));
		__atomic_store_n(&found, call, __ATOMIC_RELAXED);
	}
	return call(block);
}

int c_trim(size_t pad)
{
	void *name = next_name("malloc_trim");
	int (*call)(size_t);

	memcpy(&call, &name, sizeof(call));
	return call(pad);
}

void *malloc(size_t size)
{
	return vas_heap_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return vas_heap_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
	return vas_heap_realloc(block, size);
}

void *reallocarray(void *block, size_t count, size_t size)
{
	return vas_heap_reallocarray(block, count, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return vas_heap_aligned_alloc(align, size);
}

void *memalign(size_t align, size_t size)
{
	return vas_heap_memalign(align, size);
}

void *valloc(size_t size)
{
	return vas_heap_valloc(size);
}

void *pvalloc(size_t size)
{
	return vas_heap_pvalloc(size);
}

int posix_memalign(void **block, size_t align, size_t size)
{
	return vas_heap_posix_memalign(block, align, size);
}

void free(void *block)
{
	vas_heap_free(block);
}

size_t malloc_usable_size(void *block)
{
	return vas_heap_usable_size(block);
}

int malloc_trim(size_t pad)
{
	return vas_heap_trim(pad);
}
