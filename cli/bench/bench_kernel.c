/* bench_kernel.c - the side of the benchmark that is the running kernel, by system calls.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_plan.h"

#define SIDE_PAGE_BYTES 0.0 /* side_bytes counts the kernel's objects alone */

struct side {
	struct plan plan;
	pid_t child;
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

const struct bench_side bench_kernel = {"kernel", works, lane_works, open_side, join_side};
