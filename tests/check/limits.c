/* limits.c - limits, rights and the space's own settings, to be run under `vas check`.
 *
 * Each child has others; some lose root's rights first.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define MIB (1024u * 1024)

static char *map(size_t len, int flags)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void calls(void)
{
	char *at = map(4 * MIB, 0);
	map(3 * MIB, MAP_NORESERVE);
	map(MIB, MAP_LOCKED);
	map((size_t)1 << 42, 0);
	munmap(map((size_t)1 << 42, MAP_NORESERVE), (size_t)1 << 42); /* or mlockall fills memory */
	if (at != MAP_FAILED) {
		at[0] = 1;
		mlock(at, MIB);
		mlock2(at + MIB, MIB, 1);
		mremap(at, 4 * MIB, 9 * MIB, MREMAP_MAYMOVE);
		mprotect(at, MIB, PROT_READ);
	}
	sbrk(MIB);
	sbrk(64 * MIB);
	mmap((void *)PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mmap((void *)(8 * PAGE), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap(NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	mlockall(MCL_CURRENT | MCL_FUTURE);
	map(MIB, 0);
	mlockall(MCL_FUTURE | MCL_ONFAULT);
	map(MIB, 0);
	munlockall();
}

static void limit(int resource, rlim_t soft)
{
	struct rlimit limit;
	getrlimit((enum __rlimit_resource)resource, &limit);
	limit.rlim_cur = soft;
	if (setrlimit((enum __rlimit_resource)resource, &limit) != 0)
		_exit(1);
}

static void child(int resource, rlim_t soft, int unprivileged)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (unprivileged && setresuid(65534, 65534, 65534) != 0)
			_exit(0); /* not root to begin with */
		if (resource >= 0)
			limit(resource, soft);
		calls();
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

/* A parent may change its child's limits while it runs. */
static void from_outside(void)
{
	int status, go[2];
	char byte = 0;
	if (pipe(go) != 0)
		exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		if (read(go[0], &byte, 1) == 1)
			calls();
		_exit(0);
	}
	struct rlimit limit = {32 * MIB, 32 * MIB};
	prlimit(pid, RLIMIT_AS, &limit, NULL);
	if (write(go[1], &byte, 1) == 1)
		waitpid(pid, &status, 0);
}

int main(void)
{
	for (int unprivileged = 0; unprivileged < 2; unprivileged++) {
		child(-1, 0, unprivileged);
		child(RLIMIT_AS, 24 * MIB, unprivileged);
		child(RLIMIT_DATA, 6 * MIB, unprivileged);
		child(RLIMIT_DATA, 0, unprivileged);
		child(RLIMIT_MEMLOCK, 64 * 1024, unprivileged);
		child(RLIMIT_MEMLOCK, 0, unprivileged);
		child(RLIMIT_STACK, 64 * 1024, unprivileged);
	}
	from_outside();
	return 0;
}
