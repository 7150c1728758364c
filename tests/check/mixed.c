/* mixed.c - random calls by threads that come and go, to be run under `vas check`: each maps,
 * moves, protects and unmaps memory of its own and of all, while others do; some fork, some begin
 * others.
 *
 * usage: mixed SEED CALLS
 *
 * What a thread writes is its own, so that no difference can come from when a page was written.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define AREAS 6
#define THREADS 4

static unsigned calls;
static char *common; /* 64 pages that are mapped over and over, and never written */

struct worker {
	pthread_t thread;
	uint64_t state;
	unsigned depth;
	struct area {
		char *at;
		size_t pages;
	} area[AREAS];
};

static uint64_t next(struct worker *w)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return w->state >> 16;
}

static void map_anew(struct worker *w, struct area *area)
{
	int sharing = next(w) % 3 ? MAP_PRIVATE : MAP_SHARED;
	if (area->at)
		munmap(area->at, area->pages * PAGE);
	area->pages = 1 + next(w) % 12;
	area->at = mmap(NULL, area->pages * PAGE, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS,
	                -1, 0);
	if (area->at == MAP_FAILED)
		area->at = NULL;
}

static void resize(struct worker *w, struct area *area)
{
	size_t pages = 1 + next(w) % 20;
	char *at = mremap(area->at, area->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);
	if (at == MAP_FAILED)
		return;
	area->at = at;
	area->pages = pages;
}

static void protect(struct worker *w, const struct area *area)
{
	static const int rights[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
	size_t from = next(w) % area->pages, count = 1 + next(w) % (area->pages - from);
	mprotect(area->at + from * PAGE, count * PAGE, rights[next(w) % 3]);
}

static void advise(struct worker *w, const struct area *area)
{
	static const int advice[] = {MADV_DONTNEED, MADV_NORMAL,   MADV_RANDOM,
	                             MADV_DONTFORK, MADV_DOFORK,   MADV_DONTDUMP,
	                             MADV_DODUMP,   MADV_HUGEPAGE, MADV_NOHUGEPAGE};
	madvise(area->at, (1 + next(w) % area->pages) * PAGE, advice[next(w) % 9]);
}

/* Of the memory that all threads have. */
static void use_common(struct worker *w)
{
	char *at = common + next(w) % 60 * PAGE;
	size_t len = (1 + next(w) % 4) * PAGE;
	unsigned char vector[8];
	switch (next(w) % 4) {
	case 0:
		mmap(at, len, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
		break;
	case 1:
		munmap(at, len);
		break;
	case 2:
		mprotect(at, len, PROT_NONE);
		break;
	default:
		mincore(at, len, vector);
		break;
	}
}

static void copy(void)
{
	pid_t child = fork();
	if (child == 0) {
		munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		setrlimit(RLIMIT_MEMLOCK, &limit);
}

static void *work(void *arg);

static void start(struct worker *w, uint64_t seed, unsigned depth)
{
	*w = (struct worker){.state = seed * 0x9e3779b97f4a7c15u + depth + 1, .depth = depth};
	if (pthread_create(&w->thread, NULL, work, w) != 0)
		abort();
}

static void step(struct worker *w)
{
	struct area *area = &w->area[next(w) % AREAS];
	struct worker other;
	unsigned choice = (unsigned)(next(w) % 100);
	if (!area->at || choice < 20)
		map_anew(w, area);
	else if (choice < 40)
		resize(w, area);
	else if (choice < 55)
		protect(w, area);
	else if (choice < 70)
		advise(w, area);
	else if (choice < 94)
		use_common(w);
	else if (choice < 96)
		limit();
	else if (choice < 97)
		copy();
	else if (w->depth < 2) {
		start(&other, next(w), w->depth + 1);
		pthread_join(other.thread, NULL);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	for (unsigned i = 0; i < calls >> 2 * w->depth; i++)
		step(w);
	return NULL;
}

int main(int argc, char **argv)
{
	struct worker worker[THREADS];
	if (argc < 3)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 10);
	calls = (unsigned)strtoul(argv[2], NULL, 10);
	common = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < THREADS; i++)
		start(&worker[i], seed * THREADS + (uint64_t)i, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(worker[i].thread, NULL);
	return 0;
}
