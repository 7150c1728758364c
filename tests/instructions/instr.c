/* instr.c - the hot paths, one function each, for an instruction counter to look at.
 *
 * count.py runs this under callgrind and divides what each path_* function costs, all that it calls
 * included, by the number of calls that this program prints for it. Everything is the same in each
 * run: no clock, no chance, no address of the machine's choosing.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vas/vas.h"

#define PAGE ((uint64_t)4096)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define MEMORY (GIB / 2)
#define BASE ((uint64_t)1 << 40)
#define OTHER (BASE + 16 * GIB)
#define STRIDE (16 * PAGE) /* from vma to vma; four pages are mapped */
#define LEN (4 * PAGE)
#define HOLE (6 * PAGE)
#define MANY ((uint64_t)65536)
#define FEW ((uint64_t)16)
#define CALLS 1000
#define TABLES (GIB / (2 * MIB)) /* leaf tables of 1 GiB */

#define RW (VAS_PROT_READ | VAS_PROT_WRITE)
#define ANON (VAS_MAP_PRIVATE | VAS_MAP_ANONYMOUS | VAS_MAP_NORESERVE)
#define PATH static __attribute__((noinline)) void

static struct vas *space, *child;
static struct vas_object *object; /* of which pages are mapped, each once */
static struct vas_file *file;
static struct vas_tlb tlb;

/* ---- memcpy and its like --------------------------------------------------------------------- */

/* Our own, so that counts do not depend on which of its variants a C library chooses. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

typedef uint64_t any_word __attribute__((may_alias, aligned(1)));
#define BLOCK (4 * sizeof(any_word))

/* All is read before any is written: the two may overlap. */
static inline void copy_block(unsigned char *to, const unsigned char *from)
{
	any_word *t = (any_word *)(void *)to;
	const any_word *f = (const any_word *)(const void *)from;
	uint64_t a = f[0], b = f[1], c = f[2], d = f[3];
	t[0] = a;
	t[1] = b;
	t[2] = c;
	t[3] = d;
}

void *memset(void *to, int byte, size_t len)
{
	uint64_t value = (uint64_t)(unsigned char)byte * 0x0101010101010101u;
	unsigned char *at = to;
	for (; len >= BLOCK; len -= BLOCK, at += BLOCK)
		for (unsigned i = 0; i < 4; i++)
			((any_word *)(void *)at)[i] = value;
	for (; len > 0; len--)
		*at++ = (unsigned char)byte;
	return to;
}

static void copy_up(unsigned char *to, const unsigned char *from, size_t len)
{
	for (; len >= BLOCK; len -= BLOCK, to += BLOCK, from += BLOCK)
		copy_block(to, from);
	for (; len > 0; len--)
		*to++ = *from++;
}

static void copy_down(unsigned char *to, const unsigned char *from, size_t len)
{
	for (; len >= BLOCK; len -= BLOCK)
		copy_block(to + len - BLOCK, from + len - BLOCK);
	while (len-- > 0)
		to[len] = from[len];
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	copy_up(to, from, len);
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	unsigned char *t = to;
	const unsigned char *f = from;
	if (t <= f || t >= f + len)
		copy_up(t, f, len);
	else
		copy_down(t, f, len);
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;
	for (; len > 0 && *x == *y; len--) {
		x++;
		y++;
	}
	return len > 0 ? *x - *y : 0;
}

/* ---- The paths ------------------------------------------------------------------------------- */

static int64_t good(int64_t result, const char *what)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "%s: errno %lld\n", what, (long long)-result);
	exit(1);
}

#define GOOD(call) good(call, #call)

/* Each of these is there twice, among few vmas and among 65,536, to be counted apart. */
#define PATH_AMONG(name, call)              \
	PATH path_##name(uint64_t at)       \
	{                                   \
		GOOD(call);                 \
	}                                   \
	PATH path_##name##_64k(uint64_t at) \
	{                                   \
		GOOD(call);                 \
	}

