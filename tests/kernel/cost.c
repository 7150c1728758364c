/* What the memory calls cost a program, in instructions, kernel and all: for a machine whose clock
 * counts one nanosecond an instruction (QEMU's -icount shift=0). The same static program runs on
 * the kernel port and on Linux; scripts/bench-kernel lays the two side by side.
 *
 * A line for each row: its name, a tab, instructions a call.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RW (PROT_READ | PROT_WRITE)
#define KIB 1024ul
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static char *self;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void row(const char *name, uint64_t began, unsigned calls)
{
	printf("%s\t%llu\n", name, (unsigned long long)((now() - began + calls / 2) / calls));
	fflush(stdout);
}

static void must(int holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	exit(1);
}

/* Memory of small pages, as far from all else as one page; `place` NULL: anywhere. */
static char *map(char *place, size_t len)
{
	char *p = mmap(place, len, RW, MAP_PRIVATE | MAP_ANONYMOUS | (place ? MAP_FIXED : 0), -1,
	               0);

	must(p != MAP_FAILED, "mmap");
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

static void touch(char *p, size_t len)
{
	for (size_t at = 0; at < len; at += 4 * KIB)
		p[at] = 1;
}

/* Room for what moves, aligned to 1 GiB; nothing of it is accounted or present. */
static char *room(size_t len)
{
	char *p = mmap(NULL, len + GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
	               0);

	must(p != MAP_FAILED, "mmap");
	return (char *)(((uintptr_t)p + GIB - 1) / GIB * GIB);
}

/* Whether the clock counts what it should: two instructions a turn. */
static void clock_alone(void)
{
	const uint64_t began = now(), turns = 1000000;

	for (uint64_t i = 0; i < turns; i++)
		__asm__ volatile("" : "+r"(i));
	row("two million instructions, or three", began, 1);
}

static void calls_alone(void)
{
	const unsigned n = 2000;
	uint64_t began = now();

	for (unsigned i = 0; i < n; i++)
		syscall(SYS_getppid);
	row("getppid", began, n);
	began = now();
	for (unsigned i = 0; i < n; i++)
		munmap(mmap(NULL, 16 * KIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 16 * KIB);
	row("mmap and munmap", began, n);
	began = now();
	for (unsigned i = 0; i < n; i++) {
		char *p = mmap(NULL, 16 * KIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*p = 1;
		munmap(p, 16 * KIB);
	}
	row("mmap, a write, munmap", began, n);
}

static void faults(char *at)
{
	const size_t len = 64 * MIB;
	uint64_t began;

	map(at, len);
	began = now();
	touch(at, len);
	row("page fault", began, len / (4 * KIB));
	began = now();
	munmap(at, len);
	row("munmap of 64 MiB", began, 1);
	map(at, len);
	touch(at, len);
	began = now();
	must(madvise(at, len, MADV_DONTNEED) == 0, "madvise");
	row("MADV_DONTNEED of 64 MiB", began, 1);
	munmap(at, len);
}

static void rights(char *at)
{
	const unsigned n = 1000;
	uint64_t began;

	map(at, 16 * KIB);
	touch(at, 16 * KIB);
	began = now();
	for (unsigned i = 0; i < n; i++) {
		mprotect(at + 4 * KIB, 4 * KIB, PROT_READ);
		mprotect(at + 4 * KIB, 4 * KIB, RW);
	}
	row("mprotect of a page, there and back", began, n);
	map(at, 64 * MIB);
	touch(at, 64 * MIB);
	began = now();
	mprotect(at, 64 * MIB, PROT_READ);
	row("mprotect of 64 MiB to read", began, 1);
	began = now();
	mprotect(at, 64 * MIB, RW);
	row("mprotect of 64 MiB to write", began, 1);
	munmap(at, 64 * MIB);
}

/* A page more with each call, then a page less. */
static void sizes(char *at)
{
	const size_t most = 512 * 4 * KIB;
	uint64_t began;
	size_t len;

	map(at, 4 * KIB);
	touch(at, 4 * KIB);
	munmap(at + 4 * KIB, most);
	began = now();
	for (len = 4 * KIB; len < most; len += 4 * KIB)
		must(mremap(at, len, len + 4 * KIB, 0) == at, "mremap");
	row("mremap grows by a page in place", began, 511);
	touch(at, most);
	began = now();
	for (; len > 4 * KIB; len -= 4 * KIB)
		must(mremap(at, len, len - 4 * KIB, 0) == at, "mremap");
	row("mremap shrinks by a page", began, 511);
	munmap(at, 4 * KIB);
}

/* There and back, so that tables are there as they are in a program's second move. */
static void moves(const char *name, char *from, char *to, size_t len, unsigned n)
{
	uint64_t began;

	map(from, len);
	touch(from, len);
	munmap(to, len);
	began = now();
	for (unsigned i = 0; i < n; i++) {
		must(mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
		must(mremap(to, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, from) == from, "mremap");
	}
	row(name, began, 2 * n);
	must(from[len - 4 * KIB] == 1, "what moved");
	munmap(from, len);
}

static void processes(const char *name, char *at, size_t len, int exec)
{
	const unsigned n = 20;
	uint64_t began;

	map(at, len);
	touch(at, len);
	began = now();
	for (unsigned i = 0; i < n; i++) {
		const pid_t pid = fork();

		must(pid >= 0, "fork");
		if (pid == 0) {
			if (exec)
				execl(self, self, "exit", (char *)NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	row(name, began, n);
	munmap(at, len);
}

int main(int argc, char **argv)
{
	char *at, *to;

	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "exit") == 0)
		return 0;
	at = room(8 * GIB);
	to = at + 4 * GIB;
	sleep(2); /* what a kernel has left to do at its start */
	clock_alone();
	calls_alone();
	faults(at);
	rights(at);
	sizes(at);
	moves("move of 4 KiB", at, to, 4 * KIB, 500);
	moves("move of 2 MiB", at, to, 2 * MIB, 100);
	moves("move of 2 MiB, shifted by a page", at, to + 4 * KIB, 2 * MIB, 20);
	moves("move of 64 MiB", at, to, 64 * MIB, 20);
	moves("move of 64 MiB, shifted by a page", at, to + 4 * KIB, 64 * MIB, 2);
	moves("move of 1 GiB", at, to, GIB, 20);
	moves("move of 1 GiB, shifted by 2 MiB", at, to + 2 * MIB, GIB, 2);
	moves("move of 1 GiB, shifted by a page", at, to + 4 * KIB, GIB, 1);
	processes("fork, exit and wait", at, 64 * KIB, 0);
	processes("fork, exit and wait, of 64 MiB", at, 64 * MIB, 0);
	processes("fork, exec, exit and wait", at, 64 * KIB, 1);
	puts("the end");
	return 0;
}
