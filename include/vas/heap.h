/* heap.h - the efficient realloc: malloc and its family, in which a large block grows in place.
 *
 * libvas_heap.a has the names below, for programs that link it beside their C library's malloc.
 * libvasheap.so has these and the plain names (malloc, realloc, free, ...), to be preloaded:
 * LD_PRELOAD=libvasheap.so PROGRAM.
 *
 * Blocks of 64 KiB and more, and blocks that realloc makes 32 KiB or larger, are *rooms*: places in
 * one large reservation of addresses, with room behind them. Growing a block seldom asks the host
 * for anything, and moving it moves pages, not bytes. Smaller blocks are the C library's.
 *
 * A block, from wherever in the family, may be given to vas_heap_realloc, vas_heap_free and
 * vas_heap_usable_size, and so may one of the C library's malloc; those of this heap may not be
 * given to the C library's free (they may where libvasheap.so is preloaded, for then it is ours).
 *
 * All calls are safe in threads, and in the child of a fork in a threaded program; none is
 * async-signal-safe. They wait for one lock, held for a few host calls at most, never for a copy.
 * Contracts are those of C11 7.22.3 and of malloc(3), posix_memalign(3), malloc_usable_size(3) and
 * malloc_trim(3), Linux man-pages 6.03, as glibc 2.36 keeps them.
 *
 * What is freed twice, or was never a block but lies in the reservation, ends the process: one line
 * on stderr that says which, then abort(). What lies elsewhere is the C library's to judge.
 *
 * Settings are words in the environment variable VAS_HEAP, with commas between, read once, before
 * main, and not at all where secure_getenv(3) says no. Sizes are bytes, or end in k, m, g or t:
 *
 *   from=64k       blocks of this size and larger are rooms (16k to 4m)
 *   grown=32k      blocks that realloc makes this large or larger are rooms (16k to `from`)
 *   keep=64m       pages that nobody uses are kept for the next block up to this many bytes, or a
 *                  quarter of what is in use if that is more; 0: none is kept
 *   decay=1000     ... for this many milliseconds, looked at in later calls
 *   huge=auto|yes|no  ask for large pages in blocks of 4 MiB and more that calloc did not make;
 *                  auto: but not in a guest that reports its free pages to the machine below, where
 *                  each large page is fetched from there page by page, every time
 *   rooms=yes|no   no: no reservation. Blocks of 32 MiB and more, and of 256 KiB and more that
 *                  realloc made, are mappings that mremap grows; all others are the C library's.
 *                  So it is also where RLIMIT_AS or RLIMIT_DATA is finite when the first room is
 *                  made, where overcommit_memory is 2, and where no addresses are to be had
 *   portable=yes|no  yes: nothing but POSIX calls; what moves is copied, in pieces given back one
 *                  by one. So it is also where the host has no MREMAP_DONTUNMAP (Linux before 5.7)
 *   reserve=16t    addresses reserved, halved until the host agrees
 *
 * Limits: a program that lowers its RLIMIT_AS after its first room must set rooms=no, as must one
 * that locks its memory with mlockall (the unused part of rooms would be populated, too).
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_HEAP_H
#define VAS_HEAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `size` bytes, any alignment of 16; size 0: a block of its own that may be freed.
 * NULL and errno ENOMEM: no memory, or size > PTRDIFF_MAX. */
void *vas_heap_malloc(size_t size);

/* `count` * `size` bytes of zeros. As vas_heap_malloc; ENOMEM also where the product overflows. */
void *vas_heap_calloc(size_t count, size_t size);

/* Makes the block `size` bytes long, in place or elsewhere, with its bytes up to the smaller of
 * both sizes. NULL block: vas_heap_malloc(size). Size 0 of a block: frees it, and NULL (errno is
 * untouched). NULL and ENOMEM: as vas_heap_malloc; the block is as it was. */
void *vas_heap_realloc(void *block, size_t size);

/* vas_heap_realloc(block, count * size); NULL and ENOMEM where the product overflows: the block is
 * as it was. */
void *vas_heap_reallocarray(void *block, size_t count, size_t size);

/* `size` bytes at a multiple of `align`, a power of two, else NULL and EINVAL; ENOMEM as above.
 * (glibc 2.36 rounds other alignments up; C11 and glibc since 2.38 refuse them.) realloc keeps no
 * alignment above 16. */
void *vas_heap_aligned_alloc(size_t align, size_t size);

/* The same, with an alignment that is no power of two rounded up to one, as glibc has it; EINVAL
 * above half of the address space. */
void *vas_heap_memalign(size_t align, size_t size);

/* The block into *block, and 0; or EINVAL: `align` is no power of two or no multiple of
 * sizeof(void *); or ENOMEM. On failure *block is untouched, errno always. */
int vas_heap_posix_memalign(void **block, size_t align, size_t size);

/* `size` bytes at a page; vas_heap_pvalloc rounds the size up to whole pages, too. ENOMEM. */
void *vas_heap_valloc(size_t size);
void *vas_heap_pvalloc(size_t size);

/* The block is no more; NULL: nothing. errno is untouched. */
void vas_heap_free(void *block);

/* How many bytes of the block may be used: its size, rounded up. NULL: 0. */
size_t vas_heap_usable_size(void *block);

/* Gives kept pages back to the host, and calls the C library's malloc_trim(pad) where there is
 * one. 1: something was given back; else 0. */
int vas_heap_trim(size_t pad);

/* What the heap has done since the program began; the C library's blocks are not counted. */
struct vas_heap_stats {
	uint64_t live;        /* bytes of blocks in use, in whole pages */
	uint64_t peak;        /* the most that this has been */
	uint64_t kept;        /* bytes that may have pages and are in no block */
	uint64_t blocks;      /* in use */
	uint64_t grown;       /* reallocs that grew a block where it was */
	uint64_t moved;       /* blocks whose pages were moved */
	uint64_t copied;      /* bytes that were copied because a block moved */
	uint64_t host_calls;  /* mmap, munmap, mprotect, mremap and madvise */
};
void vas_heap_stats(struct vas_heap_stats *stats);

/* Verifies what the heap's own words promise (ports/heap/heap.h). NULL, or the sentence that does
 * not hold. For tests: it looks at every block under the lock. */
const char *vas_heap_check(void);

#ifdef __cplusplus
}
#endif

#endif
