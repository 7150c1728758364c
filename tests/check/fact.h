/* fact.h - for programs that show facts of tests/cases/facts.txt where a script cannot: its process
 * has no vdso, no stack of its own, no userfaultfd.
 *
 * Such a program says itself what Linux must answer, so that a wrong expectation fails, and how
 * many calls it made: run.sh then knows that `vas check` compared each of them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef VAS_TESTS_CHECK_FACT_H
#define VAS_TESTS_CHECK_FACT_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

#define MAYMOVE MREMAP_MAYMOVE
#define FIXED (MREMAP_MAYMOVE | MREMAP_FIXED)
#define LEAVE (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)

/* Counted in memory that children share. */
struct made {
	unsigned mremaps, adopted;
};
static struct made *made;

static inline void expect(int good, const char *what, int line)
{
	if (good)
		return;
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	_exit(1);
}
#define EXPECT(cond) expect(!!(cond), #cond, __LINE__)

static inline void fact_begin(void)
{
	made = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(made != MAP_FAILED);
}

/* An older Linux answers otherwise, and other cases say how. */
static inline void fact_needs_linux(unsigned major, unsigned minor)
{
	struct utsname name;
	unsigned is[2] = {0, 0};
	if (uname(&name) == 0)
		sscanf(name.release, "%u.%u", &is[0], &is[1]);
	if (is[0] > major || (is[0] == major && is[1] >= minor))
		return;
	fprintf(stderr, "skipped: Linux %u.%u is needed\n", major, minor);
	exit(77);
}

/* What run.sh reads. */
static inline int fact_end(void)
{
	printf("mremaps %u\ntaken-over %u\n", made->mremaps, made->adopted);
	return 0;
}

/* mremap(2), the address or the errno below 0. */
static inline long move(const char *old, size_t old_len, size_t new_len, int flags, const char *to)
{
	made->mremaps++;
	long at = syscall(SYS_mremap, old, old_len, new_len, flags, to);
	return at == -1 ? -errno : at;
}

static inline char *map(size_t npages, int prot, int flags)
{
	char *at = mmap(NULL, npages * PAGE, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(at != MAP_FAILED);
	return at;
}

/* Free addresses, others each time, with nothing near them: below all that Linux chooses. */
static inline char *room(size_t npages)
{
	static uintptr_t next = 0x200000000000;
	next += (npages + 16) * PAGE;
	return (char *)(next - npages * PAGE);
}

struct area {
	char *start, *end;
};

/* The line of /proc/self/maps that ends with `name`, or begins at `at`; none: start is NULL. */
static inline struct area find(const char *name, const char *at)
{
	struct area area = {NULL, NULL};
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	EXPECT(maps != NULL);
	while (!area.start && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		size_t len = strcspn(line, "\n"), tail = name ? strlen(name) : 0;
		if (sscanf(line, "%lx-%lx ", &start, &end) != 2)
			continue;
		if (name ? len > tail && strncmp(line + len - tail, name, tail) == 0
		         : start == (uintptr_t)at)
			area = (struct area){(char *)start, (char *)end};
	}
	fclose(maps);
	return area;
}

static inline size_t area_len(struct area area)
{
	return (size_t)(area.end - area.start);
}

/* Each part in a child: what it does to its space is gone after it. */
static inline void in_child(void (*part)(void))
{
	int status = 1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		part();
		_exit(0);
	}
	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(status == 0);
}

#endif
