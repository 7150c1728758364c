/* bench_kernel.c - the side of the benchmark that is the running kernel, by system calls.
 *
 * Its works are those of vas, compiled from the same source (bench_work.h); owns what is the
 * kernel's alone: system calls, child processes, and what its caches say of themselves.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_plan.h"

#define SIDE_PAGE_BYTES 0.0 /* side_bytes counts the kernel's objects alone */

struct side {
	struct plan plan;
	pid_t child;
	int fd; /* 0: none */
};

static void *pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr; /* an address made of a number: what this side is about */
}

INLINE int64_t side_mmap(struct side *side, uint64_t addr, uint64_t len, uint64_t prot,
                         uint64_t flags)
{
	(void)side;
	return (int64_t)(intptr_t)mmap(pointer(addr), len, (int)prot, (int)flags, -1, 0);
}

INLINE int64_t side_munmap(struct side *side, uint64_t addr, uint64_t len)
{
	(void)side;
	return munmap(pointer(addr), len);
}

INLINE int64_t side_mprotect(struct side *side, uint64_t addr, uint64_t len, uint64_t prot)
{
	(void)side;
	return mprotect(pointer(addr), len, (int)prot);
}

INLINE int64_t side_mremap(struct side *side, uint64_t addr, uint64_t old_len, uint64_t new_len,
                           uint64_t flags, uint64_t to)
{
	(void)side;
	return (int64_t)(intptr_t)mremap(pointer(addr), old_len, new_len, (int)flags, pointer(to));
}

INLINE int64_t side_madvise(struct side *side, uint64_t addr, uint64_t len, uint64_t advice)
{
	(void)side;
	return madvise(pointer(addr), len, (int)advice);
}

INLINE int64_t side_touch(struct side *side, uint64_t addr, bool write)
{
	volatile char *byte = pointer(addr);
	(void)side;
	if (write)
		*byte = 1;
	return write ? 0 : *byte;
}

/* The child must not run on, or its end would be timed as well. */
static int64_t side_fork(struct side *side)
{
	side->child = fork();
	if (side->child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	return side->child;
}

static void side_reap(struct side *side)
{
	if (side->child <= 0)
		return;
	(void)kill(side->child, SIGKILL);
	while (waitpid(side->child, NULL, 0) < 0 && errno == EINTR)
		;
	side->child = 0;
}

/* The caches out of which the kernel takes what a vma needs; only root may read their sizes. */
static const char *const caches[] = {"vm_area_struct", "maple_node", "anon_vma", "anon_vma_chain"};

static double cache_bytes(const char *line)
{
	char name[64];
	unsigned long long active, all, size;
	if (sscanf(line, "%63s %llu %llu %llu", name, &active, &all, &size) != 4)
		return 0;
	for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++)
		if (strcmp(name, caches[i]) == 0)
			return (double)active * (double)size;
	return 0;
}

static double side_bytes(struct side *side)
{
	char line[512];
	double bytes = 0;
	(void)side;
	(void)usleep(300000); /* what was freed late (RCU) is gone then */
	FILE *stream = fopen("/proc/slabinfo", "re");
	if (!stream)
		return -1;
	while (fgets(line, sizeof(line), stream))
		bytes += cache_bytes(line);
	(void)fclose(stream);
	return bytes;
}

#include "bench/bench_work.h"

/* The kernel places as it always does. */
static void side_place_roomy(struct side *side)
{
	(void)side;
}

#include "bench/bench_grow.h"

static const struct work works[WORK_COUNT] = {WORKS_OF_BOTH, WORKS_OF_GROWTH};

INLINE uint64_t side_load(struct side *side, uint64_t addr)
{
	volatile uint64_t *word = pointer(addr);
	(void)side;
	return *word;
}

static void side_rest(struct side *side)
{
	(void)side;
}

#include "bench/bench_lanes.h"

/* ---- The worst of each call ------------------------------------------------------------------ */

