/* host.c - what the heap asks of its host: ordinary private memory, POSIX's mmap and mprotect, and
 * on Linux madvise and mremap.
 *
 * A move is Linux's mremap(MREMAP_FIXED | MREMAP_DONTUNMAP), which takes pages and tables and
 * leaves the source mapped and empty; where that is missing, a copy in chunks, each given back
 * before the next is made, so that no more than one chunk is there twice.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "heap.h"

#ifndef MAP_NORESERVE /* where it is missing, address space is not charged either */
#define MAP_NORESERVE 0
#endif
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define CHUNK MIB(2)

static uint64_t host_calls;

static void *at(uint64_t addr)
{
	return (void *)(uintptr_t)addr; // NOLINT: addresses are numbers here
}

static void count(void)
{
	__atomic_fetch_add(&host_calls, 1, __ATOMIC_RELAXED);
}

static uint64_t map(uint64_t addr, uint64_t len, int prot, int flags)
{
	void *found;

	count();
	found = mmap(at(addr), len, prot, flags, -1, 0);
	return found == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)found;
}

uint64_t host_reserve(uint64_t len)
{
	uint64_t addr = map(0, len, PROT_NONE, PRIVATE);

	/* Where large pages are always given, a block's last would reach beyond the block. */
	if (addr)
		host_huge(addr, len, false);
	return addr;
}

bool host_commit(uint64_t addr, uint64_t len)
{
	count();
	return mprotect(at(addr), len, PROT_READ | PROT_WRITE) == 0;
}

bool host_discard(uint64_t addr, uint64_t len)
{
#ifdef __linux__
	if (!heap_settings.portable) {
		count();
		return madvise(at(addr), len, MADV_DONTNEED) == 0;
	}
#endif
	return map(addr, len, PROT_READ | PROT_WRITE, PRIVATE | MAP_FIXED) == addr;
}

