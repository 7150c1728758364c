/* heap.c - malloc and its family: what is small goes to the C library, what is large to a place,
 * and what grows beyond its place moves.
 *
 * The lock is never held for a copy, nor while pages move: the two places of a move are live, and
 * so nobody else's.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "c_library.h"
#include "heap.h"
#include "vas/heap.h"

#define MOVE_MIN KIB(16) /* fewer bytes are copied sooner than their pages are moved */
#define COPY_KEEP MIB(8) /* up to here a copy leaves the source its pages, to be used again */
#define SEAMS_MAX 4096   /* places that cost the host two mappings more, of 65,530 */
#define ZERO_MAX MIB(1)  /* more is zeroed by giving the pages back */
#define BARE_MIN MIB(32) /* without rooms: the C library maps from here on, too */
#define BARE_GROWN KIB(256)

static const char not_a_block[] = "no block begins here";
static const char freed_before[] = "double free: the block has been freed before";
static const char used_after_free[] = "the block has been freed before";

static bool started;

/* ---- Life ------------------------------------------------------------------------------------ */

/* A thread forks, and which. */
static bool forks;
static pthread_t forker;

static bool is_forker(void)
{
	return __atomic_load_n(&forks, __ATOMIC_ACQUIRE) && pthread_equal(forker, pthread_self());
}

void heap_lock(void)
{
	if (!is_forker())
		pthread_mutex_lock(&heap.lock);
}

void heap_unlock(void)
{
	if (!is_forker())
		pthread_mutex_unlock(&heap.lock);
}

static void before_fork(void)
{
	pthread_mutex_lock(&heap.lock);
	forker = pthread_self();
	__atomic_store_n(&forks, true, __ATOMIC_RELEASE);
}

static void after_fork(void)
{
	__atomic_store_n(&forks, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&heap.lock);
}

static void after_fork_in_child(void)
{
	pthread_mutex_init(&heap.lock, NULL);
	__atomic_store_n(&forks, false, __ATOMIC_RELEASE);
	places_after_fork();
}

__attribute__((constructor)) static void heap_begin(void)
{
	settings_read();
	if (pthread_atfork(before_fork, after_fork, after_fork_in_child) != 0)
		trouble("pthread_atfork", NULL, "no memory");
}

/* Under the lock. True: there are rooms. */
static bool start(void)
{
	if (!started) {
		started = true;
		heap.now = host_now();
		if (heap_settings.rooms && !host_limited())
			(void)places_create(); /* else blocks are bare */
	}
	return heap.len > 0;
}

static bool is_in_hole(const void *block)
{
	bool hole;

	heap_lock();
	hole = place_is_hole((uint64_t)(uintptr_t)block);
	heap_unlock();
	return hole;
}

static bool is_ours(const void *block)
{
	/* The length is written last, and so read first: with one there is a base. */
	uint64_t len = __atomic_load_n(&heap.len, __ATOMIC_ACQUIRE);

	if ((uint64_t)(uintptr_t)block - __atomic_load_n(&heap.base, __ATOMIC_RELAXED) >= len)
		return false;
	return __atomic_load_n(&heap.holes, __ATOMIC_RELAXED) == 0 || !is_in_hole(block);
}