PATH_AMONG(mmap, vas_mmap(space, at + HOLE, LEN, RW, ANON | VAS_MAP_FIXED_NOREPLACE, NULL, 0))
PATH_AMONG(munmap, vas_munmap(space, at + HOLE, LEN))
PATH_AMONG(mprotect_split, vas_mprotect(space, at + LEN / 2, LEN / 2, VAS_PROT_READ))
PATH_AMONG(mprotect_merge, vas_mprotect(space, at + LEN / 2, LEN / 2, RW))
PATH_AMONG(grow_in_place, vas_mremap(space, at, LEN, LEN + PAGE, 0, 0))
PATH_AMONG(shrink, vas_mremap(space, at, LEN + PAGE, LEN, 0, 0))

/* What reaches from an object to its mappings: one page, the others' vmas are no concern of it. */
PATH_AMONG(remove, vas_madvise(space, at, PAGE, VAS_MADV_REMOVE))
PATH_AMONG(msync, vas_msync(space, at, PAGE, VAS_MS_SYNC))
PATH_AMONG(truncate, vas_object_resize(object, at))

PATH path_mmap_anywhere(uint64_t *at)
{
	*at = (uint64_t)GOOD(vas_mmap(space, 0, LEN, RW, ANON, NULL, 0));
}

static void move(uint64_t from, uint64_t to, uint64_t len)
{
	GOOD(vas_mremap(space, from, len, len, VAS_MREMAP_MAYMOVE | VAS_MREMAP_FIXED, to));
}

PATH path_move_4k(uint64_t from, uint64_t to)
{
	move(from, to, PAGE);
}

PATH path_move_1g_by_1g(uint64_t from, uint64_t to)
{
	move(from, to, GIB);
}

PATH path_move_1g_by_2m(uint64_t from, uint64_t to)
{
	move(from, to, GIB);
}

PATH path_move_1g_shifted(uint64_t from, uint64_t to)
{
	move(from, to, GIB);
}

PATH path_mprotect_1g(uint64_t prot)
{
	GOOD(vas_mprotect(space, BASE, GIB, prot));
}

PATH path_fork_1g(void)
{
	GOOD(vas_fork(space, &child));
}

PATH path_fork_first_write(uint64_t at)
{
	GOOD(vas_fault(space, at, VAS_WRITE, NULL));
}

PATH path_fork_destroy(void)
{
	vas_destroy(child);
}

PATH path_fault(uint64_t at)
{
	GOOD(vas_fault(space, at, VAS_READ, NULL));
}

PATH path_fault_write(uint64_t at)
{
	GOOD(vas_fault(space, at, VAS_WRITE, NULL));
}

PATH path_tlb_hit(uint64_t at)
{
	void *host;
	GOOD(vas_translate(space, &tlb, at, VAS_READ, &host, NULL));
}

PATH path_tlb_lookup(uint64_t at)
{
	if (!vas_tlb_lookup(&tlb, at, 8, VAS_READ))
		GOOD(-1);
}

PATH path_tlb_miss(uint64_t at)
{
	void *host;
	GOOD(vas_translate(space, &tlb, at, VAS_READ, &host, NULL));
}

PATH path_read_8(uint64_t at)
{
	uint64_t word;
	GOOD(vas_read(space, &word, at, sizeof(word), NULL));
}

/* ---- Running them ---------------------------------------------------------------------------- */

static void called(const char *path, unsigned calls)
{
	printf("%s %u\n", path, calls);
}

static void map(uint64_t at, uint64_t len)
{
	GOOD(vas_mmap(space, at, len, RW, ANON | VAS_MAP_FIXED_NOREPLACE, NULL, 0));
}

static void fresh_space(void)
{
	struct vas_system *system = vas_system_of(space);
	vas_destroy(space);
	GOOD(vas_create(system, NULL, &space));
}

/* A vma that is far from the one before, the same in each run. */
static uint64_t vma_at(unsigned i, uint64_t nvmas)
{
	return BASE + (uint64_t)i * 2654435761u % nvmas * STRIDE;
}

static int64_t page_io(void *ctx, uint64_t index, void *page)
{
	(void)ctx, (void)index, (void)page;
	return 0;
}