void host_huge(uint64_t addr, uint64_t len, bool wanted)
{
#ifdef MADV_HUGEPAGE
	if (heap_settings.portable)
		return;
	count();
	/* A kernel without large pages refuses: then there are none, and nothing is lost. */
	(void)madvise(at(addr), len, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
	(void)addr, (void)len, (void)wanted;
#endif
}

static bool never_overcommits(void)
{
#ifdef __linux__
	int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
	char mode = '0';
	bool never;

	if (fd < 0)
		return false;
	never = read(fd, &mode, 1) == 1 && mode == '2';
	(void)close(fd);
	return never;
#else
	return false;
#endif
}

/* A guest that reports its free large pages to the machine below (page reporting, of order 9 and
 * more) has them taken away: each time one is used, 512 pages come from there, one by one.
 * Measured: first touch is four times as slow as that of small pages, which are used again. */
bool host_huge_is_slow(void)
{
#ifdef __linux__
	int fd = open("/sys/module/page_reporting/parameters/page_reporting_order",
	              O_RDONLY | O_CLOEXEC);
	char order[4] = "";
	bool reports;

	if (fd < 0)
		return false;
	/* "9" where it reports; a larger number where there is nobody to report to. */
	reports = read(fd, order, sizeof(order)) == 2 && order[0] >= '0' && order[0] <= '9';
	(void)close(fd);
	return reports;
#else
	return false;
#endif
}

static bool is_finite(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

bool host_limited(void)
{
	bool limited = is_finite(RLIMIT_DATA) || sysconf(_SC_PAGESIZE) != (long)PAGE;

#ifdef RLIMIT_AS
	limited |= is_finite(RLIMIT_AS);
#endif
	return limited || never_overcommits();
}

uint32_t host_now(void)
{
	struct timespec now;

#ifdef CLOCK_MONOTONIC_COARSE
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
	clock_gettime(CLOCK_MONOTONIC, &now);
#endif
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

/* ---- Moving ---------------------------------------------------------------------------------- */

bool host_copy(uint64_t to, uint64_t from, uint64_t len)
{
	bool emptied = true;

	for (uint64_t done = 0; done < len; done += CHUNK) {
		uint64_t chunk = len - done < CHUNK ? len - done : CHUNK;

		memcpy(at(to + done), at(from + done), chunk);
		emptied &= host_discard(from + done, chunk);
	}
	return emptied;
}

bool host_renew(uint64_t addr, uint64_t len, bool usable)
{
	if (map(addr, len, usable ? PROT_READ | PROT_WRITE : PROT_NONE, PRIVATE | MAP_FIXED) == 0)
		return false;
	host_huge(addr, len, false);
	return true;
}

#ifdef MREMAP_DONTUNMAP
static bool can_move = true; /* until the kernel has said no */

bool host_moves_pages(void)
{
	return !heap_settings.portable && __atomic_load_n(&can_move, __ATOMIC_RELAXED);
}

static bool move_piece(uint64_t to, uint64_t from, uint64_t len)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;

	count();
	if (mremap(at(from), len, len, flags, at(to)) != MAP_FAILED)
		return true;
	if (errno == EINVAL) /* Linux before 5.7 */
		__atomic_store_n(&can_move, false, __ATOMIC_RELAXED);
	return false;
}

/* A failed mremap may have unmapped its destination already. */
static bool repair(uint64_t to, uint64_t len)
{
	return msync(at(to), len, MS_ASYNC) == 0 ||
	       map(to, len, PROT_READ | PROT_WRITE, PRIVATE | MAP_FIXED) == to;
}

/* By pages, or else by bytes, of which the block has some in [0, used). */
static bool move_anyhow(uint64_t to, uint64_t from, uint64_t len, uint64_t used,
                        struct host_moved *moved)
{
	if (host_moves_pages() && move_piece(to, from, len))
		return true;
	if (!repair(to, len))
		return false;
	used = len < used ? len : used;
	/* Pages beyond what is used stay behind, too. */
	moved->emptied &= host_copy(to, from, used) && used == len;
	moved->copied += used;
	return true;
}

bool host_move(const struct host_range *range, struct host_moved *moved)
{
	uint64_t used = range->used, back;

	for (uint64_t done = 0, end; done < range->len; done = end) {
		end = range->cut(range->ctx, done);
		end = end < range->len ? end : range->len;
		if (move_anyhow(range->to + done, range->from + done, end - done,
		                used > done ? used - done : 0, moved))
			continue;
		/* What has moved comes back without a call: the source is mapped, and may be
		 * written. */
		back = done < used ? done : used;
		memcpy(at(range->from), at(range->to), back);
		return false;
	}
	return true;
}
#else
bool host_moves_pages(void)
{
	return false;
}

bool host_move(const struct host_range *range, struct host_moved *moved)
{
	moved->emptied &= host_copy(range->to, range->from, range->used);
	moved->copied += range->used;
	return true;
}
#endif

/* ---- Mappings of their own ------------------------------------------------------------------- */

uint64_t host_map(uint64_t len)
{
	return map(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}

void host_unmap(uint64_t addr, uint64_t len)
{
	count();
	/* Only a map at its limit of mappings refuses: then the pages at least go. */
	if (munmap(at(addr), len) != 0)
		(void)host_discard(addr, len);
}

uint64_t host_remap(uint64_t addr, uint64_t old_len, uint64_t len)
{
	uint64_t moved;

#ifdef MREMAP_MAYMOVE
	if (!heap_settings.portable) {
		void *found;

		count();
		found = mremap(at(addr), old_len, len, MREMAP_MAYMOVE);
		return found == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)found;
	}
#endif
	if (len < old_len) {
		host_unmap(addr + len, old_len - len);
		return addr;
	}
	moved = host_map(len);
	if (moved) {
		(void)host_copy(moved, addr, old_len);
		host_unmap(addr, old_len);
	}
	return moved;
}