/* Only without rooms are there others: then each page-aligned one is looked up. */
static bool may_be_bare(const void *block)
{
	return ((uintptr_t)block & (PAGE - 1)) == 0 && block &&
	       __atomic_load_n(&heap.len, __ATOMIC_RELAXED) == 0;
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static uint64_t whole_pages(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

static void *pointer(const struct block *block)
{
	return (void *)(uintptr_t)block->addr; // NOLINT
}

/* Under the lock: the live block at this address, or the end. */
static struct block *live_block(const char *call, const void *pointer, const char *if_freed)
{
	struct block *block = block_at((uint64_t)(uintptr_t)pointer);

	if (!block)
		trouble(call, pointer, not_a_block);
	if (block->state != BLOCK_LIVE)
		trouble(call, pointer, if_freed);
	return block;
}

/* ---- Taking ---------------------------------------------------------------------------------- */

static void make_zero(void *bytes, uint64_t len)
{
	if (len <= ZERO_MAX || !host_discard((uint64_t)(uintptr_t)bytes, len))
		memset(bytes, 0, len);
}

/* NULL: neither a place nor a mapping is to be had. */
static void *take(size_t size, uint64_t align, bool zero)
{
	struct want want = {.size = whole_pages(size), .align = align, .sparse = zero};
	struct block *block = NULL;
	void *bytes = NULL;

	heap_lock();
	if (start())
		block = place_take(&want);
	else if (size >= BARE_MIN && align <= PAGE)
		bytes = bare_malloc(want.size);
	if (block) {
		bytes = pointer(block);
		keep_enforce();
	}
	heap_unlock();
	if (block && zero && want.dirty)
		make_zero(bytes, want.dirty < want.size ? want.dirty : want.size);
	return bytes;
}

void *vas_heap_malloc(size_t size)
{
	void *block;

	if (size < heap_settings.from)
		return c_malloc(size);
	if (size > PTRDIFF_MAX)
		return no_memory();
	block = take(size, 1, false);
	return block ? block : c_malloc(size);
}

void *vas_heap_calloc(size_t count, size_t size)
{
	size_t product;
	void *block;

	if (__builtin_mul_overflow(count, size, &product))
		return no_memory();
	if (product < heap_settings.from)
		return c_calloc(count, size);
	if (product > PTRDIFF_MAX)
		return no_memory();
	block = take(product, 1, true);
	return block ? block : c_calloc(count, size);
}

/* The alignment is a power of two. */
static void *take_aligned(size_t align, size_t size)
{
	void *block;

	if (size < heap_settings.from)
		return c_memalign(align, size);
	if (size > PTRDIFF_MAX)
		return no_memory();
	block = take(size, align, false);
	return block ? block : c_memalign(align, size);
}

static bool is_power(size_t n)
{
	return n && (n & (n - 1)) == 0;
}

void *vas_heap_aligned_alloc(size_t align, size_t size)
{
	if (!is_power(align)) {
		errno = EINVAL;
		return NULL;
	}
	return take_aligned(align, size);
}

void *vas_heap_memalign(size_t align, size_t size)
{
	size_t power = 16;

	if (align > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (power < align)
		power *= 2;
	return take_aligned(power, size);
}

int vas_heap_posix_memalign(void **block, size_t align, size_t size)
{
	int before = errno;
	void *found;

	if (!is_power(align) || align % sizeof(void *))
		return EINVAL;
	found = take_aligned(align, size);
	errno = before;
	if (!found)
		return ENOMEM;
	*block = found;
	return 0;
}

void *vas_heap_valloc(size_t size)
{
	return take_aligned(PAGE, size);
}

void *vas_heap_pvalloc(size_t size)
{
	if (size > PTRDIFF_MAX)
		return no_memory();
	return take_aligned(PAGE, whole_pages(size));
}

/* ---- Giving ---------------------------------------------------------------------------------- */

static void give_place(void *pointer)
{
	heap_lock();
	block_release(live_block("free", pointer, freed_before));
	keep_enforce();
	heap_unlock();
}

/* True: it was one of these. */
static bool give_bare(void *block)
{
	bool bare;

	heap_lock();
	bare = bare_size(block) > 0;
	if (bare)
		bare_free(block);
	heap_unlock();
	return bare;
}

void vas_heap_free(void *block)
{
	int before;

	if (!is_ours(block) && !may_be_bare(block)) {
		c_free(block);
		return;
	}
	before = errno;
	if (is_ours(block))
		give_place(block);
	else if (!give_bare(block))
		c_free(block);
	errno = before;
}

/* ---- Growing --------------------------------------------------------------------------------- */

/* The bytes of `from` come to `to`; both are live, and nobody else's. */
static bool move_bytes(struct block *to, struct block *from, bool by_pages,
                       struct host_moved *moved)
{
	struct host_range range = {
		.to = to->addr,
		.from = from->addr,
		.len = by_pages ? place_span(from) : 0,
		.used = from->size,
		.cut = place_cut,
		.ctx = from,
	};
	bool done = true;

	heap_unlock();
	if (by_pages) {
		done = host_move(&range, moved);
	} else {
		moved->copied = range.used;
		moved->emptied = range.used > COPY_KEEP && range.used == from->high;
		if (range.used <= COPY_KEEP)
			memcpy(pointer(to), pointer(from), range.used);
		else
			moved->emptied &= host_copy(range.to, range.from, range.used);
	}
	heap_lock();
	heap.copied += moved->copied;
	heap.moved += done && moved->copied < range.used;
	return done;
}

/* Under the lock. NULL: no room is to be had, and the block is as it was. */
static void *move_block(struct block *from, uint64_t size)
{
	struct want want = {.size = size, .align = 1, .old = from->size};
	struct block *to = place_take_room(&want);
	struct host_moved moved = {.emptied = true};
	bool by_pages;

	if (!to)
		return NULL;
	by_pages = host_moves_pages() && from->size >= MOVE_MIN && want.dirty == 0 && !to->seam &&
	           heap.seams < SEAMS_MAX;
	block_hold(from);
	block_hold(to);
	if (!move_bytes(to, from, by_pages, &moved)) {
		block_lost(to);
		block_resize(from, from->size); /* back on the list of age, if it was on it */
		return NULL;
	}
	if (by_pages)
		block_moved(to, from);
	else
		block_resize(to, size);
	if (moved.emptied)
		block_emptied(from);
	else
		block_release(from);
	return pointer(to);
}

/* Under the lock. */
static void *resize_place(struct block *block, uint64_t size)
{
	if (size > block->cap && !place_extend(block, size))
		return move_block(block, size);
	heap.grown += size > block->size;
	block_resize(block, size);
	return pointer(block);
}

/* What was large is to be small, or there is no place: the C library has it from here on. */
static void *leave_place(void *old, uint64_t old_size, size_t size)
{
	void *block = c_malloc(size);

	if (!block)
		return NULL;
	memcpy(block, old, old_size < size ? old_size : size);
	vas_heap_free(old);
	return block;
}

static void *resize_ours(void *old, size_t size)
{
	bool small = size < heap_settings.grown / 2;
	struct block *block;
	uint64_t old_size;
	void *found;

	heap_lock();
	block = live_block("realloc", old, used_after_free);
	old_size = block->size;
	found = small ? NULL : resize_place(block, whole_pages(size));
	if (found)
		keep_enforce();
	heap_unlock();
	if (found)
		return found;
	found = leave_place(old, old_size, size);
	if (found || !small)
		return found;
	/* It stays where it was, and shrinks. */
	heap_lock();
	block_resize(block, whole_pages(size));
	heap_unlock();
	return old;
}

/* NULL: not one of these, or no memory: *bare tells which. */
static void *resize_bare(void *old, size_t size, bool *bare)
{
	void *block = NULL;

	heap_lock();
	*bare = bare_size(old) > 0;
	if (*bare)
		block = bare_realloc(old, whole_pages(size));
	heap_unlock();
	return block;
}

/* A block of the C library has been grown: it gets a place if it is to be large. */
static void *grow_small(void *old, size_t size)
{
	struct want want = {.size = whole_pages(size), .align = 1};
	struct block *block = NULL;
	uint64_t old_size = c_usable_size(old);
	void *bytes = NULL;

	if (size <= old_size)
		return c_realloc(old, size);
	heap_lock();
	if (!start() && size >= BARE_GROWN && old_size < BARE_MIN)
		bytes = bare_malloc(want.size);
	else if (start() && old_size < heap_settings.from)
		block = place_take_growing(&want);
	if (block) {
		bytes = pointer(block);
		keep_enforce();
	}
	heap_unlock();
	if (!bytes)
		return c_realloc(old, size);
	memcpy(bytes, old, old_size);
	c_free(old);
	return bytes;
}

void *vas_heap_realloc(void *block, size_t size)
{
	if (!block)
		return vas_heap_malloc(size);
	if (size == 0) {
		vas_heap_free(block);
		return NULL;
	}
	if (size > PTRDIFF_MAX)
		return no_memory();
	if (is_ours(block))
		return resize_ours(block, size);
	if (may_be_bare(block)) {
		bool bare;
		void *found = resize_bare(block, size, &bare);

		if (bare)
			return found ? found : no_memory();
	}
	return size < heap_settings.grown ? c_realloc(block, size) : grow_small(block, size);
}

void *vas_heap_reallocarray(void *block, size_t count, size_t size)
{
	size_t product;

	if (__builtin_mul_overflow(count, size, &product))
		return no_memory();
	return vas_heap_realloc(block, product);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

size_t vas_heap_usable_size(void *block)
{
	bool ours = is_ours(block);
	uint64_t size = 0;

	if (!block)
		return 0;
	if (ours || may_be_bare(block)) {
		heap_lock();
		size = ours ? live_block("malloc_usable_size", block, used_after_free)->size
		            : bare_size(block);
		heap_unlock();
	}
	return size ? size : c_usable_size(block);
}

int vas_heap_trim(size_t pad)
{
	bool some;

	heap_lock();
	some = heap.len > 0 && keep_drop();
	heap_unlock();
	return c_trim(pad) || some;
}

void vas_heap_stats(struct vas_heap_stats *stats)
{
	heap_lock();
	stats->live = heap.live;
	stats->peak = heap.peak;
	stats->kept = heap.kept;
	stats->blocks = heap.blocks;
	stats->grown = heap.grown;
	stats->moved = heap.moved;
	stats->copied = heap.copied;
	heap_unlock();
	stats->host_calls = __atomic_load_n(&host_calls, __ATOMIC_RELAXED);
}