static bool side_file(struct side *side, uint64_t bytes)
{
	side->fd = memfd_create("worst", MFD_CLOEXEC);
	return side->fd > 0 && ftruncate(side->fd, (off_t)bytes) == 0;
}

static void side_file_close(struct side *side)
{
	if (side->fd > 0)
		(void)close(side->fd);
	side->fd = 0;
}

static int64_t side_mmap_file(struct side *side, uint64_t addr, uint64_t len, uint64_t offset)
{
	return (int64_t)(intptr_t)mmap(pointer(addr), len, RW, MAP_SHARED | MAP_FIXED, side->fd,
	                               (off_t)offset);
}

static int64_t side_truncate(struct side *side, uint64_t bytes)
{
	return ftruncate(side->fd, (off_t)bytes);
}

/* The system call: what the C library keeps of the break is put back with it. */
static int64_t side_brk(struct side *side, uint64_t brk)
{
	(void)side;
	return syscall(SYS_brk, brk);
}

static int64_t side_mlock(struct side *side, uint64_t addr, uint64_t len)
{
	(void)side;
	return mlock(pointer(addr), len);
}

static int64_t side_munlock(struct side *side, uint64_t addr, uint64_t len)
{
	(void)side;
	return munlock(pointer(addr), len);
}

static int64_t side_mlockall(struct side *side, uint64_t flags)
{
	(void)side;
	return mlockall((int)flags);
}

static int64_t side_munlockall(struct side *side)
{
	(void)side;
	return munlockall();
}

static int64_t side_msync(struct side *side, uint64_t addr, uint64_t len)
{
	(void)side;
	return msync(pointer(addr), len, MS_SYNC);
}

static int64_t side_mincore(struct side *side, uint64_t addr, uint64_t len, uint64_t vec)
{
	(void)side;
	return mincore(pointer(addr), len, pointer(vec));
}

static int64_t side_mseal(struct side *side, uint64_t addr, uint64_t len)
{
	(void)side;
	return syscall(462, addr, len, 0L); /* the C library may be older than the call */
}

static int64_t side_pagemap(struct side *side, uint64_t addr, uint64_t npages, uint64_t *to)
{
	size_t len = npages * sizeof(*to);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : pread(fd, to, len, (off_t)(addr / PAGE * sizeof(*to)));
	(void)side;
	if (fd >= 0)
		(void)close(fd);
	return got == (ssize_t)len ? 0 : -1;
}

/* As another process would. */
static int64_t side_read(struct side *side, void *to, uint64_t addr, uint64_t len)
{
	const struct iovec here = {to, len}, there = {pointer(addr), len};
	(void)side;
	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -1;
}

static int64_t side_write(struct side *side, uint64_t addr, void *from, uint64_t len)
{
	const struct iovec here = {from, len}, there = {pointer(addr), len};
	(void)side;
	return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -1;
}

static int64_t side_report(struct side *side, enum report report)
{
	static const char *const paths[] = {[REPORT_maps] = "/proc/self/maps",
	                                    [REPORT_smaps] = "/proc/self/smaps",
	                                    [REPORT_smaps_rollup] = "/proc/self/smaps_rollup",
	                                    [REPORT_status] = "/proc/self/status"};
	static char text[65536];
	int fd = open(paths[report], O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : 1;
	(void)side;
	while (got > 0)
		got = read(fd, text, sizeof(text));
	if (fd >= 0)
		(void)close(fd);
	return got;
}

#include "bench/bench_worst.h"

static const struct worst_work worst[WORST_COUNT] = {WORST_WORKS_OF_BOTH};

static struct side *open_side(unsigned how)
{
	(void)how;
	struct side *side = calloc(1, sizeof(*side));
	if (side)
		plan_init(&side->plan);
	return side;
}

static struct side *join_side(struct side *side)
{
	(void)side;
	return open_side(SIDE_THREADS);
}

const struct bench_side bench_kernel = {"kernel",  works, lane_works,  open_side,
	                                join_side, worst, clear_worst, NULL};