static int64_t page_io_const(void *ctx, uint64_t index, const void *page)
{
	(void)ctx, (void)index, (void)page;
	return 0;
}

/* An object of 2 * nvmas pages, of which every other is mapped by a vma of its own. */
static void map_object(uint64_t nvmas)
{
	static const struct vas_object_ops ops = {.read_page = page_io,
	                                          .write_page = page_io_const};
	struct vas_file_info info = {.mode = VAS_FILE_READ | VAS_FILE_WRITE | VAS_FILE_SHMEM};
	GOOD(vas_object_create(vas_system_of(space), &ops, NULL, 2 * nvmas * PAGE, &object));
	GOOD(vas_file_open(object, &info, &file));
	for (uint64_t i = 0; i < nvmas; i++)
		GOOD(vas_mmap(space, OTHER + i * STRIDE, PAGE, RW, VAS_MAP_SHARED | VAS_MAP_FIXED,
		              file, 2 * i * PAGE));
}

static void unmap_object(void)
{
	vas_file_put(file);
	vas_object_put(object);
}

static void touch(uint64_t at)
{
	GOOD(vas_fault(space, at, VAS_WRITE, NULL));
}

static void run_object_few(void)
{
	map_object(FEW);
	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t at = vma_at(i, FEW) - BASE + OTHER;
		touch(at);
		path_msync(at);
		path_remove(at);
		touch(OTHER + (FEW - 1) * STRIDE);
		path_truncate((2 * FEW - 2) * PAGE);
		GOOD(vas_object_resize(object, 2 * FEW * PAGE));
	}
	called("msync", CALLS);
	called("remove", CALLS);
	called("truncate", CALLS);
	unmap_object();
}

static void run_object_many(void)
{
	map_object(MANY);
	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t at = vma_at(i, MANY) - BASE + OTHER;
		touch(at);
		path_msync_64k(at);
		path_remove_64k(at);
		touch(OTHER + (MANY - 1) * STRIDE);
		path_truncate_64k((2 * MANY - 2) * PAGE);
		GOOD(vas_object_resize(object, 2 * MANY * PAGE));
	}
	called("msync_64k", CALLS);
	called("remove_64k", CALLS);
	called("truncate_64k", CALLS);
	unmap_object();
}

static void run_few(void)
{
	uint64_t at;
	for (uint64_t i = 0; i < FEW; i++)
		map(BASE + i * STRIDE, LEN);
	for (unsigned i = 0; i < CALLS; i++) {
		at = vma_at(i, FEW);
		path_mmap(at);
		path_munmap(at);
		path_mprotect_split(at);
		path_mprotect_merge(at);
		path_grow_in_place(at);
		path_shrink(at);
		path_mmap_anywhere(&at);
		GOOD(vas_munmap(space, at, LEN));
	}
	called("mmap", CALLS);
	called("munmap", CALLS);
	called("mprotect_split", CALLS);
	called("mprotect_merge", CALLS);
	called("grow_in_place", CALLS);
	called("shrink", CALLS);
	called("mmap_anywhere", CALLS);
	run_object_few();
	fresh_space();
}

static void run_many(void)
{
	for (uint64_t i = 0; i < MANY; i++)
		map(BASE + i * STRIDE, LEN);
	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t at = vma_at(i, MANY);
		path_mmap_64k(at);
		path_munmap_64k(at);
		path_mprotect_split_64k(at);
		path_mprotect_merge_64k(at);
		path_grow_in_place_64k(at);
		path_shrink_64k(at);
	}
	called("mmap_64k", CALLS);
	called("munmap_64k", CALLS);
	called("mprotect_split_64k", CALLS);
	called("mprotect_merge_64k", CALLS);
	called("grow_in_place_64k", CALLS);
	called("shrink_64k", CALLS);
	run_object_many();
	fresh_space();
}

