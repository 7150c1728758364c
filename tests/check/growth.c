/* growth.c - a stack that grows, and other memory that does, to be run under `vas check`.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

static int deep(int n)
{
	volatile char room[16 * 1024];
	__asm__ volatile("" : : "r"(room) : "memory"); /* all of it is there */
	room[0] = (char)n;
	if (n % 50 == 0)
		munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
	return n == 0 ? room[0] : deep(n - 1) + room[0];
}

/* A mapping that grows when what lies below it is touched, up to its neighbour's guard gap. */
static void growing(void)
{
	char *low = mmap(NULL, 1024 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = low + 1000 * PAGE;
	munmap(low + 100 * PAGE, 924 * PAGE);
	mmap(at, 4 * PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	for (int i = 0; i < 60; i++)
		at[-i * 10 * (int)PAGE] = 1;
	mprotect(at, PAGE, PROT_READ);
	mmap(NULL, 50 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mremap(at - 100 * PAGE, 90 * PAGE, 120 * PAGE, MREMAP_MAYMOVE);
}

int main(void)
{
	int status;
	struct rlimit limit = {256 * 1024, 8 * 1024 * 1024};
	deep(400);
	growing();
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_STACK, &limit);
		deep(400); /* what is there already is not taken away */
		_exit(0);
	}
	waitpid(child, &status, 0);
	child = fork();
	if (child == 0)
		_exit(deep(1000) & 1); /* ends with SIGSEGV */
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? 0 : 1;
}
