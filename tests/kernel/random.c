/* Random memory calls, touched and forked: what they leave in the page tables is then read by
 * QEMU and by vas (walk.py). The argument is the seed.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM (64ul << 20) /* crosses tables of the leaf level many times */
#define CALLS 3000

static uint64_t state;
static char *room;
static size_t page;

static uint64_t random_below(uint64_t most)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % most;
}

/* Mostly a few pages, now and then many. */
static size_t length(void)
{
	return (1 + random_below(random_below(8) ? 6 : 1500)) * page;
}

static char *place(void)
{
	return room + random_below(ROOM / page - 1600) * page;
}

static int rights(void)
{
	static const int some[] = {PROT_NONE,
	                           PROT_READ,
	                           PROT_READ | PROT_WRITE,
	                           PROT_READ | PROT_WRITE,
	                           PROT_READ | PROT_WRITE,
	                           PROT_READ | PROT_EXEC,
	                           PROT_READ | PROT_WRITE | PROT_EXEC};

	return some[random_below(sizeof(some) / sizeof(some[0]))];
}

/* Reads or writes as far as it may: by calls that answer EFAULT instead of sending a signal. */
static void touch(char *at, size_t len, int fd[2])
{
	const size_t step = (1 + random_below(4)) * page;
	char byte = 'x';

	for (char *p = at; p < at + len; p += step)
		if (random_below(2)) {
			if (write(fd[1], p, 1) == 1 && read(fd[0], &byte, 1) != 1)
				exit(1);
		} else if (write(fd[1], &byte, 1) != 1 ||
		           (read(fd[0], p, 1) != 1 && read(fd[0], &byte, 1) != 1)) {
			exit(1);
		}
}

static void fork_some(int fd[2])
{
	const pid_t pid = fork();

	if (pid < 0)
		exit(1);
	if (pid == 0) {
		touch(place(), length(), fd);
		munmap(place(), length());
		_exit(0);
	}
	if (random_below(2))
		touch(place(), length(), fd);
	waitpid(pid, NULL, 0);
}

static void call(int fd[2])
{
	static const int advice[] = {MADV_DONTNEED, MADV_DONTFORK, MADV_DOFORK, MADV_POPULATE_WRITE,
	                             MADV_POPULATE_READ};
	char *at = place(), *to = place();
	const size_t len = length();

	switch (random_below(10)) {
	case 0:
	case 1:
		mmap(at, len, rights(),
		     MAP_FIXED | MAP_ANONYMOUS | (random_below(3) ? MAP_PRIVATE : MAP_SHARED) |
		             (random_below(4) ? 0 : MAP_POPULATE),
		     -1, 0);
		break;
	case 2:
		munmap(at, len);
		break;
	case 3:
		mprotect(at, len, rights());
		break;
	case 4:
	case 5:
		mremap(at, len, length(),
		       MREMAP_MAYMOVE | MREMAP_FIXED | (random_below(5) ? 0 : MREMAP_DONTUNMAP),
		       to);
		break;
	case 6:
		madvise(at, len, advice[random_below(sizeof(advice) / sizeof(advice[0]))]);
		break;
	case 7:
		if (random_below(6) == 0)
			fork_some(fd);
		break;
	default:
		touch(at, len, fd);
	}
}

int main(int argc, char **argv)
{
	int fd[2];

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	page = (size_t)sysconf(_SC_PAGESIZE);
	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED || pipe(fd))
		return 1;
	for (unsigned i = 0; i < CALLS; i++)
		call(fd);
	return 0;
}