static void run_faults(void)
{
	map(BASE, 4 * MIB);
	path_fault(BASE);
	path_fault_write(BASE + 2 * MIB); /* the tables stay from now on */
	for (uint64_t i = 1; i < 512; i++) {
		path_fault(BASE + i * PAGE);
		path_fault_write(BASE + 2 * MIB + i * PAGE);
	}
	called("fault", 512);
	called("fault_write", 512);
	vas_tlb_register(space, &tlb);
	for (uint64_t i = 0; i < 64; i++) /* fills it */
		GOOD(vas_read(space, &(uint64_t){0}, BASE + i * PAGE, 8, NULL));
	for (unsigned i = 0; i < CALLS; i++) {
		path_read_8(BASE + 8 * (uint64_t)i);
		path_tlb_miss(BASE + (i % 2 ? 0 : VAS_TLB_ENTRIES * PAGE));
	}
	for (unsigned i = 0; i < CALLS; i++) {
		path_tlb_hit(BASE + VAS_TLB_ENTRIES * (i % 2) * PAGE / VAS_TLB_ENTRIES);
		path_tlb_lookup(BASE);
	}
	called("read_8", CALLS);
	called("tlb_miss", CALLS);
	called("tlb_hit", CALLS);
	called("tlb_lookup", CALLS);
	vas_tlb_unregister(&tlb);
	fresh_space();
}

static void run_large(void)
{
	map(BASE, GIB);
	GOOD(vas_madvise(space, BASE, GIB, VAS_MADV_POPULATE_READ));
	for (unsigned i = 0; i < 10; i++) {
		path_move_1g_by_1g(BASE, OTHER);
		path_move_1g_by_1g(OTHER, BASE);
		path_move_1g_by_2m(BASE, OTHER + 2 * MIB);
		path_move_1g_by_2m(OTHER + 2 * MIB, BASE);
		path_move_1g_shifted(BASE, OTHER + PAGE);
		path_move_1g_shifted(OTHER + PAGE, BASE);
		path_mprotect_1g(VAS_PROT_READ);
		path_mprotect_1g(RW);
	}
	called("move_1g_by_1g", 20);
	called("move_1g_by_2m", 20);
	called("move_1g_shifted", 20);
	called("mprotect_1g", 20);
	for (uint64_t i = 0; i < TABLES; i++)
		GOOD(vas_fault(space, BASE + i * 2 * MIB, VAS_WRITE, NULL));
	for (unsigned i = 0; i < 100; i++) {
		path_fork_1g();
		path_fork_first_write(BASE + i * 2 * MIB);
		path_fork_destroy();
		for (uint64_t t = 0; t < TABLES; t++) /* the parent owns all its tables again */
			GOOD(vas_fault(space, BASE + t * 2 * MIB, VAS_WRITE, NULL));
	}
	called("fork_1g", 100);
	called("fork_first_write", 100);
	called("fork_destroy", 100);
	fresh_space();
	map(BASE, PAGE);
	GOOD(vas_fault(space, BASE, VAS_WRITE, NULL));
	for (unsigned i = 0; i < CALLS / 2; i++) {
		path_move_4k(BASE, OTHER);
		path_move_4k(OTHER, BASE);
	}
	called("move_4k", CALLS);
}

/* Counts can be compared only between builds by the same compiler. */
static void builder(void)
{
#if defined(__clang__)
	const char *name = "clang";
#else
	const char *name = "gcc";
#endif
#if defined(__x86_64__)
	const char *machine = "x86-64";
#else
	const char *machine = "another machine";
#endif
	printf("built by %s %s for %s\n", name, __VERSION__, machine);
}

int main(void)
{
	struct vas_config config = {.format = &vas_format_x86_64,
	                            .port = {.memory_len = MEMORY, .zeroed = true}};
	struct vas_system *system;
	config.port.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
	                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (config.port.memory == MAP_FAILED)
		return 1;
	vas_settings_default(&config.settings, MEMORY / PAGE);
	config.settings.max_map_count = 4 * MANY;
	GOOD(vas_system_create(&config, &system));
	GOOD(vas_create(system, NULL, &space));
	builder();
	run_few();
	run_many();
	run_faults();
	run_large();
	return 0;
}
